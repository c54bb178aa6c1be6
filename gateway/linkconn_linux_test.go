package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"

	"github.com/candgw/candgw/internal/mcast"
)

// responder is whoever has a name on a link. It answers when it is told to.
type responder struct {
	*ipv4.PacketConn
	asked chan askedFor
}

type askedFor struct {
	dnsmessage.Question
	questions, port int // of the packet
}

func newResponder(t *testing.T, link string) *responder {
	t.Helper()
	ifc, err := net.InterfaceByName(link)
	if err != nil {
		t.Fatal(err)
	}
	c, err := mcast.ListenGroup4(ifc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := &responder{ipv4.NewPacketConn(c), make(chan askedFor, 1024)}
	if err := errors.Join(r.JoinGroup(ifc, &net.UDPAddr{IP: mcast.Group4}), r.SetMulticastInterface(ifc)); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, _, from, err := r.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || m.Response {
				continue
			}
			for _, q := range m.Questions {
				r.asked <- askedFor{q, len(m.Questions), from.(*net.UDPAddr).Port}
			}
		}
	}()
	return r
}

// waitFor waits for a question of a type for a name.
func (r *responder) waitFor(t *testing.T, name string, kind dnsmessage.Type) askedFor {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		select {
		case q := <-r.asked:
			if q.Name.String() == name+"." && q.Type == kind {
				return q
			}
		case <-limit:
			t.Fatalf("%s is not asked for %s", name, kind)
		}
	}
}

func (r *responder) answer(t *testing.T, name string, addr netip.Addr, ttl uint32) {
	t.Helper()
	header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name + "."), Class: dnsmessage.ClassINET, TTL: ttl}
	answer := dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte(addr.AsSlice())}}
	if addr.Is6() {
		answer.Body = &dnsmessage.AAAAResource{AAAA: addr.As16()}
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}, Answers: []dnsmessage.Resource{answer}}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.WriteTo(packet, nil, &net.UDPAddr{IP: mcast.Group4, Port: mcast.Port}); err != nil {
		t.Fatal(err)
	}
}

// answers answers every question of a type for a name, until an answer comes to whoever asked.
func (r *responder) answers(t *testing.T, name string, kind dnsmessage.Type, addr netip.Addr, ttl uint32, answers <-chan netip.Addr) {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		select {
		case got := <-answers:
			if got != addr {
				t.Errorf("%s: got %v, want %v", name, got, addr)
			}
			return
		case q := <-r.asked:
			if q.Name.String() == name+"." && q.Type == kind {
				r.answer(t, name, addr, ttl)
			}
		case <-limit:
			t.Fatalf("no answer for %s comes", name)
		}
	}
}

// newTwoLinks returns a LinkNames that asks on the links of the clients 10.77.1.9 and 10.77.2.9, its clock, and who
// answers there.
func newTwoLinks(t *testing.T) (l *LinkNames, now *time.Time, one, two *responder) {
	t.Helper()
	newNamespace(t)
	for link, addr := range map[string]string{"one": "10.77.1.1/24", "two": "10.77.2.1/24"} {
		addLink(t, link, "")
		ip(t, "addr add "+addr+" dev "+link)
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now = &start
	l = NewLinkNames(nil)
	l.idle = time.Hour
	l.now = func() time.Time { return *now }
	t.Cleanup(func() { l.Close() })
	return l, now, newResponder(t, "one"), newResponder(t, "two")
}

// remembers returns what is known of a name without an answer: the caller cannot wait.
func remembers(t *testing.T, l *LinkNames, name, client string) netip.Addr {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	addr, err := l.ResolveName(ctx, name, netip.MustParseAddr(client))
	if addr.IsValid() != (err == nil) {
		t.Errorf("%v, %v", addr, err)
	}
	return addr
}

const clientOne, clientTwo = "10.77.1.9", "10.77.2.9"

// Chromium answers no other question at once, and none in a packet of several.
func TestLinkNamesAskAny(t *testing.T) {
	l, _, one, _ := newTwoLinks(t)
	for _, addr := range []netip.Addr{browser, netip.MustParseAddr("fd77::9")} {
		name := addr.String()[:2] + ".local"
		answers := make(chan netip.Addr, 1)
		asked := askOn(t, l, name, clientOne, answers)
		q := one.waitFor(t, name, dnsmessage.TypeALL)
		if q.Class != dnsmessage.ClassINET || q.questions != 1 || q.port != mcast.Port {
			t.Errorf("asked %+v", q)
		}
		one.answers(t, name, dnsmessage.TypeALL, addr, 120, answers) // to the next: the packet may have been lost
		l.leave(asked, answers)
	}
}

func TestLinkNamesShare(t *testing.T) {
	l, _, one, two := newTwoLinks(t)
	const name = "x.local"
	first, second, third, elsewhere := make(chan netip.Addr, 1), make(chan netip.Addr, 1), make(chan netip.Addr, 1), make(chan netip.Addr, 1)
	asked := askOn(t, l, name, clientOne, first)
	for _, answers := range []chan netip.Addr{second, third} {
		if q := askOn(t, l, name, clientOne, answers); q[0] != asked[0] {
			t.Error("the question is not shared")
		}
	}
	other := askOn(t, l, name, clientTwo, elsewhere)
	if other[0] == asked[0] {
		t.Error("the question is shared between links")
	}
	if q := askOn(t, l, "y.local", clientOne, make(chan netip.Addr, 1)); q[0] == asked[0] {
		t.Error("the question is shared between names")
	}

	// Whoever gives up does not end it for the others.
	l.leave(asked, first)
	for _, answers := range []chan netip.Addr{second, third} {
		one.answers(t, name, dnsmessage.TypeA, browser, 120, answers)
	}
	if len(first) > 0 {
		t.Error("an answer for whoever has left")
	}

	// Nor is it an answer on the other link, to those who ask there or who come later.
	if got := remembers(t, l, name, clientTwo); got.IsValid() || len(elsewhere) > 0 {
		t.Errorf("got %v on the other link", got)
	}
	there := netip.MustParseAddr(clientTwo)
	two.answers(t, name, dnsmessage.TypeA, there, 120, elsewhere)
	if got := remembers(t, l, name, clientOne); got != browser {
		t.Errorf("got %v", got)
	}
	if got := remembers(t, l, name, clientTwo); got != there {
		t.Errorf("got %v", got)
	}
}

func TestLinkNamesRemember(t *testing.T) {
	l, now, one, _ := newTwoLinks(t)
	resolve := func(name string, ttl uint32) {
		t.Helper()
		answers := make(chan netip.Addr, 1)
		asked := askOn(t, l, name, clientOne, answers)
		one.answers(t, name, dnsmessage.TypeA, browser, ttl, answers)
		l.leave(asked, answers)
	}
	check := func(name string, want bool) {
		t.Helper()
		if got := remembers(t, l, name, clientOne); got.IsValid() != want {
			t.Errorf("%s is remembered as %v", name, got)
		}
	}

	// That nobody answers is not remembered, nor asked for any longer.
	check("long.local", false)
	l.mu.Lock()
	for _, conn := range l.conns {
		if len(conn.questions) > 0 {
			t.Error("a question is kept that nobody waits for")
		}
	}
	l.mu.Unlock()
	resolve("long.local", 120)
	resolve("short.local", 3)
	resolve("gone.local", 0)
	check("long.local", true)
	check("short.local", true)
	check("gone.local", false)
	*now = now.Add(3 * time.Second)
	check("long.local", true)
	check("short.local", false)
	*now = now.Add(7*time.Second - 1)
	check("long.local", true)
	*now = now.Add(1)
	check("long.local", false)
	resolve("long.local", 120)
	check("long.local", true)
}
