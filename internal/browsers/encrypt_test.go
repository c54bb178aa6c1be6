package browsers_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/internal/browsers"
	"github.com/candgw/candgw/keyring"
)

// TestCandidates tells what becomes of one candidate under the default policy.
func TestCandidates(t *testing.T) {
	n := newNode(t, "")
	with := func(c candidate, pwd string) candidate { c.Pwd = pwd; return c }
	const srflx = "candidate:2 1 udp 1677729535 198.51.100.7 41749 typ srflx raddr "
	for _, tt := range []struct {
		name, from string
		candidate  candidate
		opens      string // the address that the answer's name opens to
		is         string // the answer's candidate, with an asterisk for the foundation
		kept       string
		dropped    string
	}{
		{name: "a browser's name", from: client, candidate: host(name), opens: client},
		{name: "a browser's name of IPv6", from: client, candidate: host(nameIPv6), opens: clientsIPv6},
		{name: "a name that nobody answers for", from: client, candidate: host(unknownName), kept: "nobody on the client's link answered for its name"},
		{name: "a name of another client", from: other, candidate: host(name), kept: "nobody on the client's link answered for its name"},
		{name: "a name that no browser makes", from: client, candidate: host(printer), kept: "its name is none that a browser makes"},
		{name: "a name that no browser makes, in capitals", from: client, candidate: host(strings.ToUpper(printer) + "."), kept: "its name is none that a browser makes"},
		{name: "a name that no browser makes, server reflexive", from: client, candidate: candidate{strings.Replace(host(printer).Candidate, "host", "srflx raddr 0.0.0.0 rport 9", 1), pwd}, kept: "its name is none that a browser makes"},
		{name: "a browser's name in capitals", from: client, candidate: host(strings.ToUpper(name) + "."), opens: client},
		{name: "the client's raw address", from: client, candidate: host(client), opens: client},
		{name: "the client's raw address, mapped", from: client, candidate: host("::ffff:" + client), opens: client},
		{name: "the client's other raw address", from: client, candidate: host(clientsIPv6), opens: clientsIPv6},
		{name: "connected over IPv6", from: clientsIPv6, candidate: host(client), opens: client},
		{name: "another host's raw address", from: client, candidate: host(other), kept: "its address is not known to be the client's own"},
		{name: "another host's raw address, HOST", from: client, candidate: candidate{strings.Replace(host(other).Candidate, "host", "HOST", 1), pwd}, kept: "its address is not known to be the client's own"},
		{name: "a raw address of a client that is not known", from: "198.51.100.9", candidate: host(client), kept: "its address is not known to be the client's own"},
		{name: "an unspecified address", from: client, candidate: host("0.0.0.0"), kept: "its address is not known to be the client's own"},
		{name: "a server reflexive one", from: client, candidate: candidate{srflx + "0.0.0.0 rport 0 ufrag XHiM", pwd}, is: "candidate:* 1 udp 1677729535 198.51.100.7 41749 typ srflx raddr 0.0.0.0 rport 0 ufrag XHiM"},
		{name: "a server reflexive one that tells another address", from: client, candidate: candidate{srflx + client + " rport 41749 ufrag XHiM", pwd}, is: "candidate:* 1 udp 1677729535 198.51.100.7 41749 typ srflx raddr 0.0.0.0 rport 9 ufrag XHiM"},
		{name: "a type that nobody knows", from: client, candidate: candidate{strings.Replace(host(client).Candidate, "host", "secret", 1), pwd}, kept: ""},
		{name: "no ufrag", from: client, candidate: candidate{"candidate:1 1 udp 1 " + name + " 9 typ host", pwd}, kept: "it names no ufrag"},
		{name: "no password", from: client, candidate: with(host(name), ""), kept: "its ice-pwd is empty"},
		{name: "a short password", from: client, candidate: with(host(name), "short"), kept: "its ice-pwd has 5 characters, want 22 to 256"},
		{name: "a long password", from: client, candidate: with(host(name), strings.Repeat("p", 257)), kept: "its ice-pwd has 257 characters, want 22 to 256"},
		{name: "a password with a line in it", from: client, candidate: with(host(name), pwd+"\r\na=candidate:1"), kept: "its ice-pwd is empty, or has a space"},
		{name: "a password beside ASCII", from: client, candidate: with(host(name), pwd+"é"), kept: "its ice-pwd is empty, or has a space"},
		{name: "nothing", from: client, candidate: candidate{"", pwd}, kept: "it is no candidate"},
		{name: "a line of SDP", from: client, candidate: candidate{"a=" + host(name).Candidate, pwd}, kept: "it is no candidate"},
		{name: "two lines", from: client, candidate: candidate{host(name).Candidate + "\na=" + host(other).Candidate, pwd}, kept: "it is no candidate"},
		{name: "a broken one", from: client, candidate: candidate{"candidate:1 1 udp 1 " + client, pwd}, kept: "too few fields"},
		{name: "1 KiB", from: client, candidate: candidate{host(name).Candidate + " x " + strings.Repeat("y", 1024-3-len(host(name).Candidate)), pwd}, opens: client},
		{name: "longer than 1 KiB", from: client, candidate: candidate{host(name).Candidate + " x " + strings.Repeat("y", 1024), pwd}, kept: "it is longer than 1 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := n.encrypt(t, tt.from, tt.candidate)[0]
			if tt.name == "a type that nobody knows" {
				if got.Dropped == "" {
					t.Errorf("got %+v", got)
				}
				return
			}
			if tt.opens != "" {
				if addr := n.opens(got.Candidate, tt.candidate.Pwd); addr.String() != tt.opens {
					t.Errorf("%+v opens to %v, want %s", got, addr, tt.opens)
				}
				// All but the foundation and the address is as it was.
				was, is := strings.Fields(tt.candidate.Candidate), strings.Fields(got.Candidate)
				if was[0] == is[0] || strings.Join(was[1:4], " ") != strings.Join(is[1:4], " ") || strings.Join(was[5:], " ") != strings.Join(is[5:], " ") {
					t.Errorf("got %s", got.Candidate)
				}
				return
			}
			if tt.is != "" {
				_, rest, _ := strings.Cut(got.Candidate, " ")
				if "candidate:* "+rest != tt.is || strings.HasPrefix(got.Candidate, "candidate:2 ") {
					t.Errorf("got %+v", got)
				}
				return
			}
			if tt.kept == "" || !strings.Contains(got.Kept, tt.kept) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestOrder has answers be in the order of what was asked, and one name that nobody answers for hold up no other.
func TestOrder(t *testing.T) {
	n := newNode(t, "")
	got := n.encrypt(t, client, host(unknownName), host(client), host(other), host(nameIPv6))
	if got[0].Kept == "" || n.opens(got[1].Candidate, pwd).String() != client || got[2].Kept == "" || n.opens(got[3].Candidate, pwd).String() != clientsIPv6 {
		t.Errorf("got %+v", got)
	}
}

// TestForgedAddress has nothing but the connection say who the client is, over a real one.
func TestForgedAddress(t *testing.T) {
	n := newNode(t, "")
	s := httptest.NewServer(n)
	defer s.Close()
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"} {
		value := client
		if header == "Forwarded" {
			value = "for=" + client
		}
		for _, c := range []candidate{host(client), host(name)} {
			r, err := http.NewRequest("POST", s.URL+"/v1/encrypt?client="+client, strings.NewReader(strings.Replace(body(t, c), "{", `{"client":"`+client+`",`, 1)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"Origin": {extension}, "Content-Type": {"application/json"}, header: {value}}
			reply, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Body.Close()
			if got := answersIn(t, reply, 1)[0]; got.Kept == "" {
				t.Errorf("%s: got %+v", header, got)
			}
		}
	}
	if got := n.encrypt(t, client, host(client))[0]; got.Candidate == "" {
		t.Errorf("from there indeed: got %+v", got)
	}
}

// TestRepeats has names of raw addresses repeat for a client, a ufrag, a password and an address, and no further.
func TestRepeats(t *testing.T) {
	n := newNode(t, "")
	tcp := host(client)
	tcp.Candidate = strings.Replace(strings.Replace(tcp.Candidate, " udp ", " tcp ", 1), "typ host", "typ host tcptype active", 1)
	nameOf := func(n *node, from string, c candidate) string {
		t.Helper()
		got := n.encrypt(t, from, c)[0]
		if !n.opens(got.Candidate, c.Pwd).IsValid() {
			t.Fatalf("got %+v", got)
		}
		return strings.Fields(got.Candidate)[4]
	}
	first := nameOf(n, client, host(client))
	for _, tt := range []struct {
		name, from string
		candidate  candidate
		repeats    bool
	}{
		{"asked again", client, host(client), true},
		{"TCP", client, tcp, true},
		{"mapped", client, host("::ffff:" + client), true},
		{"from another address of the client", clientsIPv6, host(client), false},
		{"another password", client, candidate{host(client).Candidate, pwd[1:] + "x"}, false},
		{"another ufrag", client, candidate{strings.Replace(host(client).Candidate, "XHiM", "XHiN", 1), pwd}, false},
		{"under a browser's name", client, host(name), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nameOf(n, tt.from, tt.candidate); (got == first) != tt.repeats {
				t.Errorf("got %s, the first was %s", got, first)
			}
		})
	}
	// Another process has another secret, so that the same key makes another name.
	second := newNode(t, "")
	second.ring = n.ring
	if got := nameOf(second, client, host(client)); got == first {
		t.Error("the name repeats in another process")
	}
	// In one request too.
	got := n.encrypt(t, client, host(client), tcp)
	if a, b := strings.Fields(got[0].Candidate)[4], strings.Fields(got[1].Candidate)[4]; a != b {
		t.Errorf("UDP has %s, TCP has %s", a, b)
	}
}

// TestPolicies has policies decide as they do elsewhere.
func TestPolicies(t *testing.T) {
	const forPage = `policy "page" {
		origins = ["https://meet.example.com"]
		candidate "host" { action = "%s" }
		candidate "srflx" { action = "drop" }
	}`
	with := func(action string) string { return strings.Replace(forPage, "%s", action, 1) }
	reflexive := strings.Replace(with("encrypt"), `"drop"`, `"encrypt"`, 1)
	reflexiveOf := func(address string) candidate {
		return candidate{strings.Replace(host(address).Candidate, "host", "srflx raddr 0.0.0.0 rport 9", 1), pwd}
	}
	for _, tt := range []struct {
		name, policy, page string
		candidate          candidate
		want               func(n *node, a answer) bool
	}{
		{"its origin", with("encrypt"), page, host(name), func(n *node, a answer) bool { return n.opens(a.Candidate, pwd).String() == client }},
		{"its origin, written in capitals", with("encrypt"), "HTTPS://MEET.EXAMPLE.COM", host(name), func(n *node, a answer) bool { return n.opens(a.Candidate, pwd).String() == client }},
		{"another origin", with("encrypt"), "https://evil.example", host(name), func(_ *node, a answer) bool { return a.Dropped != "" }},
		{"drop", with("drop"), page, host(name), func(_ *node, a answer) bool { return strings.Contains(a.Dropped, "dropped by") }},
		{"drop, with a raw address of another host", with("drop"), page, host(other), func(_ *node, a answer) bool { return strings.Contains(a.Dropped, "dropped by") }},
		{"another origin, with a raw address of another host", with("drop"), "https://evil.example", host(other), func(_ *node, a answer) bool { return a.Dropped == "dropped: no policy matches" }},
		{"drop, with a short password", with("drop"), page, candidate{host(name).Candidate, "short"}, func(_ *node, a answer) bool { return a.Dropped != "" }},
		{"keep", with("keep"), page, host(name), func(_ *node, a answer) bool { return strings.Contains(a.Kept, "kept by") }},
		{"reveal", with("reveal"), page, host(name), func(_ *node, a answer) bool { return strings.Contains(a.Candidate, " "+client+" ") }},
		{"drop, with a name that no browser makes", with("drop"), page, host(printer), func(_ *node, a answer) bool { return strings.Contains(a.Dropped, "dropped by") }},
		{"another host's address, said to be server reflexive", reflexive, page, reflexiveOf(other), func(_ *node, a answer) bool {
			return a.Kept == "its address is not known to be the client's own"
		}},
		{"the client's own, said to be server reflexive", reflexive, page, reflexiveOf(client), func(n *node, a answer) bool { return n.opens(a.Candidate, pwd).String() == client }},
		{"augment has room for one", with("augment"), page, host(name), func(n *node, a answer) bool { return n.opens(a.Candidate, pwd).String() == client }},
		{"server reflexive", with("encrypt"), page, candidate{"candidate:2 1 udp 1 198.51.100.7 9 typ srflx raddr 0.0.0.0 rport 9 ufrag XHiM", pwd}, func(_ *node, a answer) bool { return a.Dropped != "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.policy)
			r := n.ask("POST", "/v1/encrypt", client, strings.Replace(body(t, tt.candidate), page, tt.page, 1))
			if r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
			if got := answersIn(t, r, 1)[0]; !tt.want(n, got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestDraft has a second address under one password go the way that the draft's suites want, though each candidate is a
// request to the gateway of its own.
func TestDraft(t *testing.T) {
	n := newNode(t, `policy "draft" {
		candidate "host" { action = "encrypt" }
		name { suite = "aes-gcm" }
	}`)
	first := n.encrypt(t, client, host(client))[0]
	again := n.encrypt(t, client, host(client))[0]
	second := n.encrypt(t, client, host(clientsIPv6))[0]
	if first.Candidate == "" || again != first || !strings.Contains(second.Dropped, "one address of an ice-pwd") {
		t.Errorf("got %+v, %+v, %+v", first, again, second)
	}
}

// TestWait has a name that nobody answers for be kept once the extension waits no longer.
func TestWait(t *testing.T) {
	n := newNode(t, "", func(c *browsers.Config, _ *browsers.Settings) {})
	asked := strings.Replace(body(t, host(unknownName), host(name)), "{", `{"wait":20,`, 1)
	r := n.ask("POST", "/v1/encrypt", client, asked)
	if got := answersIn(t, r, 2); got[0].Kept == "" || got[1].Candidate == "" {
		t.Errorf("got %+v", got)
	}
}

// TestNoKey has the whole request fail, so that the extension asks another gateway.
func TestNoKey(t *testing.T) {
	n := newNode(t, "")
	ring, err := new(keyring.Ring).Edit(time.Now()).Ring()
	if err != nil {
		t.Fatal(err)
	}
	n.ring = ring
	if r := n.ask("POST", "/v1/encrypt", client, body(t, host(client))); r.StatusCode != 503 {
		t.Errorf("got %s", r.Status)
	}
}

// TestManyAddresses bounds for how many raw addresses of a request the neighbors are looked at.
func TestManyAddresses(t *testing.T) {
	looked := make(chan netip.Addr, 100)
	n := newNode(t, "", func(c *browsers.Config, _ *browsers.Settings) {
		same := c.SameHost
		c.SameHost = func(ctx context.Context, a, b netip.Addr, mayAsk func() bool) bool {
			looked <- b
			return same(ctx, a, b, mayAsk)
		}
	})
	var candidates []candidate
	for i := range 32 {
		candidates = append(candidates, host(netip.AddrFrom4([4]byte{10, 77, 2, byte(i % 16)}).String()))
	}
	n.encrypt(t, client, candidates...)
	if len(looked) != 8 {
		t.Errorf("%d addresses were looked at", len(looked))
	}
}
