//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestTwoNodes has two nodes with the same keys on the link of an asker: RFC 6762, section 6.6.
func TestTwoNodes(t *testing.T) {
	require(t)
	hosts := newSwitch(t, 3)
	asker, nodes := hosts[0], hosts[1:]
	g := startGateway(t, nodes[0].namespace)
	second := *g
	second.namespace, second.http = nodes[1].namespace, nodes[1].client()
	second.serve(t)

	for _, tt := range []struct{ local, group string }{{any4, group4}, {any6, group6}} {
		to := netip.MustParseAddrPort(tt.group).Addr()
		a := newAsker(t, asker, tt.local)
		// both takes the next two packets, of which each must be one node's answer.
		both := func(t *testing.T, name, want string, to ...netip.Addr) (first, second heard) {
			t.Helper()
			first, second = a.next(t), a.next(t)
			checkAnswer(t, first, name, want, to...)
			checkAnswer(t, second, name, want, to...)
			if first.from == second.from {
				t.Errorf("two answers from %s, want one from each node", first.from)
			}
			return first, second
		}
		t.Run("RFC 6762 6.6: both answer alike, "+tt.group, func(t *testing.T) {
			for i := range 20 {
				name := []*gateway{g, &second}[i%2].newName(t, asker, asker.v4)
				a.send(t, tt.group, question(name, dns.TypeA, dns.ClassINET))
				both(t, name, fmt.Sprintf("id 0; AN NAME A 120 %s flush; AR NAME NSEC 120 NAME A flush", asker.v4), to)
			}
			a.checkQuiet(t, 1500*time.Millisecond) // neither takes what the other says for a question
		})
		t.Run("RFC 6762 6: asked twice, "+tt.group, func(t *testing.T) {
			name := g.newName(t, asker, asker.v4)
			want := fmt.Sprintf("id 0; AN NAME A 120 %s flush; AR NAME NSEC 120 NAME A flush", asker.v4)
			a.send(t, tt.group, question(name, dns.TypeA, dns.ClassINET))
			first, _ := both(t, name, want, to)
			a.send(t, tt.group, question(name, dns.TypeA, dns.ClassINET))
			again, last := both(t, name, want, to)
			t.Logf("put off for %v and %v", again.at.Sub(first.at), last.at.Sub(first.at))
			if pause := again.at.Sub(first.at); pause < 700*time.Millisecond {
				t.Errorf("again after %v, want a second", pause)
			}
			a.checkQuiet(t, 1500*time.Millisecond)
		})
		t.Run("RFC 6762 5.4: by unicast, "+tt.group, func(t *testing.T) {
			name := g.newName(t, asker, asker.v4)
			a.send(t, tt.group, question(name, dns.TypeA, unicastIN))
			both(t, name, fmt.Sprintf("id 4242; AN NAME A 120 %s flush; AR NAME NSEC 120 NAME A flush", asker.v4), a.own...)
		})
	}
}

// newSwitch makes hosts on one link, with a switch between them, that last until the test ends.
func newSwitch(t *testing.T, count int) []host {
	t.Helper()
	middle := newNamespace(t, "switch")
	middle.ip(t, "link", "add", "bridge", "up", "type", "bridge")
	hosts := make([]host, count)
	for i := range hosts {
		h := host{
			namespace: newNamespace(t, fmt.Sprintf("switched%d", i)),
			v4:        netip.AddrFrom4([4]byte{10, 77, 9, byte(2 + i)}),
			v6:        netip.MustParseAddr(fmt.Sprintf("fd77:0:0:9::%x", 2+i)),
		}
		port := fmt.Sprintf("port%d", i)
		middle.ip(t, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", string(h.namespace))
		middle.ip(t, "link", "set", port, "master", "bridge", "up")
		h.ip(t, "addr", "add", h.v4.String()+"/24", "dev", "eth0")
		h.ip(t, "addr", "add", h.v6.String()+"/64", "dev", "eth0", "nodad")
		h.ip(t, "link", "set", "eth0", "up")
		hosts[i] = h
	}
	return hosts
}
