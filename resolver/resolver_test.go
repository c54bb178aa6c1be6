package resolver

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const pwd = "MpiyNBrY/PGEqhMFOPRVzGsf"

var (
	addr4 = netip.MustParseAddr("10.77.1.2")
	addr6 = netip.MustParseAddr("2001:db8:77:1::2")
	local = Asker{Addr: netip.MustParseAddr("127.0.0.1")}
)

// A world is a resolver with a ring of one active key a suite.
type world struct {
	*Resolver
	ring *keyring.Ring
	now  time.Time
	mu   sync.Mutex
	seen map[string]int // what Metrics heard
	took int
}

func (w *world) Lookups(front Front, r Result, _ *cipher.Key, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[string(front)+" "+r.String()] += n
}

func (w *world) Took(_ Front, _ time.Duration, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took += n
}

func newWorld(t testing.TB, zones ...string) *world {
	t.Helper()
	w := &world{now: time.Now(), seen: map[string]int{}}
	e := new(keyring.Ring).Edit(w.now)
	for _, s := range cipher.Suites() {
		if err := e.Add(newKey(t, s), keyring.Active); err != nil {
			t.Fatal(err)
		}
	}
	w.setRing(t, e)
	set, err := new(policy.Loader).Load(policy.Source{Name: "default.hcl", Text: policies.Default})
	if err != nil {
		t.Fatal(err)
	}
	var all []Zone
	for _, z := range zones {
		all = append(all, Zone{Name: z})
	}
	w.Resolver, err = New(Config{
		Ring:   func() *keyring.Ring { return w.ring },
		Policy: func() *policy.Set { return set },
		Zones:  all, Metrics: w,
		Now: func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) setRing(t testing.TB, e *keyring.Editor) {
	t.Helper()
	r, err := e.Ring()
	if err != nil {
		t.Fatal(err)
	}
	w.ring = r
}

func newKey(t testing.TB, s cipher.Suite) *cipher.Key {
	t.Helper()
	k, err := cipher.GenerateKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// name returns the name of an address under the active key of a suite.
func (w *world) name(t testing.TB, suite cipher.Suite, addr netip.Addr) cipher.Name {
	t.Helper()
	k, err := w.ring.Active(suite)
	if err != nil {
		t.Fatal(err)
	}
	n, err := k.Encrypt(addr, pwd, []byte(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestResolve(t *testing.T) {
	w := newWorld(t, "local", "ice.corp.example.")
	uuid4, uuid6 := w.name(t, cipher.AESUUID, addr4).String(), w.name(t, cipher.AESUUID, addr6).String()
	foreign, err := newKey(t, cipher.AESUUID).Encrypt(addr4, pwd, nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger := Asker{Addr: netip.MustParseAddr("203.0.113.5")}
	for _, tt := range []struct {
		name, ask string
		asker     Asker
		want      Result
		addr      netip.Addr
	}{
		{"IPv4", uuid4 + ".local", local, Answered, addr4},
		{"IPv6", uuid6 + ".local", local, Answered, addr6},
		{"final dot", uuid4 + ".local.", local, Answered, addr4},
		{"upper case", strings.ToUpper(uuid4 + ".local"), local, Answered, addr4},
		{"zone of the operator", uuid4 + ".ICE.corp.example", local, Answered, addr4},
		{"mapped asker", uuid4 + ".local", Asker{Addr: netip.MustParseAddr("::ffff:10.1.1.1")}, Answered, addr4},
		{"asker with a zone", uuid4 + ".local", Asker{netip.MustParseAddr("fe80::1%eth0"), true}, Answered, addr4},
		{"another key", foreign.String() + ".local", local, Unauthenticated, netip.Addr{}},
		{"no name of ours", "printer.local", local, Unauthenticated, netip.Addr{}},
		{"a label before it", "x." + uuid4 + ".local", local, Unauthenticated, netip.Addr{}},
		{"empty label", ".local", local, Foreign, netip.Addr{}},
		{"the zone itself", "local.", local, NoData, netip.Addr{}},
		{"another zone", uuid4 + ".example", local, Foreign, netip.Addr{}},
		{"suffix that only looks like the zone", uuid4 + "xlocal", local, Foreign, netip.Addr{}},
		{"root", ".", local, Foreign, netip.Addr{}},
		{"stranger", uuid4 + ".local", stranger, Denied, netip.Addr{}},
		{"stranger, name that does not open", foreign.String() + ".local", stranger, Denied, netip.Addr{}},
		{"stranger on an own link", uuid4 + ".local", Asker{stranger.Addr, true}, Answered, addr4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := w.Resolve(tt.ask, tt.asker)
			if got.Result != tt.want || got.Addr != tt.addr {
				t.Errorf("got %v %v, want %v %v", got.Result, got.Addr, tt.want, tt.addr)
			}
			if got.Result == Answered && got.TTL != 120*time.Second {
				t.Errorf("TTL %v", got.TTL)
			}
		})
	}
}

// A name that opens to an address that no other host can reach is not answered, whoever made it.
func TestResolveUnreachable(t *testing.T) {
	w := newWorld(t)
	for _, a := range []string{"127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.251", "ff02::fb", "0.0.0.0", "::", "255.255.255.255"} {
		if got := w.Resolve(w.name(t, cipher.AESUUID, netip.MustParseAddr(a)).String()+".local", local); got.Result != Denied {
			t.Errorf("%s: %v %v", a, got.Result, got.Addr)
		}
	}
}

// Policy is asked again once the address is known.
func TestResolveAddressesOfPolicy(t *testing.T) {
	w := newWorld(t)
	set, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte("policy \"a\" {\n resolve {\n addresses = [\"10.77.0.0/16\"]\n ttl = \"30s\"\n}\n}")})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Policy = func() *policy.Set { return set }
	key, err := w.ring.Active(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Resolve(w.name(t, cipher.AESUUID, addr4).String()+".local", local); got != (Answer{Answered, addr4, 30 * time.Second, key}) {
		t.Errorf("an address of the policy: %+v", got)
	}
	if got := w.Resolve(w.name(t, cipher.AESUUID, addr6).String()+".local", local); got != (Answer{Result: Denied, Key: key}) {
		t.Errorf("another address: %+v", got)
	}
}

// The draft's names open once signaling has shown their ice-pwd, and for a day.
func TestResolveDraftSuites(t *testing.T) {
	for _, suite := range cipher.Suites()[1:] {
		t.Run(suite.String(), func(t *testing.T) {
			w := newWorld(t)
			n := w.name(t, suite, addr6)
			ask := n.String() + ".local"
			if got := w.Resolve(ask, local); got.Result != Unauthenticated {
				t.Errorf("before it was seen: %v", got.Result)
			}
			w.Remember(n, pwd)
			if got := w.Resolve(ask, local); got.Result != Answered || got.Addr != addr6 {
				t.Errorf("after: %v %v", got.Result, got.Addr)
			}
			w.now = w.now.Add(seenExpires)
			if got := w.Resolve(ask, local); got.Result != Unauthenticated {
				t.Errorf("a day later: %v", got.Result)
			}
		})
	}
}

// A retired key answers while its time lasts, and no longer than that in caches.
func TestResolveByKeyState(t *testing.T) {
	w := newWorld(t)
	ask := w.name(t, cipher.AESUUID, addr4).String() + ".local"
	e := w.ring.Edit(w.now)
	if err := e.Add(newKey(t, cipher.AESUUID), keyring.Active); err != nil {
		t.Fatal(err)
	}
	w.setRing(t, e)
	var until time.Time
	for e := range w.ring.Entries() {
		if e.State == keyring.Retired {
			until = e.AcceptUntil
		}
	}
	for _, tt := range []struct {
		name   string
		before time.Duration
		want   Result
		ttl    time.Duration
	}{
		{"long before the end", time.Hour, Answered, 120 * time.Second},
		{"shortly before", 40*time.Second + 500*time.Millisecond, Answered, 40 * time.Second},
		{"in the last second", 300 * time.Millisecond, Answered, time.Second},
		{"at the end", 0, Unauthenticated, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.now = until.Add(-tt.before)
			if got := w.Resolve(ask, local); got.Result != tt.want || got.TTL != tt.ttl {
				t.Errorf("got %v for %v, want %v for %v", got.Result, got.TTL, tt.want, tt.ttl)
			}
		})
	}
}

func TestSeenNamesAreBounded(t *testing.T) {
	s := newSeenNames(time.Now)
	k := newKey(t, cipher.AESUUID)
	var first cipher.Name
	for i := range maxSeen + 1 {
		n, err := k.Encrypt(netip.AddrFrom16([16]byte{0xfd, byte(i >> 16), byte(i >> 8), byte(i)}), pwd, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = n
		}
		s.add(n, pwd)
	}
	if s.table.Len() != maxSeen || s.pwd(first) != "" {
		t.Errorf("%d names are held, and the first is %q", s.table.Len(), s.pwd(first))
	}
}
