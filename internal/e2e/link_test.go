//go:build linux

package e2e

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// What a query for the address of a name is answered with, and one for the family that it lacks.
const (
	positive4 = "AN NAME A 120 10.77.1.2 flush; AR NAME NSEC 120 NAME A flush"
	positive6 = "AN NAME AAAA 120 fd77:0:0:1::2 flush; AR NAME NSEC 120 NAME AAAA flush"
	negative4 = "AR NAME NSEC 120 NAME A flush"
	negative6 = "AR NAME NSEC 120 NAME AAAA flush"
)

// TestLink asks candgw by Multicast DNS, packet by packet, from the links that it is on.
func TestLink(t *testing.T) {
	require(t, "dig")
	n := newNetwork(t)
	g := startGateway(t, n.router)

	t.Run("answers", func(t *testing.T) { testAnswers(t, n, g) })
	t.Run("RFC 6762 16: letter case", func(t *testing.T) { testLetterCase(t, n, g) })
	t.Run("RFC 6762 5.5: link-local address", func(t *testing.T) { testLinkLocal(t, n, g) })
	t.Run("RFC 6762 5.5: beside the gateway", func(t *testing.T) { testBesideGateway(t, n, g) })
	t.Run("RFC 6762 6.7: dig", func(t *testing.T) { testLegacyDig(t, n, g) })
	t.Run("RFC 6762 6: asked twice", func(t *testing.T) { testAskedTwice(t, n, g) })
	t.Run("RFC 6762 6: other family first", func(t *testing.T) { testOtherFamilyFirst(t, n, g) })
	t.Run("RFC 6762 6: probe", func(t *testing.T) { testProbe(t, n, g) })
	t.Run("RFC 6762 5.3: several questions", func(t *testing.T) { testSeveralQuestions(t, n, g) })
	t.Run("RFC 6762 7.1: known answers", func(t *testing.T) { testKnownAnswers(t, n, g) })
	t.Run("RFC 6762 7.2: known answers in further packets", func(t *testing.T) { testFurtherPackets(t, n, g) })
	t.Run("RFC 6762 17: large packets", func(t *testing.T) { testLargePackets(t, n, g) })
	t.Run("RFC 6762 18: silence", func(t *testing.T) { testSilence(t, n, g) })
	t.Run("RFC 6762 11: askers off the link", func(t *testing.T) { testOffLink(t, n, g) })
	t.Run("RFC 6762 14: two links", func(t *testing.T) { testTwoLinks(t, n, g) })
	t.Run("interfaces", func(t *testing.T) { testInterfaces(t, n, g) })
}

func testAnswers(t *testing.T, n *network, g *gateway) {
	const port4, port6 = "10.77.1.2:0", "[fd77:0:0:1::2]:0" // another port than 5353: legacy
	const id = "id 4242; "
	v4, v6 := n.a.v4, n.a.v6
	for _, tt := range []struct {
		title    string
		name     netip.Addr // what the name stands for
		kind     uint16
		class    uint16
		from, to string
		want     string
	}{
		// The record alone in the answer section, and what does not exist beside it.
		{"RFC 6762 6.1: A", v4, dns.TypeA, dns.ClassINET, any4, group4, "id 0; " + positive4},
		{"RFC 6762 6.1: AAAA", v6, dns.TypeAAAA, dns.ClassINET, any4, group4, "id 0; " + positive6},
		{"RFC 6762 6.1: A over IPv6", v4, dns.TypeA, dns.ClassINET, any6, group6, "id 0; " + positive4},
		{"RFC 6762 6.1: AAAA over IPv6", v6, dns.TypeAAAA, dns.ClassINET, any6, group6, "id 0; " + positive6},
		{"RFC 6762 6.5: ANY", v4, dns.TypeANY, dns.ClassINET, any4, group4, "id 0; " + positive4},
		{"RFC 6762 6.5: ANY of an IPv6 name over IPv6", v6, dns.TypeANY, dns.ClassINET, any6, group6, "id 0; " + positive6},
		{"RFC 6762 6.5: class ANY", v4, dns.TypeA, dns.ClassANY, any4, group4, "id 0; " + positive4},
		{"RFC 6762 6.1: AAAA of an IPv4 name", v4, dns.TypeAAAA, dns.ClassINET, any4, group4, "id 0; " + negative4},
		{"RFC 6762 6.1: A of an IPv6 name", v6, dns.TypeA, dns.ClassINET, any4, group4, "id 0; " + negative6},
		{"RFC 6762 6.1: AAAA of an IPv4 name over IPv6", v4, dns.TypeAAAA, dns.ClassINET, any6, group6, "id 0; " + negative4},

		// A unicast answer is asked for.
		{"RFC 6762 5.4: QU A", v4, dns.TypeA, unicastIN, any4, group4, id + positive4},
		{"RFC 6762 5.4: QU AAAA over IPv6", v6, dns.TypeAAAA, unicastIN, any6, group6, id + positive6},
		{"RFC 6762 5.4: QU AAAA of an IPv4 name", v4, dns.TypeAAAA, unicastIN, any4, group4, id + negative4},

		// The question comes to the host alone, at any of its addresses.
		{"RFC 6762 5.5: direct", v4, dns.TypeA, dns.ClassINET, any4, "10.77.1.1:5353", id + positive4},
		{"RFC 6762 5.5: direct over IPv6", v6, dns.TypeAAAA, dns.ClassINET, any6, "[fd77:0:0:1::1]:5353", id + positive6},
		{"RFC 6762 5.5: direct to the far address", v4, dns.TypeA, dns.ClassINET, any4, "10.77.2.1:5353", id + positive4},
		{"RFC 6762 5.5: direct to the far address over IPv6", v4, dns.TypeA, dns.ClassINET, any6, "[fd77:0:0:2::1]:5353", id + positive4},

		// A resolver that knows nothing of Multicast DNS.
		{"RFC 6762 6.7: legacy A", v4, dns.TypeA, dns.ClassINET, port4, group4,
			id + "Q NAME A; AN NAME A 10 10.77.1.2; AR NAME NSEC 10 NAME A"},
		{"RFC 6762 6.7: legacy AAAA over IPv6", v6, dns.TypeAAAA, dns.ClassINET, port6, group6,
			id + "Q NAME AAAA; AN NAME AAAA 10 fd77:0:0:1::2; AR NAME NSEC 10 NAME AAAA"},
		{"RFC 6762 6.7: legacy AAAA of an IPv4 name", v4, dns.TypeAAAA, dns.ClassINET, port4, group4,
			id + "Q NAME AAAA; AR NAME NSEC 10 NAME A"},
		{"RFC 6762 6.7: legacy, direct", v4, dns.TypeA, dns.ClassINET, port4, "10.77.1.1:5353",
			id + "Q NAME A; AN NAME A 10 10.77.1.2; AR NAME NSEC 10 NAME A"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			name := g.newName(t, n.a, tt.name)
			a := newAsker(t, n.a, tt.from)
			a.send(t, tt.to, question(name, tt.kind, tt.class))
			packet := a.next(t)

			asked := netip.MustParseAddrPort(tt.to)
			if to := asked.Addr(); to.IsMulticast() && strings.HasPrefix(tt.want, "id 0;") {
				checkAnswer(t, packet, name, tt.want, to)
			} else {
				checkAnswer(t, packet, name, tt.want, a.own...)
			}
			if !asked.Addr().IsMulticast() && packet.from != asked {
				t.Errorf("answer from %s, want it from where the question went: %s", packet.from, asked)
			}
			a.checkQuiet(t, 100*time.Millisecond)
		})
	}
}

// testLetterCase asks in capital letters, of a name in which there are some.
func testLetterCase(t *testing.T, n *network, g *gateway) {
	for _, tt := range []struct {
		title, from, to string
		want            func(name string) string
	}{
		{"to the group", any4, group4, func(string) string { return "id 0; " + positive4 }},
		// The question is repeated as it was asked.
		{"legacy", "10.77.1.2:0", group4, func(name string) string {
			return strings.ReplaceAll("id 4242; Q NAME A; AN NAME A 10 10.77.1.2; AR NAME NSEC 10 NAME A", "NAME", dns.Fqdn(strings.ToUpper(name)))
		}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			name := g.newName(t, n.a, n.a.v4)
			a := newAsker(t, n.a, tt.from)
			a.send(t, tt.to, question(strings.ToUpper(name), dns.TypeA, dns.ClassINET))
			if got, want := a.next(t).describe(name), tt.want(name); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// testLinkLocal asks the address that IPv6 answers to the group come from.
func testLinkLocal(t *testing.T, n *network, g *gateway) {
	a := newAsker(t, n.a, any6)
	name := g.newName(t, n.a, n.a.v6)
	a.send(t, group6, question(name, dns.TypeAAAA, dns.ClassINET))
	router := a.next(t).from
	if !router.Addr().IsLinkLocalUnicast() {
		t.Fatalf("answer to the group comes from %s, want a link-local address", router)
	}
	a.send(t, router.String(), question(name, dns.TypeAAAA, dns.ClassINET))
	packet := a.next(t)
	if packet.from != router || !packet.to.IsLinkLocalUnicast() {
		t.Errorf("answer from %s to %s, want one from %s to a link-local address", packet.from, packet.to, router)
	}
	checkAnswer(t, packet, name, "id 4242; "+positive6, packet.to)

	// A host without any other address is on the link with that one.
	own := slices.IndexFunc(a.own, netip.Addr.IsLinkLocalUnicast)
	local := newAsker(t, n.a, netip.AddrPortFrom(a.own[own].WithZone("eth0"), 0).String())
	for _, to := range []string{group6, router.String()} {
		name := g.newName(t, n.a, n.a.v6)
		local.send(t, to, question(name, dns.TypeAAAA, dns.ClassINET))
		packet := local.next(t)
		checkAnswer(t, packet, name, "id 4242; Q NAME AAAA; AN NAME AAAA 10 fd77:0:0:1::2; AR NAME NSEC 10 NAME AAAA", a.own[own])
	}
}

// testLegacyDig asks by unicast. To the group dig of BIND 9.18 can ask no more: it connects its socket
// to the group, and then hears nobody.
func testLegacyDig(t *testing.T, n *network, g *gateway) {
	for _, tt := range []struct {
		server  string
		address netip.Addr
		kind    string
		want    []string
	}{
		{"10.77.1.1", n.a.v4, "A", []string{"ANSWER: 1,", "NAME. 10 IN A 10.77.1.2\n", "NAME. 10 IN NSEC NAME. A\n"}},
		{"10.77.1.1", n.a.v4, "AAAA", []string{"ANSWER: 0,", "NAME. 10 IN NSEC NAME. A\n"}},
		{"10.77.1.1", n.a.v6, "AAAA", []string{"ANSWER: 1,", "NAME. 10 IN AAAA fd77:0:0:1::2\n"}},
		{"fd77:0:0:1::1", n.a.v4, "A", []string{"ANSWER: 1,", "NAME. 10 IN A 10.77.1.2\n"}},
	} {
		name := g.newName(t, n.a, tt.address)
		output := n.a.dig(t, "-p", "5353", "@"+tt.server, name, tt.kind)
		for _, want := range append(tt.want, "status: NOERROR", ";NAME. IN "+tt.kind+"\n") {
			if want = strings.ReplaceAll(want, "NAME", name); !strings.Contains(output, want) {
				t.Errorf("dig @%s %s %s wrote no %q:\n%s", tt.server, name, tt.kind, want, output)
			}
		}
	}
}

// testAskedTwice asks again within the second in which nothing is multicast twice: section 6. Whoever
// asks waits for three seconds, so the second answer has to come late, but has to come.
func testAskedTwice(t *testing.T, n *network, g *gateway) {
	a := newAsker(t, n.a, any4)
	name := g.newName(t, n.a, n.a.v4)
	ask := question(name, dns.TypeA, dns.ClassINET)

	a.send(t, group4, ask)
	first := a.next(t)
	a.send(t, group4, ask)
	a.send(t, group4, ask)
	second := a.next(t)
	for _, packet := range []heard{first, second} {
		checkAnswer(t, packet, name, "id 0; "+positive4, netip.MustParseAddrPort(group4).Addr())
	}
	pause := second.at.Sub(first.at)
	t.Logf("second answer %v after the first", pause)
	if pause < 700*time.Millisecond || pause > 2500*time.Millisecond {
		t.Errorf("second answer %v after the first, want about a second", pause)
	}
	a.checkQuiet(t, 300*time.Millisecond) // the two that came early share one answer
}

// testOtherFamilyFirst asks for both families at once, as browsers do: that there is no AAAA must not
// hold back the A.
func testOtherFamilyFirst(t *testing.T, n *network, g *gateway) {
	a := newAsker(t, n.a, any4)
	name := g.newName(t, n.a, n.a.v4)
	a.send(t, group4, question(name, dns.TypeAAAA, dns.ClassINET))
	a.send(t, group4, question(name, dns.TypeA, dns.ClassINET))
	none, address := a.next(t), a.next(t)

	group := netip.MustParseAddrPort(group4).Addr()
	checkAnswer(t, none, name, "id 0; "+negative4, group)
	// The NSEC went out a moment ago, so it does not go along.
	checkAnswer(t, address, name, "id 0; AN NAME A 120 10.77.1.2 flush", group)
	if pause := address.at.Sub(none.at); pause > 800*time.Millisecond {
		t.Errorf("address came %v after the NSEC, want it at once", pause)
	}
}

// testSilence sends what calls for no answer.
func testSilence(t *testing.T, n *network, g *gateway) {
	a := newAsker(t, n.a, any4)
	legacy := newAsker(t, n.a, "10.77.1.2:0")
	good := g.newName(t, n.a, n.a.v4)
	ask := question(good, dns.TypeA, dns.ClassINET)
	response := question(good, dns.TypeA, dns.ClassINET)
	response.Response = true
	response.Answer = []dns.RR{newRecord(t, good+". 120 IN A 10.77.1.9")}
	update := question(good, dns.TypeA, dns.ClassINET)
	update.Opcode = dns.OpcodeUpdate
	known := question(good, dns.TypeA, dns.ClassINET) // section 7.1
	known.Answer = []dns.RR{newRecord(t, good+". 120 IN A 10.77.1.2")}

	const foreign = "8c9bd03b-b7a5-4a76-a803-eebc688f0388.local" // a browser's own, or under another key
	for _, message := range []*dns.Msg{
		question(foreign, dns.TypeA, dns.ClassINET),
		question(foreign, dns.TypeAAAA, dns.ClassINET),
		question("printer.local", dns.TypeA, dns.ClassINET),
		question("_services._dns-sd._udp.local", dns.TypePTR, dns.ClassINET),
		question("local", dns.TypeSOA, dns.ClassINET),
		question("x"+good, dns.TypeA, dns.ClassINET),
		question("example.com", dns.TypeA, dns.ClassINET),
		question(good, dns.TypeA, dns.ClassCHAOS),
		response, update, known,
	} {
		a.send(t, group4, message)
		a.send(t, "10.77.1.1:5353", message)
		legacy.send(t, group4, message)
	}
	whole, err := ask.Pack()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for length := range len(whole) {
		a.sendPacket(t, group4, whole[:length])
		garbage := make([]byte, length)
		for i := range garbage {
			garbage[i] = byte(random.Uint32())
		}
		a.sendPacket(t, group4, garbage)
	}
	a.checkQuiet(t, 1500*time.Millisecond)
	legacy.checkQuiet(t, 0)

	a.send(t, group4, ask)
	checkAnswer(t, a.next(t), good, "id 0; "+positive4, netip.MustParseAddrPort(group4).Addr())
}

func newRecord(t *testing.T, text string) dns.RR {
	t.Helper()
	record, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// testOffLink asks by unicast from behind a router, as it were: section 11. B has an address that is
// in no network of the router's.
func testOffLink(t *testing.T, n *network, g *gateway) {
	n.b.ip(t, "addr", "add", "10.99.0.2/32", "dev", "eth0")
	n.b.ip(t, "addr", "add", "fd99::2/128", "dev", "eth0", "nodad")
	n.router.ip(t, "route", "add", "10.99.0.2", "via", "10.77.2.2")
	n.router.ip(t, "route", "add", "fd99::2", "via", "fd77:0:0:2::2")

	for _, tt := range []struct{ router, onLink, offLink string }{
		{"10.77.1.1", "10.77.2.2", "10.99.0.2"},
		{"10.77.2.1", "10.77.2.2", "10.99.0.2"},
		{"fd77:0:0:1::1", "fd77:0:0:2::2", "fd99::2"},
		{"fd77:0:0:2::1", "fd77:0:0:2::2", "fd99::2"},
	} {
		to := net.JoinHostPort(tt.router, "5353")
		if err := n.reachesRouter(t.Context(), tt.offLink, tt.router); err != nil {
			t.Fatalf("%s does not reach %s at all: %v", tt.offLink, tt.router, err)
		}
		name := g.newName(t, n.a, n.a.v4)
		ask := question(name, dns.TypeA, dns.ClassINET)
		t.Run(tt.offLink+" to "+tt.router, func(t *testing.T) {
			off, legacy := newAsker(t, n.b, net.JoinHostPort(tt.offLink, "5353")), newAsker(t, n.b, net.JoinHostPort(tt.offLink, "0"))
			off.send(t, to, ask)
			legacy.send(t, to, ask)
			off.checkQuiet(t, 500*time.Millisecond)
			legacy.checkQuiet(t, 0)
		})
		t.Run(tt.onLink+" to "+tt.router, func(t *testing.T) {
			on := newAsker(t, n.b, net.JoinHostPort(tt.onLink, "5353"))
			on.send(t, to, ask)
			checkAnswer(t, on.next(t), name, "id 4242; "+positive4, netip.MustParseAddr(tt.onLink))
		})
	}
}

// reachesRouter reports why a connection from an address of B to one of the router's fails, or nil.
func (n *network) reachesRouter(ctx context.Context, from, to string) error {
	listener, err := n.router.listen(ctx, net.JoinHostPort(to, "0"))
	if err != nil {
		return err
	}
	defer listener.Close()
	dialer := net.Dialer{Timeout: patience / 6, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return n.b.within(func() error {
		conn, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// testTwoLinks checks that each link hears the answers to its own questions, and that one does not
// make the other wait.
func testTwoLinks(t *testing.T, n *network, g *gateway) {
	for _, tt := range []struct{ any, group string }{{any4, group4}, {any6, group6}} {
		a, b := newAsker(t, n.a, tt.any), newAsker(t, n.b, tt.any)
		name := g.newName(t, n.a, n.a.v4)
		ask := question(name, dns.TypeA, dns.ClassINET)
		to := netip.MustParseAddrPort(tt.group).Addr()

		a.send(t, tt.group, ask)
		first := a.next(t)
		checkAnswer(t, first, name, "id 0; "+positive4, to)
		b.checkQuiet(t, 200*time.Millisecond)
		b.send(t, tt.group, ask)
		second := b.next(t)
		checkAnswer(t, second, name, "id 0; "+positive4, to)
		if pause := second.at.Sub(first.at); pause > 900*time.Millisecond {
			t.Errorf("answer on the other link came %v after the first, want it at once", pause)
		}
		a.checkQuiet(t, 200*time.Millisecond)
	}
}
