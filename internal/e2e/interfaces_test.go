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

	t.Run("RFC 6762 11: an address comes and goes", func(t *testing.T) { testAddresses(t, n.router, c, g) })

	// The kernel takes a socket out of the group when the interface goes, and not back in when the next one
	// has its number.
	t.Run("another under the same number", func(t *testing.T) {
		const number = "7777"
		for _, address := range []string{"02:00:00:00:00:01", "02:00:00:00:00:02"} {
			if address != "02:00:00:00:00:01" {
				n.router.ip(t, "link", "del", "renewed")
			}
			n.router.ip(t, "link", "add", "renewed", "index", number, "address", address, "type", "veth", "peer", "name", "eth1", "netns", string(c.namespace))
			n.router.ip(t, "addr", "add", "10.77.33.1/24", "dev", "renewed")
			n.router.ip(t, "link", "set", "renewed", "up")
			c.ip(t, "addr", "add", "10.77.33.2/24", "dev", "eth1")
			c.ip(t, "link", "set", "eth1", "up")
			a := newAskerOn(t, c, "eth1", any4)
			if took, ok := a.waitForAnswer(t, group4, g.newName(t, c, c.v4)); !ok {
				t.Errorf("no answer for %v on the interface with the address %s", took, address)
			}
			a.close()
		}
		n.router.ip(t, "link", "del", "renewed")
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

// testAddresses gives the router an address in a network of c's, and takes it away again. Only meanwhile is c,
// at its address there, on a link of the router. It tests the same with all addresses of one IP version.
func testAddresses(t *testing.T, router namespace, c host, g *gateway) {
	c.ip(t, "addr", "add", "192.168.50.2/24", "dev", "eth0")
	c.ip(t, "route", "add", "10.77.3.1", "dev", "eth0", "src", "192.168.50.2")
	router.ip(t, "route", "add", "192.168.50.2", "dev", "subnet3")
	a := newAsker(t, c, "192.168.50.2:5353")
	name := g.newName(t, c, c.v4)
	ask := question(name, dns.TypeA, dns.ClassINET)
	quiet := func(when string) {
		t.Helper()
		a.send(t, "10.77.3.1:5353", ask)
		if packet, ok := a.hears(500 * time.Millisecond); ok {
			t.Errorf("%s %s is answered: %s", when, a.own, packet.describe(name))
		}
	}
	quiet("before the router has an address there,")
	router.ip(t, "addr", "add", "192.168.50.1/24", "dev", "subnet3")
	if took, ok := a.waitForAnswer(t, "10.77.3.1:5353", name); !ok {
		t.Errorf("no answer for %v on a network that has come", took)
	}
	router.ip(t, "addr", "del", "192.168.50.1/24", "dev", "subnet3")
	time.Sleep(noticed)
	quiet("after the router's address there is gone,")
	a.close()

	router.ip(t, "addr", "del", "10.77.3.1/24", "dev", "subnet3")
	time.Sleep(noticed)
	without4 := newAsker(t, c, any4)
	without4.send(t, group4, question(g.newName(t, c, c.v4), dns.TypeA, dns.ClassINET))
	without4.checkQuiet(t, 500*time.Millisecond)
	without4.close()
	only6 := newAsker(t, c, any6)
	if took, ok := only6.waitForAnswer(t, group6, g.newName(t, c, c.v4)); !ok {
		t.Errorf("without IPv4 no answer over IPv6 for %v", took)
	}
	only6.close()
	router.ip(t, "addr", "add", "10.77.3.1/24", "dev", "subnet3")
	g.checkAnswersSoon(t, c)
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
		a := newAsker(t, h, tt.local)
		took, ok := a.waitForAnswer(t, tt.group, g.newName(t, h, h.v4))
		a.close()
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
