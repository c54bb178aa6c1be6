//go:build linux

package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// know adds to a packet that the asker knows the address of a name, or what else a record says.
func know(t *testing.T, m *dns.Msg, names []string, record string) *dns.Msg {
	t.Helper()
	for _, name := range names {
		m.Answer = append(m.Answer, newRecord(t, name+". "+record))
	}
	return m
}

// testKnownAnswers asks for what the asker says it knows.
func testKnownAnswers(t *testing.T, n *network, g *gateway) {
	for _, tt := range []struct {
		title  string
		kind   uint16
		record string
		want   string // nothing if it is known
	}{
		{"RFC 6762 7.1: known for half its life", dns.TypeA, "60 IN A 10.77.1.2", ""},
		{"RFC 6762 7.1: known, nearly over", dns.TypeA, "59 IN A 10.77.1.2", "id 0; " + positive4},
		{"RFC 6762 7.1: another address is known", dns.TypeA, "120 IN A 10.77.1.9", "id 0; " + positive4},
		{"RFC 6762 7.1: known to ANY", dns.TypeANY, "120 IN A 10.77.1.2", ""},
		{"RFC 6762 7.1: known not to be", dns.TypeAAAA, "120 IN NSEC printer.local. A", ""},
		{"RFC 6762 7.1: the address is known, not what is not", dns.TypeAAAA, "120 IN A 10.77.1.2", "id 0; " + negative4},
	} {
		t.Run(tt.title, func(t *testing.T) {
			a := newAsker(t, n.a, any4)
			name := g.newName(t, n.a, n.a.v4)
			a.send(t, group4, know(t, question(name, tt.kind, dns.ClassINET), []string{name}, tt.record))
			if tt.want != "" {
				checkAnswer(t, a.next(t), name, tt.want, netip.MustParseAddrPort(group4).Addr())
			}
			a.checkQuiet(t, 300*time.Millisecond)
		})
	}
}

// testFurtherPackets sends queries whose known answers go on in further packets. What is not among them comes
// once they may have come, and what is does not.
func testFurtherPackets(t *testing.T, n *network, g *gateway) {
	const known = "120 IN A 10.77.1.2"
	truncated := func(m *dns.Msg) *dns.Msg {
		m.Truncated = true
		return m
	}
	for _, tt := range []struct{ local, group string }{{any4, group4}, {any6, group6}} {
		to := netip.MustParseAddrPort(tt.group).Addr()
		t.Run("RFC 6762 7.2: one of three is not known, "+tt.group, func(t *testing.T) {
			a := newAsker(t, n.a, tt.local)
			names := g.namesOf(t, n.a, 3)
			sent := time.Now()
			a.send(t, tt.group, truncated(know(t, ask(names...), names[:1], known)))
			a.send(t, tt.group, know(t, ask(), names[1:2], known))
			answer := a.next(t)
			checkAnswer(t, answer, names[2], "id 0; "+positive4, to)
			if wait := answer.at.Sub(sent); wait < 400*time.Millisecond {
				t.Errorf("answer after %v, want it after 400 ms at the least", wait)
			}
			a.checkQuiet(t, 300*time.Millisecond)
		})
		t.Run("RFC 6762 7.2: the known answers end later, "+tt.group, func(t *testing.T) {
			a := newAsker(t, n.a, tt.local)
			names := g.namesOf(t, n.a, 2)
			sent := time.Now()
			a.send(t, tt.group, truncated(ask(names...)))
			time.Sleep(200 * time.Millisecond)
			a.send(t, tt.group, truncated(ask()))
			a.send(t, tt.group, know(t, ask(), names[:1], known))
			answer := a.next(t)
			checkAnswer(t, answer, names[1], "id 0; "+positive4, to)
			if wait := answer.at.Sub(sent); wait < 600*time.Millisecond {
				t.Errorf("answer after %v, want it 400 ms after the last truncated packet at the least", wait)
			}
			a.checkQuiet(t, 300*time.Millisecond)
		})
		t.Run("RFC 6762 7.2: nothing follows, "+tt.group, func(t *testing.T) {
			a := newAsker(t, n.a, tt.local)
			name := g.newName(t, n.a, n.a.v4)
			a.send(t, tt.group, truncated(ask(name)))
			checkAnswer(t, a.next(t), name, "id 0; "+positive4, to)
		})
	}
	t.Run("RFC 6762 7.2: only what was sent to the group", func(t *testing.T) {
		a := newAsker(t, n.a, any4)
		name := g.newName(t, n.a, n.a.v4)
		sent := time.Now()
		a.send(t, "10.77.1.1:5353", truncated(ask(name)))
		answer := a.next(t)
		checkAnswer(t, answer, name, "id 4242; "+positive4, n.a.v4)
		if wait := answer.at.Sub(sent); wait >= 400*time.Millisecond {
			t.Errorf("answer after %v, want it at once", wait)
		}
	})
	// What one host knows, another does not. Their sockets are bound to their addresses, and hear nothing of
	// the group, so they ask for unicast answers.
	t.Run("RFC 6762 7.2: another host knows it", func(t *testing.T) {
		n.a.ip(t, "addr", "add", "10.77.1.3/24", "dev", "eth0")
		defer n.a.ip(t, "addr", "del", "10.77.1.3/24", "dev", "eth0")
		a, other := newAsker(t, n.a, "10.77.1.2:5353"), newAsker(t, n.a, "10.77.1.3:5353")
		name := g.newName(t, n.a, n.a.v4)
		a.send(t, group4, truncated(question(name, dns.TypeA, unicastIN)))
		other.send(t, group4, know(t, ask(), []string{name}, known))
		checkAnswer(t, a.next(t), name, "id 4242; "+positive4, n.a.v4)
		other.checkQuiet(t, 0)
	})
}
