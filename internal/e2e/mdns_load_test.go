//go:build linux

package e2e

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestMulticastDNSLoad asks for a thousand names on one link, and then more than a slow link takes answers for.
func TestMulticastDNSLoad(t *testing.T) {
	require(t, "tc")
	n := newNetwork(t)
	g := startGateway(t, n.router)
	t.Run("RFC 6762 6: a thousand names in a second", func(t *testing.T) {
		for _, tt := range []struct{ local, group string }{{any4, group4}, {any6, group6}} {
			testManyNames(t, n, g, tt.local, tt.group, 1000, time.Millisecond)
		}
	})
	// As many as the system keeps until they are read, whatever it is set to.
	t.Run("400 names at once", func(t *testing.T) { testManyNames(t, n, g, any4, group4, 400, 0) })
	t.Run("one link is slow", func(t *testing.T) { testSlowLink(t, n, g) })
}

// testManyNames asks for names, with a pause after each, and prints how long the answers took from and to the
// asker's socket, which is more than on the wire.
func testManyNames(t *testing.T, n *network, g *gateway, local, group string, count int, pause time.Duration) {
	names := g.namesOf(t, n.a, count)
	a := newAsker(t, n.a, local)
	defer a.close()
	sent := make(map[string]time.Time, len(names))
	came := make(map[string]time.Time, len(names))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for len(came) < len(names) {
			packet, ok := a.hears(patience / 6)
			if !ok {
				return
			}
			if packet.message != nil && len(packet.message.Answer) == 1 {
				came[strings.TrimSuffix(packet.message.Answer[0].Header().Name, ".")] = packet.at
			}
		}
	}()
	begun := time.Now()
	for i, name := range names {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * pause)))
		packet, err := question(name, dns.TypeA, dns.ClassINET).Pack()
		if err != nil {
			t.Fatal(err)
		}
		sent[name] = time.Now()
		a.sendPacket(t, group, packet)
	}
	asked := time.Since(begun)
	<-answered
	var all []time.Duration
	for _, name := range names {
		if at, ok := came[name]; ok {
			all = append(all, at.Sub(sent[name]))
		}
	}
	if len(all) != len(names) {
		t.Errorf("%s: %d of %d names are answered", group, len(all), len(names))
	}
	if len(all) > 0 {
		slices.Sort(all)
		t.Logf("%s: %d names asked in %v, %d answered; median %v, 99 of 100 within %v, all within %v", group,
			len(names), asked.Round(time.Millisecond), len(all), all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
	}
}

// testSlowLink asks on a link that takes one answer in a tenth of a second for hundreds of names. Who asks on
// another link, or by unicast, which any of the sockets may hear, is answered all the same.
func testSlowLink(t *testing.T, n *network, g *gateway) {
	n.router.output(t, "tc", "qdisc", "add", "dev", "subnet2", "root", "tbf", "rate", "16kbit", "burst", "1600", "latency", "600s")
	defer n.router.output(t, "tc", "qdisc", "del", "dev", "subnet2", "root")
	clogging := newAsker(t, n.b, any4)
	for _, name := range g.namesOf(t, n.b, 600) {
		clogging.send(t, group4, question(name, dns.TypeA, dns.ClassINET))
	}
	if _, ok := clogging.hears(patience / 6); !ok {
		t.Error("the slow link has no answer at all")
	}

	a := newAsker(t, n.a, any4)
	for range 5 {
		name := g.newName(t, n.a, n.a.v4)
		a.send(t, group4, question(name, dns.TypeA, dns.ClassINET))
		checkAnswer(t, a.next(t), name, "id 0; "+positive4, netip.MustParseAddrPort(group4).Addr())
	}
	// The system spreads these over the sockets by the port that they come from.
	for range 50 {
		name := g.newName(t, n.a, n.a.v4)
		legacy := newAsker(t, n.a, net.JoinHostPort("10.77.1.2", "0"))
		legacy.send(t, "10.77.1.1:5353", question(name, dns.TypeA, dns.ClassINET))
		if packet, ok := legacy.hears(2 * time.Second); !ok {
			t.Error("no answer by unicast on the other link")
		} else if got, _ := packet.address(name, dns.TypeA); got != "10.77.1.2" {
			t.Errorf("answer %q", packet.describe(name))
		}
		legacy.close()
	}
}
