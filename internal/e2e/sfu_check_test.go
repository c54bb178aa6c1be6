//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// checkStream checks that a peer is connected, and that sound and pictures come to it from now on.
func checkStream(t *testing.T, p *peer) {
	t.Helper()
	if !connects(t, p, patience/2) {
		t.Fatalf("peer in %s does not connect; it went through %q", p.host.namespace, p.connectionStates(t))
	}
	var came struct{ Frames, Sound int }
	p.call(t, &came, "flows", (patience / 2).Milliseconds())
	if came.Frames == 0 || came.Sound == 0 {
		t.Errorf("%d pictures and %d octets of sound come to %s", came.Frames, came.Sound, p.host.namespace)
	}
	var milliseconds float64
	p.call(t, &milliseconds, "millisecondsToConnect")
	t.Logf("connected %.1f ms after the answer; %d pictures and %d octets of sound came", milliseconds, came.Frames, came.Sound)
}

// checkJanus checks that Janus has so many connections, has been told the browser's addresses for each of them, IPv4 and
// IPv6, as host candidates and nothing else, and uses two of the hosts' own. A name of an IPv6 address takes Chromium
// up to two seconds to answer for, and may come after the connection.
func (s *sfu) checkJanus(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience / 2); ; time.Sleep(100 * time.Millisecond) {
		connections := s.janus.connections(t)
		var wrong []string
		if len(connections) != want {
			wrong = append(wrong, fmt.Sprintf("it has %d peer connections, want %d", len(connections), want))
		}
		for _, c := range connections {
			wrong = append(wrong, s.wrongWith(c)...)
		}
		if len(wrong) == 0 {
			for _, c := range connections {
				t.Logf("Janus uses %s", c.ICE.Selected)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("Janus: %s", strings.Join(wrong, "; "))
			return
		}
	}
}

func (s *sfu) wrongWith(c janusConnection) (wrong []string) {
	missing := []netip.Addr{s.a.v4, s.a.v6}
	for _, candidate := range c.ICE.Remote {
		address, err := netip.ParseAddr(strings.Fields(candidate)[4])
		if err != nil || (address != s.a.v4 && address != s.a.v6) || !strings.Contains(candidate, " typ host") {
			wrong = append(wrong, fmt.Sprintf("it has the candidate %q, want host candidates of %s or %s", candidate, s.a.v4, s.a.v6))
		}
		missing = slices.DeleteFunc(missing, func(a netip.Addr) bool { return a == address })
	}
	if len(missing) > 0 {
		wrong = append(wrong, fmt.Sprintf("it has the candidates %q, want some of %s too", c.ICE.Remote, missing))
	}
	own, other, _ := strings.Cut(c.ICE.Selected, " <-> ")
	if !hostEnd(own, s.b) || !hostEnd(other, s.a) {
		wrong = append(wrong, fmt.Sprintf("it uses %q, want host candidates of %s and %s", c.ICE.Selected, s.b.namespace, s.a.namespace))
	}
	return wrong
}

// hostEnd tells whether one end of a pair, as Janus writes it, is a host candidate of a host.
func hostEnd(end string, h host) bool {
	address, isHost := strings.CutSuffix(end, " [host,udp]")
	return isHost && (strings.HasPrefix(address, h.v4.String()+":") || strings.HasPrefix(address, h.v6.String()+":"))
}

// waitForRestart returns once a connection of Janus uses a candidate of the browser that came with a ufrag.
func (s *sfu) waitForRestart(t *testing.T, ufrag string) {
	t.Helper()
	for deadline := time.Now().Add(patience / 2); ; time.Sleep(50 * time.Millisecond) {
		now := s.janus.connections(t)
		for _, c := range now {
			for _, candidate := range c.ICE.Remote {
				fields := strings.Fields(candidate)
				if strings.Contains(candidate, " ufrag "+ufrag+" ") &&
					strings.HasSuffix(c.ICE.Selected, " "+fields[4]+":"+fields[5]+" [host,udp]") {
					return
				}
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("after an ICE restart Janus uses no candidate of %q: %+v; the application was told:\n%s",
				ufrag, now, s.application.takeLog())
		}
	}
}

var encryptedCandidate = regexp.MustCompile(`(?i)candidate:\S+ 1 udp \d+ [0-9a-f-]{36,62}\.local `)

// checkNothingTold checks that the application was told candidates by both sides, and no address of either, and that
// its page could read none but, where it may use the camera, those of its own host.
func (s *sfu) checkNothingTold(t *testing.T, source string, peers ...*peer) {
	t.Helper()
	log := s.application.takeLog()
	for _, address := range privateAddresses(log) {
		if !netip.MustParsePrefix("10.77.0.0/24").Contains(address) { // between the sites
			t.Errorf("the application is told the address %s", address)
		}
	}
	for _, side := range []string{fromBrowser, fromMediaServer} {
		found := false
		for _, part := range strings.Split(log, "--- ") {
			found = found || strings.HasPrefix(part, side) && encryptedCandidate.MatchString(part)
		}
		if !found {
			t.Errorf("the application is told no candidate %s", side)
		}
	}
	if t.Failed() {
		t.Logf("the application was told:\n%s", log)
	}
	for _, p := range peers {
		for from, text := range readable(t, p) {
			for _, address := range privateAddresses(text) {
				if source != "camera" || address != p.host.v4 && address != p.host.v6 {
					t.Errorf("page in %s can read the address %s in its %s:\n%s", p.host.namespace, address, from, text)
				}
			}
		}
	}
}
