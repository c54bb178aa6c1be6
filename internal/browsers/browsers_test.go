package browsers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	defaultpolicy "github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/browsers"
	"github.com/candgw/candgw/internal/metrics"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const (
	extension = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
	page      = "https://meet.example.com"
	pwd       = "MpiyNBrY/PGEqhMFOPRVzGsf"
	// client is where requests come from, and its other address.
	client, clientsIPv6 = "10.77.1.2", "2001:db8:77:1::2"
	other               = "10.77.1.3"
	remote              = "10.77.9.2" // on none of the node's links
	name, nameIPv6      = "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local", "a1c54d05-3211-4810-aab6-143803fa4c9d.local"
	unknownName         = "00000000-0000-4000-8000-000000000000.local"
	printer             = "printer.local" // which somebody has on the client's link
)

// names resolves what browsers of the client have named, for the client alone.
type names map[string]string

func (n names) ResolveName(ctx context.Context, asked string, from netip.Addr) (netip.Addr, error) {
	if from.String() != client || ctx.Err() != nil {
		return netip.Addr{}, gateway.ErrNoLink
	}
	if asked == unknownName { // as where nobody answers
		<-ctx.Done()
	}
	return netip.ParseAddr(n[asked])
}

var known = names{name: client, nameIPv6: clientsIPv6, printer: other}

// sameHost knows the two addresses of the client.
func sameHost(_ context.Context, a, b netip.Addr, _ func() bool) bool {
	hosts := []string{client, clientsIPv6}
	return slices.Contains(hosts, a.String()) && slices.Contains(hosts, b.String())
}

// A node is a handler, and what it is made of.
type node struct {
	*browsers.Handler
	ring    *keyring.Ring
	metrics *metrics.Set
	log     *bytes.Buffer
}

// newNode returns a handler under a policy, "" for the default, and a ring of its own. change changes what it is made of.
func newNode(t testing.TB, policyText string, change ...func(*browsers.Config, *browsers.Settings)) *node {
	t.Helper()
	e := new(keyring.Ring).Edit(time.Now())
	for _, s := range []cipher.Suite{cipher.AESUUID, cipher.AESGCM} {
		k, err := cipher.GenerateKey(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Add(k, keyring.Active); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := e.Ring()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{ring: ring, metrics: metrics.New(), log: new(bytes.Buffer)}
	if policyText == "" {
		policyText = string(defaultpolicy.Default)
	}
	set, err := new(policy.Loader).Load(policy.Source{Name: "policies.hcl", Text: []byte(policyText)})
	if err != nil {
		t.Fatal(err)
	}
	inUse := func() *policy.Set { return set }
	c := browsers.Config{
		Gateway: gateway.New(gateway.Config{
			Ring: func() *keyring.Ring { return n.ring }, Policy: inUse, Names: known, Patience: 200 * time.Millisecond,
		}),
		Policy: inUse, Metrics: n.metrics, OnLink: func(a netip.Addr) bool { return a.String() != remote }, SameHost: sameHost, Log: slog.New(slog.NewTextHandler(n.log, nil)),
	}
	s := browsers.Settings{Answers: func(origin string) bool { return origin == extension }, Rate: 1e6, Burst: 1e6}
	for _, f := range change {
		f(&c, &s)
	}
	n.Handler = browsers.New(c, s)
	return n
}

// A candidate is one of a request, an answer one of its answers.
type (
	candidate struct {
		Candidate string `json:"candidate"`
		Pwd       string `json:"pwd"`
	}
	answer struct{ Candidate, Kept, Dropped string }
)

func host(address string) candidate {
	return candidate{"candidate:1 1 udp 2122129151 " + address + " 41749 typ host generation 0 ufrag XHiM network-cost 999", pwd}
}

func body(t testing.TB, candidates ...candidate) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"origin": page, "candidates": append([]candidate{}, candidates...)})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ask sends a request of the extension from an address; headers follow as names and values, and take the place of those
// that it would have.
func (n *node) ask(method, target, from, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 40000).String()
	r.Header.Set("Origin", extension)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	return w.Result()
}

// encrypt asks for candidates, from an address, and wants an answer to each.
func (n *node) encrypt(t testing.TB, from string, candidates ...candidate) []answer {
	t.Helper()
	r := n.ask("POST", "/v1/encrypt", from, body(t, candidates...))
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(r.Body)
		t.Fatalf("%s: %s", r.Status, text)
	}
	return answersIn(t, r, len(candidates))
}

func answersIn(t testing.TB, r *http.Response, want int) []answer {
	t.Helper()
	var got struct{ Candidates []answer }
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || got.Candidates == nil || len(got.Candidates) != want {
		t.Fatalf("%v, %+v; want %d answers", err, got, want)
	}
	for _, a := range got.Candidates {
		members := 0
		for _, m := range []string{a.Candidate, a.Kept, a.Dropped} {
			if m != "" {
				members++
			}
		}
		if members != 1 {
			t.Fatalf("an answer has one member: %+v", a)
		}
	}
	return got.Candidates
}

// opens returns the address of the name in a candidate, not valid if it is none of ours.
func (n *node) opens(candidate, pwd string) netip.Addr {
	fields := strings.Fields(candidate)
	if len(fields) < 5 {
		return netip.Addr{}
	}
	var o cipher.Opener
	labels, ok := strings.CutSuffix(fields[4], ".local")
	if !ok || !cipher.ReadName(&o, labels) {
		return netip.Addr{}
	}
	opened, err := n.ring.Open(&o, pwd, time.Now())
	if err != nil {
		return netip.Addr{}
	}
	return opened.Addr
}

// TestWho tells who is answered, by origin, path and method.
func TestWho(t *testing.T) {
	n := newNode(t, "")
	none := body(t)
	for _, tt := range []struct {
		name, method, target, body string
		headers                    []string
		want                       int
	}{
		{"the extension", "POST", "/v1/encrypt", none, nil, 200},
		{"a page", "POST", "/v1/encrypt", none, []string{"Origin", page}, 403},
		{"a page without origin", "POST", "/v1/encrypt", none, []string{"Origin", "null"}, 403},
		{"no origin", "POST", "/v1/encrypt", none, []string{"Origin", ""}, 403},
		{"another extension", "POST", "/v1/encrypt", none, []string{"Origin", "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba"}, 403},
		{"preflight of the extension", "OPTIONS", "/v1/encrypt", "", nil, 204},
		{"preflight of a page", "OPTIONS", "/v1/encrypt", "", []string{"Origin", page}, 403},
		{"GET", "GET", "/v1/encrypt", "", nil, 405},
		{"decrypt", "POST", "/v1/decrypt", none, nil, 404},
		{"metrics", "GET", "/metrics", "", nil, 404},
		{"metrics, of a page", "GET", "/metrics", "", []string{"Origin", page}, 403},
		{"a folder", "POST", "/v1/encrypt/", none, nil, 404},
		{"text, which wants no preflight", "POST", "/v1/encrypt", none, []string{"Content-Type", "text/plain"}, 415},
		{"no type", "POST", "/v1/encrypt", none, []string{"Content-Type", ""}, 415},
		{"a type with a parameter", "POST", "/v1/encrypt", none, []string{"Content-Type", "application/json; charset=utf-8"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := n.ask(tt.method, tt.target, client, tt.body, tt.headers...)
			if r.StatusCode != tt.want {
				t.Errorf("got %s", r.Status)
			}
			allowed := ""
			if tt.want != 403 {
				allowed = extension
			}
			for header, want := range map[string]string{
				"Access-Control-Allow-Origin": allowed, "Access-Control-Allow-Credentials": "", "Cache-Control": "no-store",
				"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "Vary": "Origin",
			} {
				if got := r.Header.Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
			if tt.want >= 400 && r.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("no problem document: %v", r.Header)
			}
		})
	}
	t.Run("a client on none of the node's links", func(t *testing.T) {
		for _, text := range []string{none, body(t, host(name)), body(t, host(remote))} {
			if r := n.ask("POST", "/v1/encrypt", remote, text); r.StatusCode != 422 || r.Header.Get("Access-Control-Allow-Origin") != extension {
				t.Errorf("got %s, %v", r.Status, r.Header)
			}
		}
	})
	t.Run("two origins", func(t *testing.T) {
		r := httptest.NewRequest("POST", "/v1/encrypt", strings.NewReader(none))
		r.Header["Origin"] = []string{extension, page}
		w := httptest.NewRecorder()
		if n.ServeHTTP(w, r); w.Code != 403 {
			t.Errorf("got %d", w.Code)
		}
	})
}

func TestPreflight(t *testing.T) {
	n := newNode(t, "")
	for _, asked := range []string{"", "true"} {
		r := n.ask("OPTIONS", "/v1/encrypt", client, "", "Access-Control-Request-Method", "POST", "Access-Control-Request-Private-Network", asked)
		for header, want := range map[string]string{
			"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Content-Type",
			"Access-Control-Allow-Private-Network": asked,
		} {
			if got := r.Header.Get(header); got != want {
				t.Errorf("private network %q: %s is %q, want %q", asked, header, got, want)
			}
		}
	}
}

// TestRequests has requests that are wrong be refused as a whole.
func TestRequests(t *testing.T) {
	n := newNode(t, "")
	many := slices.Repeat([]candidate{host(client)}, 33)
	for _, tt := range []struct {
		name, body string
		want       int
		say        string
	}{
		{"no candidate", body(t), 200, ""},
		{"as many as there may be", body(t, many[:32]...), 200, ""},
		{"one more", body(t, many...), 400, "33 candidates, want at most 32"},
		{"members that are not known", `{"origin":"https://a.example","candidates":[],"version":2}`, 200, ""},
		{"no origin", `{"candidates":[]}`, 400, "origin is not the origin of a web page"},
		{"null", `{"origin":"null","candidates":[]}`, 400, "origin is not the origin of a web page"},
		{"an origin with a path", `{"origin":"https://meet.example.com/room","candidates":[]}`, 400, "origin is not the origin of a web page"},
		{"an extension as origin", `{"origin":"chrome-extension://abcdefghijklmnopabcdefghijklmnop","candidates":[]}`, 400, "origin is not the origin of a web page"},
		{"no list", `{"origin":"https://a.example"}`, 400, "candidates is missing"},
		{"candidates of another type", `{"origin":"https://a.example","candidates":["secret"]}`, 400, "the body is not"},
		{"not JSON", `{"origin":`, 400, "the body is not"},
		{"more after it", `{"origin":"https://a.example","candidates":[]} {}`, 400, "the body is not"},
		{"nothing", ``, 400, "the body is not"},
		{"64 KiB", body(t) + strings.Repeat(" ", 64<<10-len(body(t))), 200, ""},
		{"as many and as long as they may be", body(t, slices.Repeat([]candidate{{"candidate:" + strings.Repeat("x", 1014), strings.Repeat("p", 256)}}, 32)...), 200, "too few fields"},
		{"longer than 64 KiB", body(t) + strings.Repeat(" ", 64<<10), 413, "longer than 64 KiB"},
		{"a wait", `{"origin":"https://a.example","candidates":[],"wait":299.5}`, 200, ""},
		{"a long wait", `{"origin":"https://a.example","candidates":[],"wait":5001}`, 400, "0 to 5000"},
		{"a negative wait", `{"origin":"https://a.example","candidates":[],"wait":-1}`, 400, "0 to 5000"},
		{"a wait in words", `{"origin":"https://a.example","candidates":[],"wait":"300ms"}`, 400, "the body is not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := n.ask("POST", "/v1/encrypt", client, tt.body)
			text, err := io.ReadAll(r.Body)
			if err != nil || r.StatusCode != tt.want || !strings.Contains(string(text), tt.say) || strings.Contains(string(text), "secret") {
				t.Errorf("%v, %s: %s", err, r.Status, text)
			}
		})
	}
}

// TestLimits has a client that asks too often wait, and pages of it not count.
func TestLimits(t *testing.T) {
	n := newNode(t, "", func(_ *browsers.Config, s *browsers.Settings) { s.Rate, s.Burst = 1, 3 })
	status := func(from string, headers ...string) int {
		return n.ask("POST", "/v1/encrypt", from, body(t), headers...).StatusCode
	}
	for range 10 {
		if got := status(client, "Origin", page); got != 403 {
			t.Fatalf("a page: %d", got)
		}
	}
	var codes []int
	for range 4 {
		codes = append(codes, status(client))
	}
	if !slices.Equal(codes, []int{200, 200, 200, 429}) {
		t.Errorf("got %v", codes)
	}
	if got := status(client, "X-Forwarded-For", other); got != 429 {
		t.Errorf("with another address in a header: %d", got)
	}
	if got := status(other); got != 200 {
		t.Errorf("another client: %d", got)
	}
	if a, b := status("fd77::1:5"), status("fd77::1:6"); a != 200 || b != 200 {
		t.Errorf("hosts of one IPv6 link: %d, %d", a, b)
	}

	// Each candidate counts.
	const third = "10.77.1.4"
	var kept []bool
	for _, a := range n.encrypt(t, third, slices.Repeat([]candidate{host(third)}, 5)...) {
		kept = append(kept, strings.Contains(a.Kept, "asks for more than it may"))
	}
	if !slices.Equal(kept, []bool{false, false, false, true, true}) {
		t.Errorf("of five at once these are beyond three: %v", kept)
	}
	if got := status(third); got != 429 {
		t.Errorf("after that: %d", got)
	}

	n.Use(browsers.Settings{Answers: func(origin string) bool { return origin == page }, Rate: 1e6, Burst: 1e6})
	if got := status(client); got != 403 {
		t.Errorf("under other settings: %d", got)
	}
}

// TestUnderWay has requests be refused while as many as there may be are not answered.
func TestUnderWay(t *testing.T) {
	const most = 2048
	n := newNode(t, "")
	var slow sync.WaitGroup
	defer slow.Wait()
	bodies := make(chan io.Closer, most)
	for range most {
		read, write := io.Pipe()
		slow.Go(func() {
			r := httptest.NewRequest("POST", "/v1/encrypt", read)
			r.Header = http.Header{"Origin": {extension}, "Content-Type": {"application/json"}}
			n.ServeHTTP(httptest.NewRecorder(), r)
		})
		if _, err := write.Write([]byte("{")); err != nil { // which waits until the request is under way
			t.Fatal(err)
		}
		bodies <- write
	}
	r := n.ask("POST", "/v1/encrypt", client, body(t))
	if text, _ := io.ReadAll(r.Body); r.StatusCode != 503 || !strings.Contains(string(text), "under way") {
		t.Errorf("%s: %s", r.Status, text)
	}
	for range most {
		(<-bodies).Close()
	}
	slow.Wait()
	n.encrypt(t, client, host(client))
}

// TestPanic has a fault in one candidate cost that request alone.
func TestPanic(t *testing.T) {
	var mu sync.Mutex
	panics := true
	n := newNode(t, "", func(c *browsers.Config, _ *browsers.Settings) {
		c.SameHost = func(context.Context, netip.Addr, netip.Addr, func() bool) bool {
			mu.Lock()
			defer mu.Unlock()
			if panics {
				panic("10.77.1.2")
			}
			return true
		}
	})
	if r := n.ask("POST", "/v1/encrypt", client, body(t, host(client), host(other))); r.StatusCode != 500 {
		t.Errorf("got %s", r.Status)
	}
	if log := n.log.String(); !strings.Contains(log, "a bug") || strings.Contains(log, "10.77") {
		t.Errorf("logged %s", log)
	}
	panics = false
	n.encrypt(t, client, host(client))
}
