package policy_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/policy"
)

func load(t testing.TB, text string) *policy.Set {
	t.Helper()
	s, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ip(s string) netip.Addr {
	a, _ := netip.ParseAddr(s) // "" is the address that is not known
	return a
}

func TestDefaultCandidates(t *testing.T) {
	set := load(t, string(policies.Default))
	for _, tt := range []struct {
		name, client, typ, addr string
		want                    policy.Action
	}{
		{"private host", "10.77.1.2", "host", "10.77.1.2", policy.Encrypt},
		{"unique local host", "10.77.1.2", "host", "fd12:3456:789a:1::2", policy.Encrypt},
		{"global host", "", "host", "2001:db8:77:1::2", policy.Encrypt},
		{"server-reflexive", "", "srflx", "192.0.2.7", policy.Keep},
		{"peer-reflexive", "", "prflx", "192.0.2.7", policy.Keep},
		{"relayed", "198.51.100.1", "relay", "192.0.2.7", policy.Keep},
		{"unknown type", "", "teapot", "192.0.2.7", policy.Drop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := set.DecideCandidate(policy.Candidate{Client: ip(tt.client), Type: tt.typ, Addr: ip(tt.addr)})
			if v.Action != tt.want || v.KeepRelated || v.By.Name() != "default" || v.Name.Suite != "aes-uuid" {
				t.Errorf("got %+v, want action %v", v, tt.want)
			}
		})
	}
}

func TestDefaultLookups(t *testing.T) {
	set := load(t, string(policies.Default))
	for _, tt := range []struct {
		name, asker string
		onLink      bool
		want        bool
	}{
		{"private", "10.200.0.1", false, true},
		{"shared address space", "100.64.0.1", false, true},
		{"unique local", "fd00::1", false, true},
		{"loopback", "127.0.0.1", false, true},
		{"loopback, IPv6", "::1", false, true},
		{"global", "203.0.113.9", false, false},
		{"global, on an own link", "203.0.113.9", true, true},
		{"link-local, on an own link", "fe80::1", true, true},
		{"unknown", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := set.DecideLookup(policy.Lookup{Asker: ip(tt.asker), OnLink: tt.onLink, Addr: ip("10.1.2.3")})
			if a.Allow != tt.want || a.Allow && a.TTL != 120*time.Second {
				t.Errorf("got %+v, want allow %v", a, tt.want)
			}
		})
	}
}

func TestZeroSetAllowsNothing(t *testing.T) {
	var set policy.Set
	for typ, want := range map[string]policy.Action{"host": policy.Drop, "srflx": policy.Keep, "prflx": policy.Keep, "relay": policy.Keep, "other": policy.Drop} {
		v := set.DecideCandidate(policy.Candidate{Type: typ, Addr: ip("10.0.0.1")})
		if v.Action != want || v.KeepRelated || v.By != nil {
			t.Errorf("%s: %+v", typ, v)
		}
	}
	if a := set.DecideLookup(policy.Lookup{Asker: ip("127.0.0.1"), OnLink: true}); a.Allow {
		t.Errorf("lookup: %+v", a)
	}
}

// Every policy in the documentation is one.
func TestDocumentation(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, page := range append(pages, "../README.md", "../SECURITY.md") {
		switch filepath.Base(page) {
		case "config.md", "dns.md", "api.md", "proxy.md", "sfu.md", "extension.md": // whose blocks are run by internal/config
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, rest := range strings.Split(string(text), "```hcl\n")[1:] {
			block, _, _ := strings.Cut(rest, "```")
			if strings.HasPrefix(block, "case ") || strings.HasPrefix(block, "signaling ") { // run by internal/policytest and internal/config
				continue
			}
			if _, err := new(policy.Loader).Load(policy.Source{Name: fmt.Sprintf("%s, block %d", page, i+1), Text: []byte(block)}); err != nil {
				t.Error(err)
			}
			blocks++
		}
	}
	if blocks == 0 {
		t.Error("no policy is documented")
	}
}

// The language and the cipher package know the same suites, though neither imports the other.
func TestSuites(t *testing.T) {
	for _, s := range cipher.Suites() {
		set := load(t, "policy \"a\" {\n name { suite = \""+s.String()+"\" }\n}")
		if v := set.DecideCandidate(policy.Candidate{Type: "host"}); v.Name.Suite != s.String() {
			t.Errorf("%v: got %q", s, v.Name.Suite)
		}
	}
	_, err := new(policy.Loader).Load(policy.Source{Name: "x", Text: []byte("policy \"a\" {\n name { suite = \"?\" }\n}")})
	for _, word := range strings.FieldsFunc(strings.SplitAfter(err.Error(), "none of ")[1], func(r rune) bool { return strings.ContainsRune(", .\n", r) }) {
		if !slices.ContainsFunc(cipher.Suites(), func(s cipher.Suite) bool { return s.String() == word }) {
			t.Errorf("the language has a suite %q", word)
		}
	}
}

func TestReachable(t *testing.T) {
	for a, want := range map[string]bool{
		"10.0.0.1": true, "2001:db8::1": true, "fd00::1": true, "100.64.0.1": true,
		"": false, "127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "169.254.0.1": false,
		"fe80::1": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
	} {
		if policy.Reachable(ip(a)) != want {
			t.Errorf("%q: %v", a, !want)
		}
	}
}

func TestMayAsk(t *testing.T) {
	set := load(t, "policy \"a\" {\n resolve {\n clients = [\"10.0.0.0/8\"]\n own_links = true\n}\n}\npolicy \"b\" {}")
	for _, tt := range []struct {
		asker  string
		onLink bool
		want   bool
	}{{"10.1.1.1", false, true}, {"11.1.1.1", false, false}, {"11.1.1.1", true, true}, {"", false, false}} {
		if got := set.DecideAsker(ip(tt.asker), tt.onLink).Allow; got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
