package api_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	defaultpolicy "github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/api"
	"github.com/candgw/candgw/internal/metrics"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
	"github.com/candgw/candgw/resolver"
)

// A node is an API on a real socket, over a ring with one key a suite but aes-cbc-hmac.
type node struct {
	*httptest.Server
	ring *keyring.Ring
}

// policies are the default, and for clients of two networks others.
const policies = `
policy "refused" {
  clients = ["192.0.2.0/24"]
  candidate "host" {}
  session {
    identity { require = true }
  }
  inbound { action = "decrypt" }
  resolve { addresses = ["192.0.2.0/24"] }
}
policy "limited" {
  clients = ["198.51.100.0/24"]
  resolve { rate = 1 }
}
`

func serve(t *testing.T, change ...func(*api.Config)) *node {
	t.Helper()
	e := new(keyring.Ring).Edit(time.Now())
	for _, s := range cipher.Suites()[:3] {
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
	set, err := new(policy.Loader).Load(policy.Source{Name: "policies.hcl", Text: append([]byte(policies), defaultpolicy.Default...)})
	if err != nil {
		t.Fatal(err)
	}
	inUse := func() *policy.Set { return set }
	m := metrics.New()
	n := &node{ring: ring}
	names, err := resolver.New(resolver.Config{Ring: func() *keyring.Ring { return n.ring }, Policy: inUse, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	c := api.Config{
		Gateway:  gateway.New(gateway.Config{Ring: func() *keyring.Ring { return n.ring }, Policy: inUse, Seen: names.Remember}),
		Resolver: names, Metrics: m, Ready: func() error { return nil }, Trouble: func() string { return "" }, Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&c)
	}
	n.Server = httptest.NewServer(api.Handler(c))
	t.Cleanup(n.Close)
	return n
}

func withToken(c *api.Config) { c.Token = "0123456789abcdef" }

func send(t *testing.T, s *node, method, path, contentType, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../sdp/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	sdpType  = "application/sdp"
	fragType = "application/trickle-ice-sdpfrag"
	jsonType = "application/json"
)

func TestEncryptAndBack(t *testing.T) {
	s := serve(t)
	raw := read(t, "chromium-raw.sdp")
	asJSON, err := json.Marshal(map[string]string{"type": "offer", "sdp": raw})
	if err != nil {
		t.Fatal(err)
	}
	for contentType, body := range map[string]string{
		sdpType:                      raw,
		jsonType + "; charset=utf-8": string(asJSON),
		fragType: "a=ice-ufrag:XHiM\r\na=ice-pwd:MpiyNBrY/PGEqhMFOPRVzGsf\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" +
			"a=candidate:1 1 udp 2122129151 10.77.1.2 41749 typ host\r\n",
	} {
		t.Run(contentType, func(t *testing.T) {
			resp, encrypted := send(t, s, "POST", "/v1/encrypt?client=10.77.1.2", contentType, body)
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != contentType || strings.Contains(encrypted, "10.77.1.2") {
				t.Fatalf("%d %s\n%s", resp.StatusCode, resp.Header.Get("Content-Type"), encrypted)
			}
			var report gateway.Report
			if err := json.Unmarshal([]byte(resp.Header.Get(api.ReportHeader)), &report); err != nil || report.Encrypted == 0 || report.Encrypted != len(report.Candidates) {
				t.Errorf("report %q, %v", resp.Header.Get(api.ReportHeader), err)
			}
			resp, decrypted := send(t, s, "POST", "/v1/decrypt", contentType, encrypted)
			if resp.StatusCode != 200 || strings.Count(decrypted, " 10.77.1.2 41749 typ host") != 1 {
				t.Errorf("%d\n%s", resp.StatusCode, decrypted)
			}
		})
	}
}

func TestTrickle(t *testing.T) {
	s := serve(t)
	var trickle struct {
		Initial    string
		Candidates []json.RawMessage
	}
	if err := json.Unmarshal([]byte(read(t, "chromium-raw.trickle.json")), &trickle); err != nil {
		t.Fatal(err)
	}
	first := string(trickle.Candidates[0])
	resp, got := send(t, s, "POST", "/v1/encrypt?client=10.77.1.2", jsonType, first)
	if resp.StatusCode != 422 || !strings.Contains(got, "of no session seen here") {
		t.Errorf("before its description: %d %s", resp.StatusCode, got)
	}
	if resp, _ := send(t, s, "POST", "/v1/encrypt?client=10.77.1.2", sdpType, trickle.Initial); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode)
	}
	for _, c := range trickle.Candidates {
		resp, got := send(t, s, "POST", "/v1/encrypt?client=10.77.1.2", jsonType, string(c))
		if resp.StatusCode != 200 || !strings.Contains(got, ".local") || strings.Contains(got, "10.77.") {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
	}
	// The session is the client's: another's knows nothing of it.
	if resp, got := send(t, s, "POST", "/v1/encrypt?client=10.77.1.3", jsonType, first); resp.StatusCode != 422 {
		t.Errorf("another client: %d %s", resp.StatusCode, got)
	}
	// What no other host can reach is left out, and that is no error.
	loopback := `{"candidate":"candidate:1 1 udp 1 127.0.0.1 5 typ host ufrag XHiM","sdpMid":"0","usernameFragment":"XHiM"}`
	if resp, got := send(t, s, "POST", "/v1/encrypt?client=10.77.1.2", jsonType, loopback); resp.StatusCode != 204 || got != "" ||
		!strings.Contains(resp.Header.Get(api.ReportHeader), `"dropped":1`) {
		t.Errorf("loopback: %d %s %v", resp.StatusCode, got, resp.Header)
	}
}

// Errors are problem documents (RFC 9457), and tell no address.
func TestProblems(t *testing.T) {
	s := serve(t)
	raw := read(t, "chromium-raw.sdp")
	for _, tt := range []struct {
		name, method, path, contentType, body string
		header                                []string
		status                                int
		says                                  string
	}{
		{"not SDP", "POST", "/v1/encrypt", sdpType, "10.77.1.2", nil, 400, "line 1: not SDP"},
		{"broken port", "POST", "/v1/encrypt", sdpType, strings.Replace(raw, " 41749 typ", " 4174x typ", 1), nil, 400, "line 11: the candidate has a broken port"},
		{"not JSON", "POST", "/v1/encrypt", jsonType, "{", nil, 400, "not JSON"},
		{"too large", "POST", "/v1/encrypt", sdpType, strings.Repeat("a", gateway.MaxBody+1), nil, 413, "256 KiB"},
		{"as large as may be", "POST", "/v1/encrypt", sdpType, strings.Repeat("a", gateway.MaxBody), nil, 400, "not SDP"},
		{"type of a form", "POST", "/v1/encrypt", "text/plain", raw, nil, 415, "Content-Type must be"},
		{"no type", "POST", "/v1/decrypt", "", raw, nil, 415, "Content-Type must be"},
		{"client is no address", "POST", "/v1/encrypt?client=me", sdpType, raw, nil, 400, "client must be an IP address"},
		{"unknown suite", "POST", "/v1/encrypt?suite=rot13", sdpType, raw, nil, 400, "aes-gcm"},
		{"unknown parameter", "POST", "/v1/encrypt?clinet=10.0.0.1", sdpType, raw, nil, 400, "it has client, origin, suite"},
		{"suite to decrypt", "POST", "/v1/decrypt?suite=aes-gcm", sdpType, raw, nil, 400, "decrypt has no parameter"},
		{"wrong method for health", "POST", "/healthz", "", "", nil, 405, "use GET"},
		{"wrong method for metrics", "POST", "/metrics", "", "", nil, 405, "use GET"},
		{"malformed parameters", "POST", "/v1/encrypt?client=10.0.0.1;suite=aes-gcm", sdpType, raw, nil, 400, "malformed"},
		{"client twice", "POST", "/v1/encrypt?client=10.0.0.1&client=10.0.0.2", sdpType, raw, nil, 400, "twice"},
		{"page of another origin", "POST", "/v1/encrypt", sdpType, raw, []string{"Sec-Fetch-Site: cross-site"}, 403, "another origin"},
		{"no active key", "POST", "/v1/encrypt?suite=aes-cbc-hmac", sdpType, raw, nil, 503, "no active key"},
		{"wrong method", "GET", "/v1/encrypt", "", "", nil, 405, "use POST"},
		{"wrong path", "POST", "/v1/encript", sdpType, raw, nil, 404, "use GET /openapi.json"},
		{"rebound name", "POST", "/v1/decrypt", sdpType, raw, []string{"Host: evil.example"}, 421, "not to host names"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := send(t, s, tt.method, tt.path, tt.contentType, tt.body, tt.header...)
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			if err := json.Unmarshal([]byte(body), &p); err != nil || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%d %q: %v", resp.StatusCode, body, err)
			}
			if resp.StatusCode != tt.status || p.Status != tt.status || p.Type != "about:blank" || p.Title == "" || !strings.Contains(p.Detail, tt.says) {
				t.Errorf("got %d %+v, want %d that says %q", resp.StatusCode, p, tt.status, tt.says)
			}
			if strings.Contains(body, "10.77.") {
				t.Errorf("it tells an address: %s", body)
			}
		})
	}
}

// A web page that runs on the same machine does not get through.
func TestCrossOrigin(t *testing.T) {
	s := serve(t)
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"} {
		if resp, _ := send(t, s, "POST", "/v1/decrypt", sdpType, "v=0\r\n", header); resp.StatusCode != 403 {
			t.Errorf("%s: %d", header, resp.StatusCode)
		}
	}
}

func TestToken(t *testing.T) {
	s := serve(t, withToken)
	for _, tt := range []struct {
		name, path, header string
		want               int
	}{
		{"none", "/metrics", "", 401},
		{"wrong", "/metrics", "Authorization: Bearer 0123456789abcdeX", 401},
		{"a part", "/metrics", "Authorization: Bearer 0123456789abcde", 401},
		{"empty", "/metrics", "Authorization: Bearer ", 401},
		{"another scheme", "/metrics", "Authorization: Basic 0123456789abcdef", 401},
		{"right", "/metrics", "Authorization: Bearer 0123456789abcdef", 200},
		{"health needs none", "/healthz", "", 200},
		{"nor does readiness", "/readyz", "", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.header != "" {
				header = append(header, tt.header)
			}
			if resp, _ := send(t, s, "GET", tt.path, "", "", header...); resp.StatusCode != tt.want {
				t.Errorf("got %d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
	// A proxy in front may pass the name on that it was asked for.
	if resp, _ := send(t, s, "GET", "/metrics", "", "", "Authorization: Bearer 0123456789abcdef", "Host: candgw.corp.example"); resp.StatusCode != 200 {
		t.Errorf("through a proxy: %d", resp.StatusCode)
	}
	if resp, _ := send(t, s, "POST", "/v1/encrypt", sdpType, read(t, "chromium-raw.sdp")); resp.StatusCode != 401 {
		t.Errorf("encrypt without a token: %d", resp.StatusCode)
	}
}

func TestNotReady(t *testing.T) {
	s := serve(t, func(c *api.Config) { c.Ready = func() error { return errors.New("no active key") } })
	if resp, body := send(t, s, "GET", "/readyz", "", ""); resp.StatusCode != 503 || !strings.Contains(body, "no active key") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := send(t, s, "GET", "/healthz", "", ""); resp.StatusCode != 200 {
		t.Errorf("alive all the same: %d", resp.StatusCode)
	}
}

// A report that is too long for a header keeps its counts.
func TestLongReport(t *testing.T) {
	s := serve(t)
	line := "a=candidate:1 1 udp 2122129151 10.77.1.2 41749 typ host\r\n"
	body := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 X 0\r\n" + strings.Repeat(line, 500)
	resp, got := send(t, s, "POST", "/v1/encrypt", sdpType, body)
	header := resp.Header.Get(api.ReportHeader)
	var report gateway.Report
	if err := json.Unmarshal([]byte(header), &report); err != nil || report.Dropped != 500 || len(report.Candidates) != 0 || len(header) > 200 {
		t.Errorf("report %q, %v", header, err)
	}
	if strings.Contains(got, "candidate") {
		t.Errorf("got %s", got)
	}
}
