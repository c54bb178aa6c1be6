package limit

import (
	"encoding/binary"
	"math"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// manyAskers is the size of a table as the resolver has it.
const manyAskers = 1 << 20

var addr4, addr6 = netip.MustParseAddr("10.77.1.2"), netip.MustParseAddr("2001:db8::1")

// A testClock is the clock of a limiter; it may be moved either way.
type testClock struct{ t time.Time }

func newTestClock() *testClock {
	return &testClock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (c *testClock) now() time.Time { return c.t }

// A testLimiter is a limiter with its clock.
type testLimiter struct {
	*Limiter
	now func() time.Time
}

func newTestLimiter(size int, now func() time.Time) testLimiter {
	return testLimiter{New(size, now()), now}
}

func (l testLimiter) allow(asker netip.Addr, rate, burst int) bool {
	return l.Limiter.Allow(Host(asker), rate, burst, l.now())
}

// allowed returns how many of a number of lookups at once are allowed.
func allowed(l testLimiter, asker netip.Addr, rate, burst, asks int) int {
	n := 0
	for range asks {
		if l.allow(asker, rate, burst) {
			n++
		}
	}
	return n
}

// host4 returns one IPv4 address for each n.
func host4(n int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(n))
	return netip.AddrFrom4(a)
}

func TestLimiterSteps(t *testing.T) {
	type step struct {
		at          time.Duration // since the start
		rate, burst int
		asks, want  int
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"a burst at once", []step{{0, 10, 5, 100, 5}}},
		{"a burst of one", []step{{0, 10, 1, 100, 1}, {99 * time.Millisecond, 10, 1, 100, 0}, {100 * time.Millisecond, 10, 1, 100, 1}}},
		{"refill by and by", []step{{0, 10, 5, 5, 5}, {99 * time.Millisecond, 10, 5, 1, 0}, {100 * time.Millisecond, 10, 5, 9, 1}, {300 * time.Millisecond, 10, 5, 9, 2}}},
		{"refill after part of a burst", []step{{0, 10, 5, 3, 3}, {100 * time.Millisecond, 10, 5, 9, 3}}},
		{"refill to a burst and no more", []step{{0, 10, 5, 9, 5}, {time.Hour, 10, 5, 9, 5}, {1000 * time.Hour, 10, 5, 9, 5}}},
		{"what is refused costs nothing", []step{{0, 10, 5, 100_000, 5}, {500 * time.Millisecond, 10, 5, 9, 5}}},
		{"highest rate", []step{{0, 1_000_000, 5, 9, 5}, {999, 1_000_000, 5, 9, 0}, {1000, 1_000_000, 5, 9, 1}}},
		{"a rate that does not divide a second", []step{{0, 3, 1, 9, 1}, {333_333_333, 3, 1, 9, 0}, {333_333_334, 3, 1, 9, 1}}},
		{"a burst without end", []step{{0, 1, math.MaxInt, 9, 9}, {time.Second, 1_000_000, math.MaxInt, 9, 9}}},

		{"rate up", []step{{0, 1, 10, 10, 10}, {0, 1000, 10, 10, 0}, {time.Millisecond, 1000, 10, 10, 1}, {11 * time.Millisecond, 1000, 10, 99, 10}}},
		{"rate down", []step{{0, 1000, 10, 10, 10}, {time.Millisecond, 1, 10, 99, 9}, {9 * time.Millisecond, 1, 10, 99, 0}, {10 * time.Millisecond, 1, 10, 99, 1}}},
		{"burst down", []step{{0, 10, 1000, 1000, 1000}, {0, 10, 2, 9, 0}, {100 * time.Millisecond, 10, 2, 9, 1}, {time.Second, 10, 2, 9, 2}}},
		{"burst up", []step{{0, 10, 2, 2, 2}, {0, 10, 5, 9, 3}}},

		{"clock back, owing little", []step{{time.Hour, 10, 5, 9, 5}, {2 * time.Hour, 10, 5, 1, 1}, {0, 10, 5, 9, 4}, {100 * time.Millisecond, 10, 5, 9, 1}, {time.Second, 10, 5, 9, 5}}},
		{"clock back, owing all", []step{{time.Hour, 10, 5, 9, 5}, {0, 10, 5, 9, 0}, {100 * time.Millisecond, 10, 5, 9, 1}}},
		{"clock before the start", []step{{0, 10, 5, 9, 5}, {-time.Hour, 10, 5, 9, 0}, {100*time.Millisecond - time.Hour, 10, 5, 9, 1}}},
		{"clock before the start at first", []step{{-time.Hour, 10, 5, 9, 5}, {100*time.Millisecond - time.Hour, 10, 5, 9, 1}}},
		{"clock back and forth", []step{{time.Hour, 10, 5, 9, 5}, {0, 10, 5, 9, 0}, {time.Hour, 10, 5, 9, 5}, {time.Hour, 10, 5, 9, 0}}},
		{"clock back twice", []step{{time.Hour, 10, 5, 9, 5}, {time.Minute, 10, 5, 9, 0}, {0, 10, 5, 9, 0}, {100 * time.Millisecond, 10, 5, 9, 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newTestClock()
			start := clock.t
			l := newTestLimiter(64, clock.now)
			for i, s := range tt.steps {
				clock.t = start.Add(s.at)
				if got := allowed(l, host4(1), s.rate, s.burst, s.asks); got != s.want {
					t.Fatalf("step %d: %d allowed, want %d", i+1, got, s.want)
				}
			}
		})
	}
}

func TestLimiterKeepsRate(t *testing.T) {
	for _, tt := range []struct {
		name        string
		rate, burst int
		span, every time.Duration
		want        int
	}{
		{"one a second", 1, 1, time.Minute, 10 * time.Millisecond, 61},
		{"asked at the rate", 10, 5, time.Minute, 100 * time.Millisecond, 601},
		{"asked in crowds", 10, 5, time.Minute, time.Millisecond, 605},
		{"asked out of step", 10, 5, time.Minute, 7 * time.Millisecond, 604},
		{"three a second", 3, 2, 10 * time.Minute, 10 * time.Millisecond, 1801},
		{"a thousand a second", 1000, 100, 10 * time.Second, 100 * time.Microsecond, 10_100},
		{"a million a second", 1_000_000, 1000, 100 * time.Millisecond, 500, 101_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newTestClock()
			l := newTestLimiter(64, clock.now)
			got := 0
			for end := clock.t.Add(tt.span); !clock.t.After(end); clock.t = clock.t.Add(tt.every) {
				got += allowed(l, host4(1), tt.rate, tt.burst, 1)
			}
			if got != tt.want {
				t.Errorf("%d allowed in %v, want %d", got, tt.span, tt.want)
			}
		})
	}
}

func TestLimiterHosts(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"IPv4", "10.77.1.2", "10.77.1.3", false},
		{"mapped", "10.77.1.2", "::ffff:10.77.1.2", true},
		{"two mapped", "::ffff:10.77.1.2", "::ffff:10.77.1.3", false},
		{"mapped with a zone", "10.77.1.2", "::ffff:10.77.1.2%eth0", true},
		{"IPv4 link-local", "169.254.1.2", "169.254.1.3", false},
		{"one /64", "2001:db8:77:1::2", "2001:db8:77:1:ffff:ffff:ffff:ffff", true},
		{"two /64", "2001:db8:77:1::2", "2001:db8:77:2::2", false},
		{"unique local, one /64", "fd00:77::1", "fd00:77::2", true},
		{"link-local", "fe80::1", "fe80::2", false},
		{"translated", "64:ff9b::a4d:102", "64:ff9b::a4d:103", false},
		{"link-local on two links", "fe80::1%eth0", "fe80::1%eth1", true},
		{"loopback of both kinds", "127.0.0.1", "::1", false},
		{"IPv4 and ::/64", "10.77.1.2", "::a4d:102", false},
		{"no address", "", "", true},
		{"no address and ::/64", "", "::ff", false},
		{"no address and unspecified", "", "0.0.0.0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parse := func(s string) netip.Addr {
				if s == "" {
					return netip.Addr{}
				}
				return netip.MustParseAddr(s)
			}
			l := newTestLimiter(64, newTestClock().now)
			if got := allowed(l, parse(tt.a), 10, 5, 9); got != 5 {
				t.Fatalf("%q: %d allowed, want 5", tt.a, got)
			}
			want := 5
			if tt.same {
				want = 0
			}
			if got := allowed(l, parse(tt.b), 10, 5, 9); got != want {
				t.Errorf("%q after %q: %d allowed, want %d", tt.b, tt.a, got, want)
			}
		})
	}
}

// A host that asks all the time gets its rate and no more, while many others come by, each of whom is
// heard.
func TestLimiterFlood(t *testing.T) {
	const rate, burst = 100, 3
	for _, tt := range []struct {
		name         string
		size, others int
		span         time.Duration
	}{
		{"table of one set", askersInSet, 100_000, time.Second},
		{"table of a thousand", 1000, 1_000_000, time.Second},
		{"whole table, all at once", manyAskers, 1_000_000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newTestClock()
			l := newTestLimiter(tt.size, clock.now)
			loud := addr6
			got := allowed(l, loud, rate, burst, 9)
			for n := range tt.others {
				if !l.allow(host4(n), rate, burst) {
					t.Fatalf("newcomer %d was refused", n)
				}
				if n%(tt.others/1000) == 0 {
					clock.t = clock.t.Add(tt.span / 1000)
					got += allowed(l, loud, rate, burst, 9)
				}
			}
			if want := burst + int(tt.span.Seconds()*rate); got != want {
				t.Errorf("%d allowed in %v, want %d", got, tt.span, want)
			}
		})
	}
}

func TestLimiterFullSet(t *testing.T) {
	const rate, burst = 1, 20
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	for _, tt := range []struct {
		name string
		asks [askersInSet]int // of each host, one after the other
		wait time.Duration    // before the newcomer
		goes int
	}{
		{"the first asked least", [...]int{1, 9, 9, 9, 9, 9, 9, 9}, 0, 0},
		{"one in between asked least", [...]int{9, 8, 7, 2, 7, 8, 9, 10}, 0, 3},
		{"the last asked least", [...]int{20, 20, 20, 20, 20, 20, 20, 19}, 0, 7},
		{"the one with a full bucket", [...]int{9, 9, 9, 9, 9, 4, 9, 9}, 5 * time.Second, 5},
		{"all full: the one full first", [...]int{9, 9, 9, 9, 9, 9, 3, 9}, hours(1), 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newTestClock()
			l := newTestLimiter(askersInSet, clock.now)
			for host, n := range tt.asks {
				if got := allowed(l, host4(host), rate, burst, n); got != n {
					t.Fatalf("host %d: %d allowed, want %d", host, got, n)
				}
			}
			clock.t = clock.t.Add(tt.wait)
			newcomer := host4(99)
			if !l.allow(newcomer, rate, burst) {
				t.Error("the newcomer was refused")
			}
			for host, n := range tt.asks {
				if host == tt.goes {
					continue
				}
				want := min(burst-n+int(tt.wait/time.Second), burst)
				if got := allowed(l, host4(host), rate, burst, 99); got != want {
					t.Errorf("host %d, which stays: %d allowed, want %d", host, got, want)
				}
			}
			if got := allowed(l, newcomer, rate, burst, 99); got != burst-1 {
				t.Errorf("newcomer: %d more allowed, want %d", got, burst-1)
			}
			if got := allowed(l, host4(tt.goes), rate, burst, 99); got != burst {
				t.Errorf("host %d, whose place was taken: %d allowed, want %d", tt.goes, got, burst)
			}
		})
	}
}

// What was owed before the clock went back is paid at the same pace after, and then gives way.
func TestLimiterFullSetClockBack(t *testing.T) {
	clock := newTestClock()
	start := clock.t
	l := newTestLimiter(askersInSet, clock.now)
	clock.t = start.Add(24 * time.Hour)
	for host := range askersInSet {
		allowed(l, host4(host), 10, 10, 10)
	}
	clock.t = start
	l.allow(host4(0), 10, 10)
	clock.t = start.Add(time.Second)
	for host := 100; host < 100+askersInSet; host++ {
		allowed(l, host4(host), 10, 10, 10)
	}
	for host := 100; host < 100+askersInSet; host++ {
		if l.allow(host4(host), 10, 10) {
			t.Errorf("host %d lost its place to one that owes nothing", host)
		}
	}
}

func TestLimiterConcurrent(t *testing.T) {
	const hosts, goroutines, burst = askersInSet, 16, 1000
	l := newTestLimiter(manyAskers, newTestClock().now) // the clock stands still
	var got [hosts]atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for n := range 2 * burst * hosts / goroutines {
				if host := n % hosts; l.allow(host4(host), 10, burst) {
					got[host].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for host := range got {
		if n := got[host].Load(); n != burst {
			t.Errorf("host %d: %d allowed, want %d", host, n, burst)
		}
	}
}

func TestLimiterMemory(t *testing.T) {
	if got := reflect.TypeFor[askerSet]().Size(); got != 16*askersInSet {
		t.Errorf("a set has %d octets, want 16 an asker", got)
	}
	for _, tt := range []struct{ size, sets int }{{0, 1}, {1, 1}, {8, 1}, {15, 1}, {16, 2}, {manyAskers, manyAskers / askersInSet}} {
		if got := len(newTestLimiter(tt.size, time.Now).sets); got != tt.sets {
			t.Errorf("room for %d: %d sets, want %d", tt.size, got, tt.sets)
		}
	}
	l := newTestLimiter(64, newTestClock().now)
	for name, asker := range map[string]netip.Addr{
		"IPv4": addr4, "IPv6": addr6, "link-local": netip.MustParseAddr("fe80::1%eth0"), "none": {},
	} {
		if n := testing.AllocsPerRun(100, func() { l.allow(asker, 10, 5) }); n != 0 {
			t.Errorf("%s: %v allocations a lookup", name, n)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	for _, bb := range []struct {
		name  string
		hosts int
	}{
		{"one host", 1},
		{"thousand hosts", 1000},
		{"million hosts", 1 << 20},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l := newTestLimiter(manyAskers, time.Now)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				l.allow(host4(int(uint64(n)*0x9e3779b1%uint64(bb.hosts))), 1000, 100)
			}
		})
		b.Run(bb.name+", all cores", func(b *testing.B) {
			l := newTestLimiter(manyAskers, time.Now)
			var cores atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for n := int(cores.Add(1)) << 16; pb.Next(); n++ {
					l.allow(host4(int(uint64(n)*0x9e3779b1%uint64(bb.hosts))), 1000, 100)
				}
			})
		})
	}
}

// Goroutines that read the clock once for many lookups give times out of order; that gives nobody more.
func TestLimiterTimesOutOfOrder(t *testing.T) {
	clock := newTestClock()
	l := New(64, clock.t)
	got := 0
	const rate, burst, seconds = 10, 5, 60
	for end := clock.t.Add(seconds * time.Second); clock.t.Before(end); clock.t = clock.t.Add(10 * time.Millisecond) {
		for _, at := range []time.Time{clock.t, clock.t.Add(-9 * time.Millisecond)} {
			if l.Allow(Host(host4(1)), rate, burst, at) {
				got++
			}
		}
	}
	if want := rate*seconds + burst - 1; got != want {
		t.Errorf("%d allowed in %d s, want %d", got, seconds, want)
	}
}
