package policy_test

import (
	"errors"
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
	s, err := policy.Load(policy.Source{Name: "test.hcl", Text: []byte(text)})
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
			if v.Action != tt.want || v.KeepRelated || v.Policy != "default" || v.Suite != "aes-uuid" {
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
	for _, typ := range []string{"host", "srflx", "prflx", "relay"} {
		if v := set.DecideCandidate(policy.Candidate{Type: typ, Addr: ip("10.0.0.1")}); v != (policy.Verdict{}) || v.Action != policy.Drop {
			t.Errorf("%s: %+v", typ, v)
		}
	}
	if a := set.DecideLookup(policy.Lookup{Asker: ip("127.0.0.1"), OnLink: true}); a.Allow {
		t.Errorf("lookup: %+v", a)
	}
}

func TestAttributes(t *testing.T) {
	set := load(t, `
policy "office" {
  clients = ["10.1.0.0/16"]
  candidate "host" {
    action    = "encrypt"
    addresses = ["10.1.0.0/16"]
    otherwise = "keep"
  }
  candidate "srflx" {
    action          = "drop"
    related_address = "keep"
  }
  name { suite = "aes-gcm" }
  resolve {
    addresses = ["10.1.0.0/16"]
    ttl       = "30s"
  }
}
policy "nobody" { clients = [] }
policy "rest" {
  candidate "host" { addresses = [] }
  resolve { clients = ["192.0.2.0/24"] }
}
`)
	for _, tt := range []struct {
		name, client, typ, addr string
		want                    policy.Verdict
	}{
		{"in addresses", "10.1.0.1", "host", "10.1.2.3", policy.Verdict{Action: policy.Encrypt, Suite: "aes-gcm", Policy: "office"}},
		{"otherwise", "10.1.0.1", "host", "10.2.0.1", policy.Verdict{Action: policy.Keep, Suite: "aes-gcm", Policy: "office"}},
		{"action and related address", "10.1.0.1", "srflx", "192.0.2.1", policy.Verdict{KeepRelated: true, Suite: "aes-gcm", Policy: "office"}},
		{"another client; an empty list is none", "10.9.0.1", "host", "10.1.2.3", policy.Verdict{Suite: "aes-uuid", Policy: "rest"}},
		{"unknown client", "", "host", "10.1.2.3", policy.Verdict{Suite: "aes-uuid", Policy: "rest"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v := set.DecideCandidate(policy.Candidate{Client: ip(tt.client), Type: tt.typ, Addr: ip(tt.addr)}); v != tt.want {
				t.Errorf("got %+v, want %+v", v, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name, asker, addr string
		want              policy.Answer
	}{
		{"clients of the policy", "10.1.9.9", "10.1.2.3", policy.Answer{Allow: true, TTL: 30 * time.Second, Policy: "office"}},
		{"another address", "10.1.9.9", "10.2.2.3", policy.Answer{TTL: 30 * time.Second, Policy: "office"}},
		{"own clients", "192.0.2.1", "10.2.2.3", policy.Answer{Allow: true, TTL: 120 * time.Second, Policy: "rest"}},
		{"nobody's", "10.9.9.9", "10.1.2.3", policy.Answer{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := set.DecideLookup(policy.Lookup{Asker: ip(tt.asker), OnLink: true, Addr: ip(tt.addr)}); a != tt.want {
				t.Errorf("got %+v, want %+v", a, tt.want)
			}
		})
	}
}

// Each mistake is told with its file, its line and what to write instead, and all of them at once.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		says       []string
	}{
		{"attribute mistyped", "policy \"a\" {\n  candidate \"host\" {\n    adresses = []\n  }\n}", []string{"bad.hcl:3", `Did you mean "addresses"?`}},
		{"block mistyped", "policy \"a\" {\n  resolv {}\n}", []string{"bad.hcl:2", `Did you mean "resolve"?`}},
		{"action mistyped", "policy \"a\" {\n  candidate \"host\" { action = \"encypt\" }\n}", []string{"bad.hcl:2", `Did you mean "encrypt"?`}},
		{"candidate type mistyped", "policy \"a\" {\n  candidate \"hots\" {}\n}", []string{"bad.hcl:2", `Did you mean "host"?`}},
		{"suite mistyped", "policy \"a\" {\n  name { suite = \"aes-uiud\" }\n}", []string{"bad.hcl:2", `Did you mean "aes-uuid"?`}},
		{"variable mistyped", "policy \"a\" {\n  clients = private_network\n}", []string{"bad.hcl:2", `Did you mean "private_networks"?`}},
		{"not a network", "policy \"a\" {\n  clients = [\n    \"10.0.0.0/8\",\n    \"10.0.0/8\",\n  ]\n}", []string{"bad.hcl:4", "Not a network"}},
		{"host bits", "policy \"a\" {\n  clients = [\"10.0.0.1/8\"]\n}", []string{"bad.hcl:2", `write "10.0.0.0/8"`}},
		{"mapped network", "policy \"a\" { clients = [\"::ffff:10.0.0.0/104\"] }", []string{"write the IPv4 one"}},
		{"not a list", "policy \"a\" { clients = \"10.0.0.0/8\" }", []string{"wants a list of networks"}},
		{"a number in the list", "policy \"a\" { clients = [10] }", []string{"text in quotes"}},
		{"duration without unit", "policy \"a\" {\n  resolve { ttl = \"120\" }\n}", []string{"bad.hcl:2", "a number with a unit"}},
		{"duration too long", "policy \"a\" {\n  resolve { ttl = \"48h\" }\n}", []string{"1s to 1h"}},
		{"wrong type", "policy \"a\" {\n  candidate \"host\" { action = true }\n}", []string{"text in quotes"}},
		{"two of one name", "policy \"a\" {}\npolicy \"a\" {}", []string{"bad.hcl:2", "another name"}},
		{"two blocks of one type", "policy \"a\" {\n  candidate \"host\" {}\n  candidate \"host\" {}\n}", []string{"bad.hcl:3", "into one block"}},
		{"not HCL", "policy \"a\" {", []string{"bad.hcl:1"}},
		{"all at once", "policy \"a\" {\n  clients = [\"x\"]\n  resolve { ttl = \"y\" }\n}", []string{"bad.hcl:2", "bad.hcl:3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := policy.Load(policy.Source{Name: "bad.hcl", Text: []byte(tt.text)})
			if !errors.Is(err, policy.ErrInvalid) || set != nil {
				t.Fatalf("got %v, %v", set, err)
			}
			for _, says := range tt.says {
				if !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), says) {
					t.Errorf("does not say %q:\n%v", says, err)
				}
			}
		})
	}
}

func TestSourceTooLarge(t *testing.T) {
	if _, err := policy.Load(policy.Source{Name: "big.hcl", Text: make([]byte, 4<<20+1)}); !errors.Is(err, policy.ErrInvalid) {
		t.Error(err)
	}
}

// However deep a file nests, it is an error like any other: HCL itself would overflow the stack.
func TestDeepNesting(t *testing.T) {
	for _, open := range []string{"(", "[", "{a=", "-", "!", "${", "\"${", "a?", "[for a in ", "policy {\n", "f(", "a[", "\"%{if "} {
		text := "\nx = " + strings.Repeat(open, (1<<17)/len(open))
		if _, err := policy.Load(policy.Source{Name: "deep.hcl", Text: []byte(text)}); !errors.Is(err, policy.ErrInvalid) || !strings.Contains(err.Error(), "deep.hcl:") {
			t.Errorf("%q: %.200v", open, err)
		}
	}
}

func TestLoadFiles(t *testing.T) {
	if _, err := policy.LoadFiles("../examples/policies/default.hcl"); err != nil {
		t.Error(err)
	}
	if _, err := policy.LoadFiles("nowhere.hcl"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
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
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, rest := range strings.Split(string(text), "```hcl\n")[1:] {
			block, _, _ := strings.Cut(rest, "```")
			if _, err := policy.Load(policy.Source{Name: fmt.Sprintf("%s, block %d", page, i+1), Text: []byte(block)}); err != nil {
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
		if v := set.DecideCandidate(policy.Candidate{Type: "host"}); v.Suite != s.String() {
			t.Errorf("%v: got %q", s, v.Suite)
		}
	}
	_, err := policy.Load(policy.Source{Name: "x", Text: []byte("policy \"a\" {\n name { suite = \"?\" }\n}")})
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
		if got := set.MayAsk(ip(tt.asker), tt.onLink); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	set := load(t, string(policies.Default))
	c := policy.Candidate{Client: ip("10.0.0.1"), Type: "host", Addr: ip("10.0.0.1")}
	l := policy.Lookup{Asker: ip("10.0.0.1"), Addr: ip("10.0.0.1")}
	if n := testing.AllocsPerRun(100, func() { set.DecideCandidate(c); set.DecideLookup(l) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(policies.Default)
	f.Add([]byte("policy \"a\" {\n candidate \"host\" {\n action = \"keep\"\n addresses = concat(private_networks, [])\n}\n}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := policy.Load(policy.Source{Name: "fuzz.hcl", Text: text})
		if (set == nil) == (err == nil) {
			t.Fatalf("got %v, %v", set, err)
		}
	})
}
