//go:build linux

// Package e2e has the end-to-end tests: unmodified browsers, agents and resolvers in different
// subnets, and candgw on the router between them. They need root, for network namespaces, and are run
// by `make e2e`.
package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// require skips the test unless it was asked for; when it was, whatever it needs has to be there.
func require(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("CANDGW_E2E") != "1" {
		t.Skip("end-to-end tests are run by `make e2e`")
	}
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	for _, program := range append(programs, "ip") {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatal(err)
		}
	}
}

// pair is two browsers, each with the test's page open, on the hosts of a network.
type pair struct {
	*network
	pageA, pageB page
}

func newPair(t *testing.T, startA, startB startBrowser) *pair {
	t.Helper()
	n := newNetwork(t)
	port := servePage(t, n.router)
	browserA, browserB := startA(t, n.a.namespace), startB(t, n.b.namespace)
	return &pair{network: n, pageA: openPeerPage(t, browserA, n.a, port), pageB: openPeerPage(t, browserB, n.b, port)}
}

// peers makes a fresh peer connection in both browsers.
func (p *pair) peers(t *testing.T) (a, b *peer) {
	t.Helper()
	return newPeer(t, p.pageA, p.a), newPeer(t, p.pageB, p.b)
}

func TestChromiumPair(t *testing.T) {
	require(t)
	p := newPair(t, startChromium, startChromium)

	t.Run("without candgw", func(t *testing.T) {
		a, b := p.peers(t)
		signal(t, p.network, a, b)
		checkNotConnected(t, a, b)
	})

	g := startGateway(t, p.router)

	t.Run("with candgw", func(t *testing.T) {
		a, b := p.peers(t)
		a.offer(t)
		b.answer(t, g.conceal(t, p.network, a))
		a.accept(t, g.conceal(t, p.network, b))

		checkConnected(t, a, b)
		elapsed := a.timeToOpen(t)
		t.Logf("data channel open %v after the answer", elapsed)
		// On a dual-stack host Chromium waits 3 s for the family that a name does not have, unless
		// an NSEC record tells it.
		if elapsed >= time.Second {
			t.Errorf("data channel took %v to open, want less than a second", elapsed)
		}
	})

	t.Run("names survive a new active key", func(t *testing.T) {
		a, b := p.peers(t)
		a.offer(t)
		offer := g.conceal(t, p.network, a)
		g.generateActiveKey(t)
		g.waitForOtherNames(t, a, offer)
		b.answer(t, offer)
		a.accept(t, g.conceal(t, p.network, b))

		checkConnected(t, a, b)
		t.Logf("data channel open %v after the answer", a.timeToOpen(t))
	})
}

func TestTrickleChromiumPair(t *testing.T) {
	require(t)
	p := newPair(t, startChromium, startChromium)
	g := startGateway(t, p.router)

	a, b := p.peers(t)
	offer := g.encryptDescription(t, a.host, a.offer(t))
	answer := g.encryptDescription(t, b.host, b.answer(t, offer))
	a.accept(t, answer)
	g.trickle(t, p.network, a, b)
	g.trickle(t, p.network, b, a)

	checkConnected(t, a, b)
	t.Logf("data channel open %v after the answer", a.timeToOpen(t))
}

// TestFirefox connects Firefox to Firefox and to Chromium.
func TestFirefox(t *testing.T) {
	require(t)
	n := newNetwork(t)
	port := servePage(t, n.router)
	one := startFirefox(t, n.a.namespace)
	// On host B two browsers share the port of Multicast DNS.
	other, chromium := startFirefox(t, n.b.namespace), startChromium(t, n.b.namespace)
	alike := &pair{n, openPeerPage(t, one, n.a, port), openPeerPage(t, other, n.b, port)}
	mixed := &pair{n, openPeerPage(t, one, n.a, port), openPeerPage(t, chromium, n.b, port)}

	t.Run("without candgw", func(t *testing.T) {
		a, b := alike.peers(t)
		c, d := mixed.peers(t)
		signal(t, n, a, b)
		signal(t, n, c, d)
		checkNotConnected(t, a, b, c, d)
	})

	g := startGateway(t, n.router)

	t.Run("Firefox and Firefox", func(t *testing.T) { g.testFirefoxOffer(t, alike) })
	t.Run("Firefox and Chromium", func(t *testing.T) { g.testFirefoxOffer(t, mixed) })
	t.Run("Chromium and Firefox", func(t *testing.T) {
		b, a := mixed.peers(t)
		a.offer(t)
		b.answer(t, g.conceal(t, n, a))
		a.accept(t, g.conceal(t, n, b))

		checkConnected(t, a, b)
		t.Logf("data channel open %v after the answer", a.timeToOpen(t))
	})
	t.Run("trickle", func(t *testing.T) {
		a, b := alike.peers(t)
		answer := b.answer(t, g.encryptDescription(t, a.host, a.offer(t)))
		a.accept(t, g.encryptDescription(t, b.host, answer))
		g.trickle(t, n, a, b)
		g.trickle(t, n, b, a)

		checkConnected(t, a, b)
		t.Logf("data channel open %v after the answer", a.timeToOpen(t))
	})
}

// testFirefoxOffer has A, which is Firefox, send a complete offer. Firefox does not answer for the names
// in it before it has an answer, so the offer keeps them, and A connects by the names of the answer.
func (g *gateway) testFirefoxOffer(t *testing.T, p *pair) {
	a, b := p.peers(t)
	a.offer(t)
	offer := g.encryptDescription(t, a.host, a.gathered(t))
	checkHidden(t, candidateLines(offer), p.network)
	b.answer(t, offer)
	a.accept(t, g.conceal(t, p.network, b))

	checkConnected(t, a, b)
	t.Logf("data channel open %v after the answer", a.timeToOpen(t))
	g.conceal(t, p.network, a) // now that A answers
}

// signal passes the complete descriptions of two peers to each other as they are.
func signal(t *testing.T, n *network, offerer, answerer *peer) {
	t.Helper()
	offerer.offer(t)
	offer := offerer.gathered(t)
	checkHidden(t, candidateLines(offer), n)
	answerer.answer(t, offer)
	offerer.accept(t, answerer.gathered(t))
}

// conceal returns the complete description of a peer, encrypted, after checking that it hides what
// it should.
func (g *gateway) conceal(t *testing.T, n *network, from *peer) string {
	t.Helper()
	own := from.gathered(t)
	encrypted := g.encryptDescription(t, from.host, own)
	if found := addressesIn(encrypted, []host{n.a, n.b}); len(found) > 0 {
		t.Errorf("encrypted description contains %q:\n%s", found, encrypted)
	}
	before, after := candidateLines(own), candidateLines(encrypted)
	checkHidden(t, before, n)
	checkHidden(t, after, n)
	if len(after) != len(before) {
		t.Errorf("encrypted description has %d candidates, want %d", len(after), len(before))
	}
	checkDisjoint(t, names(before), names(after))
	return encrypted
}

// trickle passes candidates through the gateway, one by one, until the last.
func (g *gateway) trickle(t *testing.T, n *network, from, to *peer) {
	t.Helper()
	passed := 0
	for {
		own := from.nextCandidate(t)
		line := candidateLine(t, own)
		if line == "" { // the end of candidates, which names nothing
			to.addCandidate(t, own)
			if string(own) == "null" {
				break
			}
			continue
		}
		encrypted, ok := g.encryptCandidate(t, from.host, string(own))
		if !ok {
			t.Logf("gateway holds back %s", line)
			continue
		}
		concealed := candidateLine(t, json.RawMessage(encrypted))
		checkHidden(t, []string{line}, n)
		checkHidden(t, []string{concealed}, n)
		checkDisjoint(t, names([]string{line}), names([]string{concealed}))
		to.addCandidate(t, json.RawMessage(encrypted))
		passed++
	}
	if passed == 0 {
		t.Fatalf("no candidate of %s was passed on", from.host.namespace)
	}
}

// waitForOtherNames returns once the gateway encrypts a peer's description otherwise than it did:
// the same description under the same key has the same names.
func (g *gateway) waitForOtherNames(t *testing.T, from *peer, encrypted string) {
	t.Helper()
	own := from.gathered(t)
	former := append(names(candidateLines(own)), names(candidateLines(encrypted))...)
	deadline := time.Now().Add(patience)
	for {
		now := names(candidateLines(g.encryptDescription(t, from.host, own)))
		if !slices.ContainsFunc(now, func(name string) bool { return slices.Contains(former, name) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("gateway goes on encrypting under the former key")
		}
		time.Sleep(100 * time.Millisecond)
	}
}
