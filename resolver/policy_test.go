package resolver

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/policy"
)

// usePolicy puts a world under another policy.
func (w *world) usePolicy(t testing.TB, text string) {
	t.Helper()
	set, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Policy = func() *policy.Set { return set }
}

// Every attribute of a resolve block, by who asks.
func TestResolveBlock(t *testing.T) {
	guest, staff := Asker{Addr: netip.MustParseAddr("10.66.0.9")}, Asker{Addr: netip.MustParseAddr("10.20.0.9")}
	linked := Asker{netip.MustParseAddr("192.0.2.9"), true}
	for _, tt := range []struct {
		name, policy string
		asker        Asker
		want         Result
		ttl          time.Duration
	}{
		{"clients of the policy", "clients = [\"10.20.0.0/16\"]\n resolve {}", staff, Answered, 2 * time.Minute},
		{"not of the policy", "clients = [\"10.20.0.0/16\"]\n resolve {}", guest, Denied, 0},
		{"its own clients", "clients = []\n resolve {\n clients = [\"10.20.0.0/16\"]\n}", staff, Answered, 2 * time.Minute},
		{"its own clients are all", "clients = [\"10.66.0.0/16\"]\n resolve {\n clients = [\"10.20.0.0/16\"]\n}", guest, Denied, 0},
		{"no resolve", "", staff, Denied, 0},
		{"own links", "clients = []\n resolve {\n own_links = true\n}", linked, Answered, 2 * time.Minute},
		{"no own links", "clients = []\n resolve {}", linked, Denied, 0},
		{"addresses", "resolve {\n addresses = [\"10.77.0.0/16\"]\n}", staff, Answered, 2 * time.Minute},
		{"other addresses", "resolve {\n addresses = [\"10.78.0.0/16\"]\n}", staff, Denied, 0},
		{"ttl", "resolve {\n ttl = \"7s\"\n}", staff, Answered, 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.usePolicy(t, "policy \"p\" {\n"+tt.policy+"\n}")
			name := w.name(t, cipher.AESUUID, addr4).String() + ".local"
			if got := w.Resolve(name, tt.asker); got.Result != tt.want || got.TTL != tt.ttl {
				t.Errorf("got %v for %v, want %v for %v", got.Result, got.TTL, tt.want, tt.ttl)
			}
		})
	}
}

func TestRate(t *testing.T) {
	w := newWorld(t)
	w.usePolicy(t, "policy \"p\" {\n resolve {\n rate = 2\n burst = 3\n}\n}")
	name := w.name(t, cipher.AESUUID, addr4).String() + ".local"
	ask := func(want Result, asker Asker) {
		t.Helper()
		if got := w.Resolve(name, asker); got.Result != want {
			t.Errorf("got %v, want %v", got.Result, want)
		}
	}
	other := Asker{Addr: netip.MustParseAddr("10.1.1.2")}
	for range 3 {
		ask(Answered, local)
	}
	ask(Limited, local)
	ask(Answered, other)
	for range 100 { // the names of others, and what is outside the zones, are no lookups of ours
		if got := w.Resolve("printer.local", other); got.Result != Unauthenticated {
			t.Fatalf("printer.local: %v", got.Result)
		}
		if got := w.Resolve("www.example", other); got.Result != Foreign {
			t.Fatalf("www.example: %v", got.Result)
		}
	}
	ask(Answered, other)
	w.now = w.now.Add(time.Second / 2)
	ask(Answered, local)
	ask(Limited, local)
	w.usePolicy(t, "policy \"p\" {\n resolve {}\n}")
	ask(Answered, local)
}

// Who asks too often is refused by DNS, and hears nothing by Multicast DNS; both are counted.
func TestRateOfFrontEnds(t *testing.T) {
	w := newWorld(t)
	w.usePolicy(t, "policy \"p\" {\n resolve {\n rate = 1\n}\n}")
	name := w.name(t, cipher.AESUUID, addr4).String() + ".local."
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	server := serveDNS(t, w).Addr().String()
	for _, want := range []int{dns.RcodeSuccess, dns.RcodeRefused} {
		m, err := dns.Exchange(q, server)
		if err != nil || m.Rcode != want {
			t.Errorf("got %v, %v, want %s", m, err, dns.RcodeToString[want])
		}
	}
	from := netip.MustParseAddrPort("10.1.1.1:5353")
	for _, want := range []int{1, 0} {
		if got := w.replies(pack(t, q), query{from: from, multicast: true, onLink: true}); len(got) != want {
			t.Errorf("%d replies, want %d", len(got), want)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen["dns limited"] != 1 || w.seen["mdns limited"] != 1 {
		t.Errorf("counted %v", w.seen)
	}
}
