package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/candgw/candgw/policy"
)

var plainName = policy.NameForm{Suite: "aes-uuid", Suffix: "local"}

// Each case fails if the attribute that it names is ignored.
func TestCandidateAttributes(t *testing.T) {
	host := policy.Candidate{Client: ip("10.1.0.1"), Type: "host", Transport: "udp", Addr: ip("10.1.2.3")}
	of := func(change func(*policy.Candidate)) policy.Candidate {
		c := host
		change(&c)
		return c
	}
	outside := of(func(c *policy.Candidate) { c.Addr = ip("192.0.2.1") })
	unknown := of(func(c *policy.Candidate) { c.Addr = netip.Addr{} })
	tcp := of(func(c *policy.Candidate) { c.Transport = "tcp" })
	srflx := of(func(c *policy.Candidate) { c.Type = "srflx" })
	relay := of(func(c *policy.Candidate) { c.Type = "relay" })
	const list = `addresses = ["10.1.0.0/16"]`
	for _, tt := range []struct {
		name, body string
		of         policy.Candidate
		want       policy.Verdict // without By
		by         string
		line       int
	}{
		{"host, no block", ``, host, policy.Verdict{Action: policy.Drop}, `no candidate "host"`, 1},
		{"srflx, no block", ``, srflx, policy.Verdict{Action: policy.Keep}, `no candidate "srflx"`, 1},
		{"prflx, no block", ``, of(func(c *policy.Candidate) { c.Type = "prflx" }), policy.Verdict{Action: policy.Keep}, `no candidate "prflx"`, 1},
		{"relay, no block", ``, relay, policy.Verdict{Action: policy.Keep}, `no candidate "relay"`, 1},
		{"no such type", `candidate "host" {}`, of(func(c *policy.Candidate) { c.Type = "Host" }), policy.Verdict{Action: policy.Drop}, ``, 1},

		{"host, empty block", `candidate "host" {}`, host, policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
		{"srflx, empty block", `candidate "srflx" {}`, srflx, policy.Verdict{Action: policy.Keep}, `candidate "srflx"`, 2},
		{"action of another type", "candidate \"host\" {}\ncandidate \"srflx\" {\n action = \"drop\"\n}", srflx, policy.Verdict{Action: policy.Drop}, `candidate "srflx", action`, 4},
		{"encrypt", "candidate \"host\" {\n action = \"encrypt\"\n}", host, policy.Verdict{Action: policy.Encrypt}, `candidate "host", action`, 3},
		{"augment", "candidate \"host\" {\n action = \"augment\"\n}", host, policy.Verdict{Action: policy.Augment}, `candidate "host", action`, 3},
		{"keep", "candidate \"host\" {\n action = \"keep\"\n}", host, policy.Verdict{Action: policy.Keep}, `candidate "host", action`, 3},
		{"drop", "candidate \"host\" {\n action = \"drop\"\n}", host, policy.Verdict{Action: policy.Drop}, `candidate "host", action`, 3},
		{"reveal", "candidate \"host\" {\n action = \"reveal\"\n}", host, policy.Verdict{Action: policy.Reveal}, `candidate "host", action`, 3},

		{"addresses, inside", "candidate \"host\" {\n " + list + "\n}", host, policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
		{"addresses, outside", "candidate \"host\" {\n " + list + "\n}", outside, policy.Verdict{Action: policy.Drop}, `candidate "host", addresses`, 3},
		{"addresses, IPv4-mapped", "candidate \"host\" {\n " + list + "\n}", of(func(c *policy.Candidate) { c.Addr = ip("::ffff:10.1.2.3") }), policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
		{"addresses, empty", "candidate \"host\" {\n addresses = []\n}", host, policy.Verdict{Action: policy.Drop}, `candidate "host", addresses`, 3},
		{"otherwise of addresses", "candidate \"host\" {\n " + list + "\n otherwise = \"keep\"\n}", outside, policy.Verdict{Action: policy.Keep}, `candidate "host", otherwise`, 4},
		{"otherwise, but inside", "candidate \"host\" {\n " + list + "\n otherwise = \"keep\"\n}", host, policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},

		{"unknown address, no list", "candidate \"host\" {\n action = \"drop\"\n}", unknown, policy.Verdict{Action: policy.Drop}, `candidate "host", action`, 3},
		{"unknown address may be listed", "candidate \"host\" {\n " + list + "\n}", unknown, policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
		{"unknown address may be unlisted", "candidate \"host\" {\n action = \"drop\"\n " + list + "\n otherwise = \"keep\"\n}", unknown, policy.Verdict{Action: policy.Keep}, `candidate "host", otherwise`, 5},
		{"unknown address passes neither way", "candidate \"host\" {\n action = \"drop\"\n " + list + "\n}", unknown, policy.Verdict{Action: policy.Drop}, `candidate "host", addresses`, 4},
		{"unknown address is in no empty list", "candidate \"host\" {\n addresses = []\n}", unknown, policy.Verdict{Action: policy.Drop}, `candidate "host", addresses`, 3},
		{"unknown address, transport not listed", "candidate \"host\" {\n " + list + "\n transports = [\"tcp\"]\n}", unknown, policy.Verdict{Action: policy.Drop}, `candidate "host", transports`, 4},

		{"transports, listed", "candidate \"host\" {\n transports = [\"tcp\"]\n}", tcp, policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
		{"transports, not listed", "candidate \"host\" {\n transports = [\"tcp\"]\n}", host, policy.Verdict{Action: policy.Drop}, `candidate "host", transports`, 3},
		{"transports, both", "candidate \"host\" {\n transports = [\"tcp\", \"udp\"]\n}", host, policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
		{"transports, empty", "candidate \"host\" {\n transports = []\n}", tcp, policy.Verdict{Action: policy.Drop}, `candidate "host", transports`, 3},
		{"transports, unset, of another one", `candidate "host" {}`, of(func(c *policy.Candidate) { c.Transport = "sctp" }), policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
		{"otherwise of transports", "candidate \"host\" {\n transports = [\"tcp\"]\n otherwise = \"keep\"\n}", host, policy.Verdict{Action: policy.Keep}, `candidate "host", otherwise`, 4},

		{"max", "candidate \"host\" {\n max = 3\n}", host, policy.Verdict{Action: policy.Encrypt, Max: 3}, `candidate "host"`, 2},
		{"max of otherwise", "candidate \"host\" {\n max = 3\n " + list + "\n otherwise = \"keep\"\n}", outside, policy.Verdict{Action: policy.Keep, Max: 3}, `candidate "host", otherwise`, 5},
		{"max 0", "candidate \"host\" {\n max = 0\n}", host, policy.Verdict{Action: policy.Drop}, `candidate "host", max`, 3},
		{"max 0 of otherwise", "candidate \"host\" {\n max = 0\n " + list + "\n otherwise = \"keep\"\n}", outside, policy.Verdict{Action: policy.Drop}, `candidate "host", max`, 3},

		{"related_address keep", "candidate \"srflx\" {\n related_address = \"keep\"\n}", srflx, policy.Verdict{Action: policy.Keep, KeepRelated: true}, `candidate "srflx"`, 2},
		{"related_address redact", "candidate \"srflx\" {\n related_address = \"redact\"\n}", srflx, policy.Verdict{Action: policy.Keep}, `candidate "srflx"`, 2},

		{"relay_only, host", "candidate \"host\" {}\nsession {\n relay_only = true\n}", host, policy.Verdict{Action: policy.Drop}, `session, relay_only`, 4},
		{"relay_only, srflx", "session {\n relay_only = true\n}", srflx, policy.Verdict{Action: policy.Drop}, `session, relay_only`, 3},
		{"relay_only, relay", "session {\n relay_only = true\n}\ncandidate \"relay\" {\n related_address = \"keep\"\n max = 2\n}", relay, policy.Verdict{Action: policy.Keep, Max: 2}, `candidate "relay"`, 5},
		{"relay_only false", "candidate \"host\" {}\nsession {\n relay_only = false\n}", host, policy.Verdict{Action: policy.Encrypt}, `candidate "host"`, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := load(t, "policy \"p\" { # 1\n"+tt.body+"\n clients = [\"10.0.0.0/8\"]\n}").DecideCandidate(tt.of)
			checkPlace(t, v.By, tt.by, tt.line)
			if *v.Name != plainName {
				t.Errorf("written as %+v", v.Name)
			}
			if (v.Max > 0) != (v.MaxBy != nil) {
				t.Errorf("at most %d by %v", v.Max, v.MaxBy)
			}
			if v.By, v.MaxBy, v.Name = nil, nil, nil; v != tt.want {
				t.Errorf("got %+v, want %+v", v, tt.want)
			}
		})
	}
}

func checkPlace(t *testing.T, p *policy.Place, block string, line int) {
	t.Helper()
	if want := (policy.Place{Policy: "p", Block: block, File: "test.hcl", Line: line}); p == nil || *p != want {
		t.Errorf("by %+v, want %+v", p, want)
	}
}

func TestNameAttributes(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       policy.NameForm
	}{
		{"no block", ``, plainName},
		{"empty block", `name {}`, plainName},
		{"suite", `name { suite = "aes-gcm" }`, policy.NameForm{Suite: "aes-gcm", Suffix: "local"}},
		{"form", "name {\n suite = \"aes-gcm\"\n form = \"extension\"\n}", policy.NameForm{Suite: "aes-gcm", Extension: true, Suffix: "local"}},
		{"form name", "name {\n suite = \"aes-gcm\"\n form = \"name\"\n}", policy.NameForm{Suite: "aes-gcm", Suffix: "local"}},
		{"suffix", `name { suffix = ".ICE.Example.com" }`, policy.NameForm{Suite: "aes-uuid", Suffix: "ice.example.com"}},
		{"extension addrtype", `name { extensions = ["addrtype"] }`, policy.NameForm{Suite: "aes-uuid", Suffix: "local", AddrType: true}},
		{"extension keyid", `name { extensions = ["keyid"] }`, policy.NameForm{Suite: "aes-uuid", Suffix: "local", KeyID: true}},
		{"no extensions", `name { extensions = [] }`, plainName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, "policy \"p\" {\n"+tt.body+"\ncandidate \"host\" { addresses = [\"10.0.0.0/8\"] }\n}")
			for _, addr := range []string{"10.0.0.1", "192.0.2.1"} {
				if v := set.DecideCandidate(policy.Candidate{Type: "host", Addr: ip(addr)}); *v.Name != tt.want {
					t.Errorf("got %+v, want %+v", v.Name, tt.want)
				}
			}
			if s := set.Suffixes(); len(s) != 1 || s[0] != tt.want.Suffix {
				t.Errorf("suffixes %q", s)
			}
		})
	}
}

// To a web page names are decrypted only by a policy that lists origins.
func TestDecryptForPages(t *testing.T) {
	const decrypt, page = "inbound {\n action = \"decrypt\"\n}", "https://a.example"
	for _, tt := range []struct {
		name, body           string
		origin               policy.Origin
		decrypt, notForPages bool
	}{
		{"no page", decrypt, "", true, false},
		{"a page", decrypt, page, false, true},
		{"a page that is listed", "origins = [\"" + page + "\"]\n" + decrypt, page, true, false},
		{"a page, nothing to decrypt", "", page, false, false},
		{"a page, keep", "inbound {\n action = \"keep\"\n}", page, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := load(t, "policy \"p\" {\n"+tt.body+"\n}").DecideSession(netip.Addr{}, tt.origin)
			if s.Decrypt != tt.decrypt || s.NotForPages != tt.notForPages || s.InboundBy == nil {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestSuffixes(t *testing.T) {
	set := load(t, "policy \"a\" {\n origins = []\n name { suffix = \"b.example\" }\n}\npolicy \"b\" {}\npolicy \"c\" {\n name { suffix = \"B.example\" }\n}")
	if s := set.Suffixes(); len(s) != 2 || s[0] != "b.example" || s[1] != "local" || set.Len() != 3 {
		t.Errorf("got %q of %d", s, set.Len())
	}
}

func TestSessionAttributes(t *testing.T) {
	type want struct {
		sdes, fingerprint, identity, require int // lines
		decrypt                              bool
		inboundLine                          int
	}
	for _, tt := range []struct {
		name, body string
		want       want
	}{
		{"no blocks", ``, want{inboundLine: 1}},
		{"empty blocks", "session {}\ninbound {}", want{inboundLine: 3}},
		{"forbid_sdes", "session {\n forbid_sdes = true\n}", want{sdes: 3, inboundLine: 1}},
		{"require_fingerprint", "session {\n require_fingerprint = true\n}", want{fingerprint: 3, inboundLine: 1}},
		{"false", "session {\n require_fingerprint = false\n forbid_sdes = false\n}", want{inboundLine: 1}},
		{"identity", "session {\n identity {}\n}", want{identity: 3, inboundLine: 1}},
		{"identity required", "session {\n identity {\n  require = true\n }\n}", want{identity: 3, require: 4, inboundLine: 1}},
		{"identity not required", "session {\n identity {\n  require = false\n }\n}", want{identity: 3, inboundLine: 1}},
		{"inbound keep", "inbound {\n action = \"keep\"\n}", want{inboundLine: 3}},
		{"inbound decrypt", "inbound {\n action = \"decrypt\"\n}", want{decrypt: true, inboundLine: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := load(t, "policy \"p\" { # 1\n"+tt.body+"\n}").DecideSession(netip.Addr{}, "")
			got := want{line(s.ForbidSDES), line(s.RequireFingerprint), 0, 0, s.Decrypt, line(s.InboundBy)}
			if s.Identity != nil {
				got.identity, got.require = line(s.Identity.By), line(s.Identity.Require)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func line(p *policy.Place) int {
	if p == nil {
		return 0
	}
	return p.Line
}

func TestIdentityProviders(t *testing.T) {
	set := load(t, `policy "p" {
 session {
 identity {
  provider "IdP.example.com" { domains = ["Example.com", "example.org"] }
  provider "any.example" {}
  provider "none.example" { domains = [] }
}
}
}`)
	for _, tt := range []struct {
		name, provider, identity string
		want                     bool
	}{
		{"listed", "idp.example.com", "ann@example.com", true},
		{"another one listed", "idp.example.com", "ann@example.org", true},
		{"in other letter case", "IDP.EXAMPLE.COM", "ann@EXAMPLE.com", true},
		{"not listed", "idp.example.com", "ann@example.net", false},
		{"in a domain below", "idp.example.com", "ann@sub.example.com", false},
		{"of two signs", "idp.example.com", "ann@example.net@example.com", true},
		{"of two signs, the other way", "idp.example.com", "ann@example.com@example.net", false},
		{"without a domain", "idp.example.com", "example.com", false},
		{"without a user", "idp.example.com", "@example.com", false},
		{"not told", "idp.example.com", "", false},
		{"of a provider without a list", "any.example", "ann@anything", true},
		{"of a provider without a list, not told", "any.example", "", true},
		{"of a provider with an empty list", "none.example", "ann@example.com", false},
		{"of another provider", "idp.example.net", "ann@example.com", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := set.DecideSession(netip.Addr{}, "").Identity.Allows(tt.provider, tt.identity); got != tt.want {
				t.Error(got)
			}
		})
	}
}

func TestResolveAttributes(t *testing.T) {
	const in = "\n clients = [\"10.0.0.0/8\"]\n"
	for _, tt := range []struct {
		name, body, asker string
		onLink            bool
		addr              string
		want              policy.Answer // without By
		by                string
		line              int
	}{
		{"no block", in, "10.1.1.1", true, "10.1.1.2", policy.Answer{}, "no resolve", 1},
		{"empty block", "resolve {}" + in, "10.1.1.1", false, "192.0.2.1", policy.Answer{Allow: true, TTL: 120 * time.Second}, "resolve", 2},
		{"clients", "resolve {\n clients = [\"192.0.2.0/24\"]\n}" + in, "192.0.2.1", false, "10.1.1.2", policy.Answer{Allow: true, TTL: 120 * time.Second}, "resolve", 2},
		{"addresses, inside", "resolve {\n addresses = [\"10.1.0.0/16\"]\n}" + in, "10.1.1.1", false, "10.1.1.2", policy.Answer{Allow: true, TTL: 120 * time.Second}, "resolve, addresses", 3},
		{"addresses, outside", "resolve {\n addresses = [\"10.1.0.0/16\"]\n}" + in, "10.1.1.1", false, "10.2.1.2", policy.Answer{}, "resolve, addresses", 3},
		{"addresses, empty", "resolve {\n addresses = []\n}" + in, "10.1.1.1", false, "10.1.1.2", policy.Answer{}, "resolve, addresses", 3},
		{"ttl", "resolve {\n ttl = \"1m30s\"\n}" + in, "10.1.1.1", false, "10.1.1.2", policy.Answer{Allow: true, TTL: 90 * time.Second}, "resolve", 2},
		{"own_links", "resolve {\n own_links = true\n}" + in, "192.0.2.1", true, "10.1.1.2", policy.Answer{Allow: true, TTL: 120 * time.Second}, "resolve", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := load(t, "policy \"p\" { # 1\n"+tt.body+"\n}").DecideLookup(policy.Lookup{Asker: ip(tt.asker), OnLink: tt.onLink, Addr: ip(tt.addr)})
			checkPlace(t, a.By, tt.by, tt.line)
			if a.By = nil; a != tt.want {
				t.Errorf("got %+v, want %+v", a, tt.want)
			}
		})
	}
	for _, tt := range []struct{ name, body, asker string }{
		{"clients of the policy", "resolve {}" + in, "192.0.2.1"},
		{"clients replace those of the policy", "resolve {\n clients = [\"192.0.2.0/24\"]\n}" + in, "10.1.1.1"},
		{"no clients", "resolve { clients = [] }", "10.1.1.1"},
		{"own_links false", "resolve {\n own_links = false\n}" + in, "192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := load(t, "policy \"p\" {\n"+tt.body+"\n}").DecideLookup(policy.Lookup{Asker: ip(tt.asker), OnLink: true, Addr: ip("10.1.1.2")}); a != (policy.Answer{}) {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestAskerRate(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		allow      bool
		rate       int
		burst      int
	}{
		{"unset", `resolve {}`, true, 0, 0},
		{"rate", `resolve { rate = 50 }`, true, 50, 50},
		{"burst", "resolve {\n rate = 50\n burst = 7\n}", true, 50, 7},
		{"no addresses at all", `resolve { addresses = [] }`, false, 0, 0},
		{"no resolve", ``, false, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := load(t, "policy \"p\" {\n"+tt.body+"\n}").DecideAsker(netip.Addr{}, false)
			if a.Allow != tt.allow || a.Rate != tt.rate || a.Burst != tt.burst || a.By.Name() != "p" {
				t.Errorf("got %+v", a)
			}
		})
	}
}

// A description changes nothing, but is read.
func TestDescription(t *testing.T) {
	load(t, "policy \"p\" { description = \"Browsers\" }")
	if _, err := new(policy.Loader).Load(policy.Source{Name: "x.hcl", Text: []byte("policy \"p\" { description = 1 }")}); err == nil {
		t.Error("a number is a description")
	}
}
