package policy_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

// Networks that hold each other, at both ends of the address spaces as well. Those of the first group are
// in 10.0.0.0/28, whose addresses are all tried.
var (
	fuzzNetworks = []string{
		"10.0.0.0/28", "10.0.0.0/29", "10.0.0.8/29", "10.0.0.0/30", "10.0.0.4/30", "10.0.0.8/30", "10.0.0.12/30",
		"10.0.0.0/31", "10.0.0.2/31", "10.0.0.14/31", "10.0.0.3/32", "10.0.0.15/32",
		"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "255.255.255.254/31", "255.255.255.255/32",
		"::/0", "::/1", "8000::/1", "fd00::/8", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
	}
	fuzzOrigins    = []string{"https://a.example", "https://b.example"}
	fuzzActions    = []string{"", "encrypt", "augment", "keep", "drop", "reveal"}
	fuzzTransports = [][]string{nil, nil, {}, {"udp"}, {"tcp"}, {"udp", "tcp"}}
)

// fuzzAddresses has an address of every part into which the networks cut the address spaces.
var fuzzAddresses = func() []netip.Addr {
	out := []netip.Addr{{}, ip("10.0.0.16"), ip("9.255.255.255"), ip("0.0.0.0"), ip("127.255.255.255"), ip("128.0.0.0"), ip("255.255.255.253"),
		ip("255.255.255.254"), ip("255.255.255.255"), ip("::"), ip("7fff::1"), ip("8000::"), ip("fd00::1"), ip("fe80::1%eth0"),
		ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}
	for a := ip("10.0.0.0"); a != ip("10.0.0.16"); a = a.Next() {
		out = append(out, a)
	}
	return append(out, ip("::ffff:10.0.0.3"))
}()

// A dice throws what fuzz bytes say, and zeros where they end.
type dice []byte

func (d *dice) below(n int) int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b) % n
}

func (d *dice) networks() modelList {
	n := d.below(5) - 1
	if n < 0 {
		return nil
	}
	list := modelList{}
	for range n {
		list = append(list, fuzzNetworks[d.below(len(fuzzNetworks))])
	}
	return list
}

func (d *dice) set() (out modelSet) {
	for i := range 1 + d.below(6) {
		p := &modelPolicy{name: string(rune('a' + i)), clients: d.networks()}
		switch d.below(6) {
		case 0:
			p.origins = fuzzOrigins[:1]
		case 1:
			p.origins = fuzzOrigins
		case 2:
			p.origins = []string{}
		}
		if d.below(4) > 0 {
			c := &modelCandidate{action: fuzzActions[d.below(6)], otherwise: fuzzActions[d.below(6)], addresses: d.networks(), transports: fuzzTransports[d.below(6)], max: d.below(5) - 1}
			if p.clients == nil && p.origins == nil && (c.action == "reveal" || c.otherwise == "reveal") {
				c.action, c.otherwise = "keep", "keep"
			}
			p.host = c
		}
		if d.below(3) > 0 {
			p.resolve = &modelResolve{clients: d.networks(), addresses: d.networks(), ownLinks: d.below(3) == 0, rate: d.below(3)}
		}
		p.relay = d.below(8) == 1
		p.inbound = []string{"", "keep", "decrypt"}[d.below(3)]
		out = append(out, p)
	}
	return out
}

// Decisions are those of a scan of the policies in order, in both syntaxes, and policies are said to be never
// reached where they are.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a set of a few policies, whatever it says"))
	f.Add([]byte{2, 2, 1, 3, 1, 1, 1, 1, 0, 0, 1, 2, 12, 17, 3, 1})
	f.Add([]byte{5, 3, 1, 2, 3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 1, 1, 0, 1, 2, 1, 1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1})
	for seed := range byte(64) {
		text := make([]byte, 120)
		for i := range text {
			text[i] = seed*31 + byte(i)*byte(i)*(seed|1) + byte(i>>1)*17
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := dice(text)
		model := d.set()
		for _, src := range []policy.Source{model.hcl(), model.json()} {
			set, err := new(policy.Loader).Load(src)
			if err != nil {
				t.Fatalf("%v\n%s", err, src.Text)
			}
			checkCandidates(t, model, set, src)
			checkLookups(t, model, set, src)
			checkNeverReached(t, model, set, src)
		}
	})
}

func checkCandidates(t *testing.T, model modelSet, set *policy.Set, src policy.Source) {
	for _, origin := range append(fuzzOrigins, "", "https://c.example") {
		for _, client := range fuzzAddresses {
			by, decrypt := "", false
			if p := model.signals(client, origin); p != nil {
				by = p.name
				decrypt = p.inbound == "decrypt" && (origin == "" || p.origins != nil)
			}
			if s := set.DecideSession(client, policy.Origin(origin)); s.InboundBy.Name() != by || s.Decrypt != decrypt {
				t.Fatalf("session of %v at %q: got %q, want %q\n%s", client, origin, s.InboundBy.Name(), by, src.Text)
			}
			for i, addr := range fuzzAddresses {
				transport := []string{"udp", "tcp"}[i%2]
				v := set.DecideCandidate(policy.Candidate{Client: client, Origin: policy.Origin(origin), Type: "host", Transport: transport, Addr: addr})
				action, most := model.candidate(client, origin, transport, addr)
				if v.By.Name() != by || v.Action.String() != action || v.Max != most {
					t.Fatalf("%v over %s of %v at %q: got %v by %v, want %v by %q\n%s", addr, transport, client, origin, v.Action, v.By, action, by, src.Text)
				}
			}
		}
	}
}

func checkLookups(t *testing.T, model modelSet, set *policy.Set, src policy.Source) {
	for _, onLink := range []bool{false, true} {
		for _, asker := range fuzzAddresses {
			a := set.DecideAsker(asker, onLink)
			p := model.asked(asker, onLink)
			switch {
			case p == nil || p.resolve == nil:
				if a.Allow || a.Rate != 0 {
					t.Fatalf("%v, on link %v: may look up\n%s", asker, onLink, src.Text)
				}
			case a.Rate != p.resolve.rate || a.Allow != (p.resolve.addresses == nil || len(p.resolve.addresses) > 0):
				t.Fatalf("%v, on link %v: got %+v\n%s", asker, onLink, a, src.Text)
			}
			for _, addr := range fuzzAddresses {
				got := set.DecideLookup(policy.Lookup{Asker: asker, OnLink: onLink, Addr: addr})
				by, allow := model.lookup(asker, onLink, addr)
				if got != a.Answer(addr) || got.By.Name() != by || got.Allow != allow {
					t.Fatalf("%v asked by %v, on link %v: got %+v, want %v by %q\n%s", addr, asker, onLink, got, allow, by, src.Text)
				}
			}
		}
	}
}

// checkNeverReached compares the warnings with a try of every client and origin.
func checkNeverReached(t *testing.T, model modelSet, set *policy.Set, src policy.Source) {
	signals, asked := map[string]bool{}, map[string]bool{}
	for _, a := range fuzzAddresses {
		for _, origin := range append(fuzzOrigins, "") {
			if p := model.signals(a, origin); p != nil {
				signals[p.name] = true
			}
		}
		for _, onLink := range []bool{false, true} {
			if p := model.asked(a, onLink); p != nil {
				asked[p.name] = true
			}
		}
	}
	var got, want []string
	for _, w := range set.Warnings() {
		if w.Summary == "Policy is never reached" || w.Summary == "Lookups are never reached" {
			got = append(got, policyAt(src, w.Line)+": "+w.Summary)
		}
	}
	for _, p := range model {
		if !signals[p.name] {
			want = append(want, p.name+": Policy is never reached")
		}
		if p.resolve != nil && !asked[p.name] {
			want = append(want, p.name+": Lookups are never reached")
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q\n%s", got, want, src.Text)
	}
}

var policyLine = regexp.MustCompile(`(?m)^(?:policy| +)? ?"([a-f])":? \{\}?$`)

// policyAt returns the name of the policy that a line belongs to.
func policyAt(src policy.Source, line int) string {
	lines := strings.SplitAfter(string(src.Text), "\n")
	names := policyLine.FindAllStringSubmatch(strings.Join(lines[:line], ""), -1)
	if names == nil {
		return "none"
	}
	return names[len(names)-1][1]
}
