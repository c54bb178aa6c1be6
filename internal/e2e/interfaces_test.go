//go:build linux

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// noticed is the time after which candgw has seen a change of the interfaces.
const noticed = 2 * time.Second

// testInterfaces links further hosts to the router while candgw runs.
func testInterfaces(t *testing.T, n *network, g *gateway) {
	c := newHost(t, n.router, 3)
	t.Run("one comes", func(t *testing.T) { g.checkAnswersSoon(t, c) })

	t.Run("goes down and up", func(t *testing.T) {
		n.router.ip(t, "link", "set", "subnet3", "down")
		time.Sleep(noticed)
		n.router.ip(t, "link", "set", "subnet3", "up")
		g.checkAnswersSoon(t, c)
	})

	// The kernel lets a socket join the group on 20 interfaces (net.ipv4.igmp_max_memberships), and
	// goes on counting those that are gone, unless the socket leaves the group there.
	t.Run("after many that are gone", func(t *testing.T) {
		for range 2 {
			remove := addInterfaces(t, n.router, 16)
			time.Sleep(noticed)
			remove()
		}
		g.checkAnswersSoon(t, newHost(t, n.router, 4))
	})
	t.Run("beside many", func(t *testing.T) {
		remove := addInterfaces(t, n.router, 24)
		defer remove()
		time.Sleep(noticed)
		g.checkAnswersSoon(t, newHost(t, n.router, 5))
	})
}

// addInterfaces adds interfaces that speak multicast, two and two linked to each other.
func addInterfaces(t *testing.T, ns namespace, count int) (remove func()) {
	t.Helper()
	for i := range count / 2 {
		one, other := fmt.Sprintf("more%d", i), fmt.Sprintf("other%d", i)
		ns.ip(t, "link", "add", one, "up", "type", "veth", "peer", "name", other)
		ns.ip(t, "link", "set", other, "up")
	}
	return func() {
		for i := range count / 2 {
			ns.ip(t, "link", "del", fmt.Sprintf("more%d", i))
		}
	}
}

// checkAnswersSoon checks that a host on a new link is answered within a few seconds.
func (g *gateway) checkAnswersSoon(t *testing.T, h host) {
	t.Helper()
	for _, tt := range []struct{ local, group string }{{any4, group4}, {any6, group6}} {
		took, ok := newAsker(t, h, tt.local).waitForAnswer(t, tt.group, g.newName(t, h, h.v4))
		if !ok {
			t.Errorf("%s does not answer %s for %v", tt.group, h.namespace, took)
			continue
		}
		t.Logf("%s answers after %v", tt.group, took)
	}
}

// waitForAnswer asks for the address of a name until it comes or several seconds are over, and returns
// how long that took.
func (a *asker) waitForAnswer(t *testing.T, to, name string) (took time.Duration, ok bool) {
	t.Helper()
	begun := time.Now()
	for !ok && took < 5*time.Second {
		a.send(t, to, question(name, dns.TypeA, dns.ClassINET))
		if packet, came := a.hears(200 * time.Millisecond); came {
			_, ok = packet.address(name, dns.TypeA)
		}
		took = time.Since(begun).Round(time.Millisecond)
	}
	return took, ok
}
