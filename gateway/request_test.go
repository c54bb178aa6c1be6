package gateway

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

// TestSecret: names of raw addresses repeat within a secret, and nowhere else.
func TestSecret(t *testing.T) {
	s := newGateway(t, "")
	name := func(secret, line string) string {
		t.Helper()
		r, err := s.Encrypt(context.Background(), Request{Body: []byte(offer(line)), Format: SDP, Client: client, Secret: []byte(secret)})
		if err != nil || r.Report.Encrypted != 1 {
			t.Fatalf("%v, %+v", err, r)
		}
		return field(t, string(r.Body), 0, 0) + " " + field(t, string(r.Body), 0, 4)
	}
	const one, other = "0123456789abcdef", "0123456789abcdeg"
	raw, browsers := host("10.77.1.2"), host("884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local") // of the same address
	for _, tt := range []struct {
		name           string
		a, b           string // secrets
		first, second  string
		repeats, fresh bool
	}{
		{"one secret", one, one, raw, raw, true, false},
		{"two secrets", one, other, raw, raw, false, true},
		{"no secret", "", "", raw, raw, false, true},
		{"another address", one, one, raw, host("10.77.3.2"), false, true},
		{"a browser's name under one secret", one, one, browsers, browsers, true, false},
		{"a browser's name under two", one, other, browsers, browsers, true, false},
		{"a guess of a browser's address", one, one, browsers, raw, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := name(tt.a, tt.first), name(tt.b, tt.second)
			if (a == b) != tt.repeats {
				t.Errorf("got %s and %s", a, b)
			}
			if _, host, _ := strings.Cut(a, " "); tt.fresh && strings.Contains(b, host) {
				t.Errorf("%s repeats in %s", host, b)
			}
		})
	}
}

// TestPages: what goes to a web page is decrypted only by a policy with origins.
func TestPages(t *testing.T) {
	const page policy.Origin = "https://meet.example.com"
	const decrypt = "inbound {\n action = \"decrypt\"\n}"
	listed := strings.Replace(hostPolicy("", decrypt), "candidate", "origins = [\""+string(page)+"\"]\ncandidate", 1)
	for _, tt := range []struct {
		name, policy string
		client       netip.Addr
		origin       policy.Origin
		want         Fate
		decrypts     bool
	}{
		{"built-in, no page", "", client, "", FateDecrypted, true},
		{"built-in, a page", "", client, page, FateKept, false},
		{"listed", listed, client, page, FateDecrypted, true},
		{"another page than those listed", listed, client, page + ":8443", FateKept, false},
		{"written as IPv6", hostPolicy("", decrypt), netip.MustParseAddr("::ffff:192.0.2.1"), "", FateDecrypted, true},
		{"session requirements, a page", hostPolicy("", decrypt, "session {\n forbid_sdes = true\n}"), client, page, FateKept, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sender := newGateway(t, "")
			s := newGateway(t, tt.policy)
			s.ring = sender.ring
			sent, _ := sender.encrypt(t, SDP, offer(host("10.77.1.2")))
			r, err := s.Decrypt(context.Background(), Request{Body: []byte(sent), Format: SDP, Client: tt.client, Origin: tt.origin})
			if err != nil || r.Report.Candidates[0].Result != tt.want || strings.Contains(string(r.Body), "10.77.1.2") != (tt.want == FateDecrypted) {
				t.Errorf("%v, %+v", err, r)
			}
			checkReport(t, &r.Report)
			if s.Decrypts(tt.client, tt.origin) != tt.decrypts {
				t.Errorf("Decrypts says %v", !tt.decrypts)
			}
		})
	}
}

// TestBegin: a candidate finds its session if that was begun first, whichever is encrypted first.
func TestBegin(t *testing.T) {
	s := newGateway(t, "")
	begin := func(format Format, body string) *Pending {
		t.Helper()
		p, err := s.Begin(Request{Body: []byte(body), Format: format, Client: client})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	description, candidate := begin(SDP, offer(host("10.77.3.2"))), begin(JSON, candidateInit("10.77.1.2"))
	for _, p := range []*Pending{candidate, description} {
		if r, err := p.Encrypt(context.Background()); err != nil || r.Report.Encrypted != 1 {
			t.Errorf("%v, %+v", err, r)
		}
	}
	if _, err := s.Begin(Request{Body: []byte("{"), Format: JSON}); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
	p := begin(JSON, candidateInit("127.0.0.1"))
	if r, err := p.Encrypt(context.Background()); !errors.Is(err, ErrNothingLeft) || r.Report.Dropped != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestNothingChanged: a body in which nothing is changed is not copied.
func TestNothingChanged(t *testing.T) {
	s := newGateway(t, "")
	for _, body := range []string{`{"chat":"hello"}`, "hello", "", "2"} {
		in := []byte(body)
		r, err := s.Encrypt(context.Background(), Request{Body: in, Format: Message, Client: client})
		if err != nil || string(r.Body) != body || len(in) > 0 && &r.Body[0] != &in[0] {
			t.Errorf("%q: %v, %+v", body, err, r)
		}
	}
}

// clientOfNames is a NameResolver that tells for which client it was asked.
type clientOfNames chan netip.Addr

func (a clientOfNames) ResolveName(_ context.Context, _ string, client netip.Addr) (netip.Addr, error) {
	a <- client
	return netip.Addr{}, ErrNoLink
}

// TestZone has the link of a client with a link-local address be known to who asks for its names, and the session be
// that of the address alone.
func TestZone(t *testing.T) {
	asked := make(clientOfNames, 1)
	s := newGateway(t, "")
	s.config.Names = asked
	g := New(s.config)
	onLink := netip.MustParseAddr("fe80::9%eth1")
	body := []byte(offer(host("884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local")))
	if _, err := g.Encrypt(context.Background(), Request{Body: body, Format: SDP, Client: onLink}); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != onLink {
		t.Errorf("asked for %v", got)
	}
	id := g.sessions.id(sessionKey{onLink.WithZone(""), "XHiM"})
	if got := string(g.sessions.appendPwd(nil, id)); got != pwd {
		t.Errorf("the session of the address has the password %q", got)
	}
}
