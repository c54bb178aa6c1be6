package pionwebrtc_test

import (
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/webrtc/v3"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/gateway/pionice"
	"github.com/candgw/candgw/gateway/pionwebrtc"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const patience = 30 * time.Second

// newRing returns a ring with an active key of one suite.
func newRing(t *testing.T, suite cipher.Suite) *keyring.Ring {
	t.Helper()
	key, err := cipher.GenerateKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	editor := new(keyring.Ring).Edit(time.Now())
	if err := editor.Add(key, keyring.Active); err != nil {
		t.Fatal(err)
	}
	ring, err := editor.Ring()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// newPlugin returns a plugin under the built-in policy, but for the suite.
func newPlugin(t *testing.T, ring *keyring.Ring, suite cipher.Suite) *pionwebrtc.Plugin {
	t.Helper()
	text := strings.ReplaceAll(string(policies.Default), `"aes-uuid"`, `"`+suite.String()+`"`)
	set, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	g := gateway.New(gateway.Config{Ring: func() *keyring.Ring { return ring }, Policy: func() *policy.Set { return set }})
	failed := make(chan error, gateway.MaxCandidates)
	t.Cleanup(func() {
		select {
		case err := <-failed:
			t.Error(err)
		default:
		}
	})
	return pionwebrtc.New(pionice.Config{Gateway: g, Failed: func(err error) { failed <- err }})
}

// hostAddr returns an address of this host that others can reach, of one family.
func hostAddr(t *testing.T, is6 bool) netip.Addr {
	t.Helper()
	for _, addr := range hostAddrs(t) {
		if policy.Reachable(addr) && addr.Is6() == is6 {
			return addr
		}
	}
	t.Skip("this host has no address of the family that another could reach; the end-to-end tests have hosts with both")
	return netip.Addr{}
}

func hostAddrs(t *testing.T) (out []netip.Addr) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		out = append(out, netip.MustParsePrefix(a.String()).Addr())
	}
	return out
}

// checkHidden checks that what is sent has candidates, and no address of this host.
func checkHidden(t *testing.T, sent any) {
	t.Helper()
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), ".local") {
		t.Errorf("%s has no name", text)
	}
	for _, addr := range hostAddrs(t) {
		if strings.Contains(string(text), addr.String()) && !addr.IsLoopback() {
			t.Errorf("%s tells %s", text, addr)
		}
	}
}

// A peer is a connection and its plugin.
type peer struct {
	*pionwebrtc.Plugin
	*webrtc.PeerConnection
	sent     chan *webrtc.ICECandidateInit
	received chan string
	opened   chan *webrtc.DataChannel
}

// newPeer returns a peer whose candidates have one address: one is what the draft's suites encrypt of an
// ice-pwd.
func newPeer(t *testing.T, plugin *pionwebrtc.Plugin, addr netip.Addr) *peer {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.String() == addr.String() })
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pc.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &peer{plugin, pc, make(chan *webrtc.ICECandidateInit, 64), make(chan string, 64), make(chan *webrtc.DataChannel, 1)}
	plugin.OnICECandidate(pc, func(c *webrtc.ICECandidateInit) { p.sent <- c })
	pc.OnDataChannel(p.use)
	return p
}

func (p *peer) use(channel *webrtc.DataChannel) {
	channel.OnMessage(func(m webrtc.DataChannelMessage) { p.received <- string(m.Data) })
	channel.OnOpen(func() { p.opened <- channel })
}

// set makes a description its own, and returns what is sent of it.
func (p *peer) set(t *testing.T, d webrtc.SessionDescription, err error) webrtc.SessionDescription {
	t.Helper()
	if err == nil {
		err = p.PeerConnection.SetLocalDescription(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	own, err := p.Plugin.LocalDescription(p.PeerConnection)
	if err != nil {
		t.Fatal(err)
	}
	return *own
}

// take takes a description.
func (p *peer) take(t *testing.T, d webrtc.SessionDescription) {
	t.Helper()
	if err := p.Plugin.SetRemoteDescription(p.PeerConnection, d); err != nil {
		t.Fatal(err)
	}
}

// next returns the next candidate that the peer sends, nil after the last.
func (p *peer) next(t *testing.T) *webrtc.ICECandidateInit {
	t.Helper()
	select {
	case c := <-p.sent:
		return c
	case <-time.After(patience):
		t.Fatal("no candidate comes")
	}
	return nil
}

// trickle passes the candidates of a generation to another peer, and returns their ufrag.
func (p *peer) trickle(t *testing.T, to *peer) (ufrag string) {
	t.Helper()
	for c := p.next(t); c != nil; c = p.next(t) {
		checkHidden(t, c)
		ufrag = *c.UsernameFragment
		if err := to.Plugin.AddICECandidate(to.PeerConnection, *c); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Plugin.AddICECandidate(to.PeerConnection, webrtc.ICECandidateInit{}); err != nil { // the end
		t.Fatal(err)
	}
	return ufrag
}

// gathered returns the whole description, once there is one.
func (p *peer) gathered(t *testing.T) webrtc.SessionDescription {
	t.Helper()
	for p.next(t) != nil {
	}
	d, err := p.Plugin.LocalDescription(p.PeerConnection)
	if err != nil {
		t.Fatal(err)
	}
	checkHidden(t, d)
	return *d
}

// checkConnected checks that the data channel carries messages both ways.
func checkConnected(t *testing.T, a, b *peer) {
	t.Helper()
	for _, pair := range [][2]*peer{{a, b}, {b, a}} {
		var channel *webrtc.DataChannel
		select {
		case channel = <-pair[0].opened:
		case <-time.After(patience):
			t.Fatalf("the data channel does not open; the connections are %s and %s", a.ConnectionState(), b.ConnectionState())
		}
		pair[0].opened <- channel
		if err := channel.SendText("hello"); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-pair[1].received:
			if got != "hello" {
				t.Errorf("received %q", got)
			}
		case <-time.After(patience):
			t.Fatal("no message comes")
		}
	}
}

func TestPeers(t *testing.T) {
	for _, suite := range cipher.Suites() {
		for _, is6 := range []bool{false, true} {
			family := map[bool]string{false: " IPv4", true: " IPv6"}[is6]
			t.Run(suite.String()+family+", trickle", func(t *testing.T) { testTrickle(t, suite, is6) })
			t.Run(suite.String()+family+", whole", func(t *testing.T) { testWhole(t, suite, is6) })
		}
	}
}

func newPeers(t *testing.T, suite cipher.Suite, is6 bool) (a, b *peer) {
	t.Helper()
	addr, ring := hostAddr(t, is6), newRing(t, suite)
	a, b = newPeer(t, newPlugin(t, ring, suite), addr), newPeer(t, newPlugin(t, ring, suite), addr)
	channel, err := a.CreateDataChannel("candgw", nil)
	if err != nil {
		t.Fatal(err)
	}
	a.use(channel)
	if d, err := a.Plugin.LocalDescription(a.PeerConnection); d != nil || err != nil {
		t.Errorf("before there is one, the local description is %v, %v", d, err)
	}
	return a, b
}

// negotiate offers and answers, without waiting for candidates.
func negotiate(t *testing.T, a, b *peer, options *webrtc.OfferOptions) {
	t.Helper()
	offer, err := a.CreateOffer(options)
	b.take(t, a.set(t, offer, err))
	answer, err := b.CreateAnswer(nil)
	a.take(t, b.set(t, answer, err))
}

// testTrickle connects two peers, and once more after an ICE restart.
func testTrickle(t *testing.T, suite cipher.Suite, is6 bool) {
	a, b := newPeers(t, suite, is6)
	negotiate(t, a, b, nil)
	first := a.trickle(t, b)
	b.trickle(t, a)
	checkConnected(t, a, b)

	negotiate(t, a, b, &webrtc.OfferOptions{ICERestart: true})
	if again := a.trickle(t, b); again == first {
		t.Errorf("after the restart candidates still name the ufrag %s", again)
	}
	b.trickle(t, a)
	checkConnected(t, a, b)
}

func testWhole(t *testing.T, suite cipher.Suite, is6 bool) {
	a, b := newPeers(t, suite, is6)
	offer, err := a.CreateOffer(nil)
	a.set(t, offer, err)
	b.take(t, a.gathered(t))
	answer, err := b.CreateAnswer(nil)
	b.set(t, answer, err)
	a.take(t, b.gathered(t))
	checkConnected(t, a, b)
}

func TestErrors(t *testing.T) {
	a, b := newPeers(t, cipher.AESUUID, false)
	candidate := webrtc.ICECandidateInit{Candidate: "candidate:1 1 udp 1 10.1.2.3 70000 typ host"}
	if err := b.Plugin.AddICECandidate(b.PeerConnection, candidate); err == nil || !strings.Contains(err.Error(), "remote description") {
		t.Errorf("a candidate before the description: %v", err)
	}
	if err := b.Plugin.SetRemoteDescription(b.PeerConnection, webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: "hello"}); err == nil {
		t.Error("a description that is none is taken")
	}
	offer, err := a.CreateOffer(nil)
	b.take(t, a.set(t, offer, err))
	if err := b.Plugin.AddICECandidate(b.PeerConnection, candidate); err == nil || strings.Contains(err.Error(), "10.1.2.3") {
		t.Errorf("a broken candidate: %v", err)
	}
}

// TestRenegotiation: names of an address repeat in what one connection sends.
func TestRenegotiation(t *testing.T) {
	a, _ := newPeers(t, cipher.AESUUID, false)
	offer, err := a.CreateOffer(nil)
	a.set(t, offer, err)
	trickled := a.next(t)
	namesIn := func(sdp string) (out []string) {
		for line := range strings.Lines(sdp) {
			if strings.HasPrefix(line, "a=candidate:") {
				out = append(out, strings.Fields(line)[4])
			}
		}
		return out
	}
	names := namesIn(a.gathered(t).SDP)
	again, err := a.Plugin.LocalDescription(a.PeerConnection)
	if err != nil {
		t.Fatal(err)
	}
	if got := namesIn(again.SDP); len(got) == 0 || !slices.Equal(got, names) || got[0] != strings.Fields(trickled.Candidate)[4] {
		t.Errorf("names %q, then %q, trickled %s", names, got, trickled.Candidate)
	}
}
