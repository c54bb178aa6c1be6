//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// ask returns a packet with a question for the IPv4 address of each name.
func ask(names ...string) *dns.Msg {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Id: askID}, Compress: true}
	for _, name := range names {
		m.Question = append(m.Question, question(name, dns.TypeA, dns.ClassINET).Question...)
	}
	return m
}

// namesOf returns encrypted names of the IPv4 address of a host.
func (g *gateway) namesOf(t *testing.T, h host, count int) []string {
	t.Helper()
	names := make([]string, count)
	for i := range names {
		names[i] = g.newName(t, h, h.v4)
	}
	return names
}

// testSeveralQuestions asks several questions in one packet. Each name has an answer of its own, and that of
// both families is one.
func testSeveralQuestions(t *testing.T, n *network, g *gateway) {
	group := netip.MustParseAddrPort(group4).Addr()
	a := newAsker(t, n.a, any4)
	t.Run("RFC 6762 5.3: both families of one name", func(t *testing.T) {
		name := g.newName(t, n.a, n.a.v4)
		both := ask(name)
		both.Question = append(both.Question, question(name, dns.TypeAAAA, dns.ClassINET).Question...)
		a.send(t, group4, both)
		checkAnswer(t, a.next(t), name, "id 0; "+positive4, group)
		a.checkQuiet(t, 1500*time.Millisecond)
	})
	t.Run("RFC 6762 5.3: three names", func(t *testing.T) {
		names := g.namesOf(t, n.a, 3)
		a.send(t, group4, ask(names...))
		for _, name := range names {
			checkAnswer(t, a.next(t), name, "id 0; "+positive4, group)
		}
		a.checkQuiet(t, 100*time.Millisecond)
	})
	// Others may answer the other question, at the same moment.
	t.Run("RFC 6762 6.3: one for another host", func(t *testing.T) {
		name := g.newName(t, n.a, n.a.v4)
		sent := time.Now()
		a.send(t, group4, ask("printer.local", name))
		answer := a.next(t)
		checkAnswer(t, answer, name, "id 0; "+positive4, group)
		if wait := answer.at.Sub(sent); wait < 20*time.Millisecond {
			t.Errorf("answer after %v, want it after 20 ms at the least", wait)
		}
	})
	t.Run("RFC 6762 5.4: each asked for by unicast", func(t *testing.T) {
		names := g.namesOf(t, n.a, 2)
		m := ask(names...)
		for i := range m.Question {
			m.Question[i].Qclass = unicastIN
		}
		a.send(t, group4, m)
		for _, name := range names {
			checkAnswer(t, a.next(t), name, "id 4242; "+positive4, a.own...)
		}
	})
}

// testProbe asks as a host does that would take the name for its own: it has to hear of it soon.
func testProbe(t *testing.T, n *network, g *gateway) {
	a := newAsker(t, n.a, any4)
	name := g.newName(t, n.a, n.a.v4)
	a.send(t, group4, ask(name))
	first := a.next(t)
	probe := question(name, dns.TypeANY, dns.ClassINET)
	probe.Ns = []dns.RR{newRecord(t, name+". 120 IN A 10.77.1.9")}
	a.send(t, group4, probe)
	second := a.next(t)
	checkAnswer(t, second, name, "id 0; "+positive4, netip.MustParseAddrPort(group4).Addr())
	if pause := second.at.Sub(first.at); pause < 100*time.Millisecond || pause > 900*time.Millisecond {
		t.Errorf("answer to the probe %v after the first answer, want 250 ms", pause)
	}
	a.checkQuiet(t, 1500*time.Millisecond)
}

// testLargePackets asks for as many names as there is room for in 9000 octets with the headers of IP and UDP:
// in fragments, and whole on a link that takes them.
func testLargePackets(t *testing.T, n *network, g *gateway) {
	for _, mtu := range []int{1500, 9000} {
		t.Run(fmt.Sprintf("RFC 6762 17: MTU %d", mtu), func(t *testing.T) {
			for _, end := range []struct {
				namespace
				link string
			}{{n.router, "subnet1"}, {n.a.namespace, "eth0"}} {
				end.ip(t, "link", "set", end.link, "mtu", strconv.Itoa(mtu))
				t.Cleanup(func() { end.ip(t, "link", "set", end.link, "mtu", "1500") })
			}
			for _, tt := range []struct {
				local, group string
				headers      int
			}{{any4, group4, 20 + 8}, {any6, group6, 40 + 8}} {
				a := newAsker(t, n.a, tt.local)
				var names []string
				for ask(names...).Len() <= 9000-tt.headers {
					names = append(names, g.newName(t, n.a, n.a.v4))
				}
				names = names[1:]
				size := ask(names...).Len() + tt.headers
				if size < 8900 || size > 9000 {
					t.Fatalf("the packet has %d octets", size)
				}
				a.send(t, tt.group, ask(names...))
				for _, name := range names {
					checkAnswer(t, a.next(t), name, "id 0; "+positive4, netip.MustParseAddrPort(tt.group).Addr())
				}
				a.checkQuiet(t, 100*time.Millisecond)
				t.Logf("%d octets to %s: %d names, all answered", size, tt.group, len(names))
			}
		})
	}
}

// testBesideGateway asks by unicast after the gateway has opened the sockets on which it asks for the names of
// clients. They share the port, and must not take the questions.
func testBesideGateway(t *testing.T, n *network, g *gateway) {
	g.encryptDescription(t, n.a, fmt.Sprintf(sampleOffer, "8c9bd03b-b7a5-4a76-a803-eebc688f0388.local"))
	for _, tt := range []struct{ from, to string }{
		{"10.77.1.2:0", "10.77.1.1:5353"}, {"[fd77:0:0:1::2]:0", "[fd77:0:0:1::1]:5353"},
	} {
		// The system spreads them over the sockets by the port that they come from.
		for range 40 {
			a := newAsker(t, n.a, tt.from)
			name := g.newName(t, n.a, n.a.v4)
			a.send(t, tt.to, ask(name))
			if packet, ok := a.hears(2 * time.Second); !ok {
				t.Errorf("a question to %s has no answer", tt.to)
			} else if got, _ := packet.address(name, dns.TypeA); got != "10.77.1.2" {
				t.Errorf("answer %q", packet.describe(name))
			}
			a.close()
		}
	}
}
