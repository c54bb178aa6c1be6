package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/policy"
)

// manyText writes as many policies, of as many networks each, into a folder, and returns the first address
// of each network. Of every policy half of the networks are of IPv4.
func manyText(t testing.TB, folder string, many int) (addrs []netip.Addr) {
	var text strings.Builder
	for p := range many {
		var list strings.Builder
		for n := range many {
			i := p*many + n
			a := netip.AddrFrom4([4]byte{byte(11 + i>>16), byte(i >> 8), byte(i), 0})
			bits := 24
			if n%2 == 1 {
				a, bits = netip.AddrFrom16([16]byte{0xfd, byte(i >> 16), byte(i >> 8), byte(i)}), 32+n%32
			}
			fmt.Fprintf(&list, "%v/%d\n", a, bits)
			addrs = append(addrs, a)
		}
		write(t, filepath.Join(folder, fmt.Sprintf("list-%d", p)), list.String())
		fmt.Fprintf(&text, "locals {\n  n%d = file_lines(\"list-%d\")\n}\npolicy \"%d\" {\n  clients = local.n%d\n"+
			"  candidate \"host\" { addresses = local.n%d }\n  resolve {\n    clients = local.n%d\n    addresses = local.n%d\n  }\n}\n", p, p, p, p, p, p, p)
	}
	write(t, filepath.Join(folder, "policies.hcl"), text.String())
	return addrs
}

func loadFolder(t testing.TB, folder string) *policy.Set {
	t.Helper()
	set, err := new(policy.Loader).LoadPath(folder)
	if err != nil || len(set.Warnings()) > 0 {
		t.Fatal(err)
	}
	return set
}

// A trial is a set with what is decided on: so many clients, at random, over and over.
type trial struct {
	set        *policy.Set
	candidates []policy.Candidate
	lookups    []policy.Lookup
	sum        int
}

func newTrial(set *policy.Set, addrs []netip.Addr, clients int) *trial {
	random := rand.New(rand.NewPCG(1, 2))
	t := &trial{set: set}
	for range clients {
		a := addrs[random.IntN(len(addrs))]
		t.candidates = append(t.candidates, policy.Candidate{Client: a, Type: "host", Transport: "udp", Addr: a})
		t.lookups = append(t.lookups, policy.Lookup{Asker: a, Addr: a})
	}
	return t
}

func (t *trial) candidate(i int) {
	if t.set.DecideCandidate(t.candidates[i%len(t.candidates)]).Action == policy.Encrypt {
		t.sum++
	}
}

func (t *trial) lookup(i int) {
	if t.set.DecideLookup(t.lookups[i%len(t.lookups)]).Allow {
		t.sum++
	}
}

// BenchmarkDecide times decisions with 1,000 policies of 1,000 networks, and right beside each with one of
// one network. x is how many times as long they take. That depends on how many clients are at work: what
// is looked up for many of them does not stay in the caches of the processor.
func BenchmarkDecide(b *testing.B) {
	small, large := b.TempDir(), b.TempDir()
	write(b, filepath.Join(small, "list"), "10.0.0.0/8\n")
	write(b, filepath.Join(small, "a.hcl"), "locals {\n  n = file_lines(\"list\")\n}\npolicy \"a\" {\n  clients = local.n\n  candidate \"host\" { addresses = local.n }\n  resolve {\n    clients = local.n\n    addresses = local.n\n  }\n}\n")
	var few []netip.Addr
	for i := range 1 << 16 {
		few = append(few, netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(i)}))
	}
	one := loadFolder(b, small)
	addrs := manyText(b, large, 1000)
	many := loadFolder(b, large)
	for _, clients := range []int{1, 100, 10_000} {
		trials := [...]*trial{newTrial(one, few, clients), newTrial(many, addrs, clients)}
		b.Run(fmt.Sprintf("candidate/clients=%d", clients), func(b *testing.B) { compare(b, trials, (*trial).candidate) })
		b.Run(fmt.Sprintf("lookup/clients=%d", clients), func(b *testing.B) { compare(b, trials, (*trial).lookup) })
	}
}

func compare(b *testing.B, trials [2]*trial, do func(*trial, int)) {
	const round = 1024
	var times [2]time.Duration
	trials[0].sum, trials[1].sum = 0, 0
	rounds := 0
	for b.Loop() {
		for i, t := range trials {
			start := time.Now()
			for n := range round {
				do(t, rounds*round+n)
			}
			times[i] += time.Since(start)
		}
		rounds++
	}
	if trials[0].sum != rounds*round || trials[1].sum != rounds*round {
		b.Fatalf("of %d let through: %d and %d", rounds*round, trials[0].sum, trials[1].sum)
	}
	decisions := float64(rounds * round)
	b.ReportMetric(float64(times[0].Nanoseconds())/decisions, "ns/one")
	b.ReportMetric(float64(times[1].Nanoseconds())/decisions, "ns/many")
	b.ReportMetric(float64(times[1])/float64(times[0]), "x")
}

func BenchmarkLoad(b *testing.B) {
	folder := b.TempDir()
	manyText(b, folder, 1000)
	for b.Loop() {
		loadFolder(b, folder)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	set := loadFolder(b, folder)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-kept")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "MiB-passing")
	runtime.KeepAlive(set)
}

// No decision allocates, of however many policies.
func TestDecideAllocatesNothing(t *testing.T) {
	folder := t.TempDir()
	addrs := manyText(t, folder, 100)
	if err := os.WriteFile(filepath.Join(folder, "z.hcl"), []byte("policy \"z\" {\n origins = [\"https://z.example\"]\n session {\n  forbid_sdes = true\n  identity {}\n }\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*policy.Set{"large": loadFolder(t, folder), "none": new(policy.Set)} {
		for _, a := range []netip.Addr{{}, addrs[0], addrs[len(addrs)-1], ip("192.0.2.1"), ip("::ffff:10.0.0.1"), ip("fe80::1%eth0")} {
			c := policy.Candidate{Client: a, Origin: "https://z.example", Type: "host", Transport: "udp", Addr: a}
			l := policy.Lookup{Asker: a, OnLink: true, Addr: a}
			for what, do := range map[string]func(){
				"candidate": func() { set.DecideCandidate(c) },
				"session":   func() { set.DecideSession(a, c.Origin) },
				"asker":     func() { set.DecideAsker(a, true).Answer(a) },
				"lookup":    func() { set.DecideLookup(l) },
			} {
				if n := testing.AllocsPerRun(20, do); n != 0 {
					t.Errorf("%s set, %s of %v: %v allocations", name, what, a, n)
				}
			}
		}
	}
}
