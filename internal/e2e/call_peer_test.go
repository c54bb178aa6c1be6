//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// callBrowser is a browser on a host.
type callBrowser struct {
	title string
	browser
	host host
}

// caller is a browser with the page of the application open.
type caller struct {
	*callBrowser
	page
}

// call is one between two callers, each with its own media: "data", "send" or "watch".
type call struct {
	from, to           *peer
	fromMedia, toMedia string
}

// rooms counts the rooms that were used.
var rooms atomic.Int64

// startCall has both enter a room and one send an offer.
func startCall(t *testing.T, from, to *caller, fromMedia, toMedia string) *call {
	t.Helper()
	c := &call{newPeer(t, from.page, from.host), newPeer(t, to.page, to.host), fromMedia, toMedia}
	room := fmt.Sprint("room ", rooms.Add(1))
	c.to.call(t, nil, "join", room, toMedia)
	c.from.call(t, nil, "join", room, fromMedia)
	c.from.call(t, nil, "call")
	return c
}

func (c *call) peers() []*peer { return []*peer{c.from, c.to} }

// connects tells whether both are connected within a time.
func (c *call) connects(t *testing.T, limit time.Duration) bool {
	t.Helper()
	for _, p := range c.peers() {
		var connected bool
		p.call(t, &connected, "connects", limit.Milliseconds())
		if !connected {
			return false
		}
	}
	return true
}

// timeToConnect returns the time from taking the answer to the connection, where the offer came from.
func (c *call) timeToConnect(t *testing.T) time.Duration {
	t.Helper()
	var milliseconds float64
	c.from.call(t, &milliseconds, "millisecondsToConnect")
	return time.Duration(milliseconds * float64(time.Millisecond)).Round(100 * time.Microsecond)
}

// selectedPair returns the kinds of the candidates that the connection runs over, own and other.
func selectedPair(t *testing.T, p *peer) (pair []string) {
	t.Helper()
	p.call(t, &pair, "pair")
	return pair
}

// checkMedia checks that sound comes in and that pictures are decoded, from now on, with those to whom it is sent.
func (c *call) checkMedia(t *testing.T) {
	t.Helper()
	for i, p := range c.peers() {
		if []string{c.toMedia, c.fromMedia}[i] != "send" {
			continue
		}
		var came struct{ Frames, Sound int }
		p.call(t, &came, "flows", (patience / 2).Milliseconds())
		if came.Frames == 0 || came.Sound == 0 {
			t.Errorf("%d pictures and %d octets of sound come to %s", came.Frames, came.Sound, p.host.namespace)
		}
	}
}

// restartICE cuts the call off in mid-course, as a firewall does that forgets it, and has ICE begin anew. It returns once
// candidates that were exchanged after that reach each other, on both sides. (While the former candidates do, Chromium
// may leave it at those.)
func (c *call) restartICE(t *testing.T, n *siteNetwork, server *callServer) {
	t.Helper()
	var former []string
	c.from.call(t, &former, "ufrags")
	var ports []string
	for _, candidate := range c.gathered(t) {
		ports = append(ports, strings.Fields(candidate)[5])
	}
	n.block(t, ports)
	c.from.call(t, nil, "restart")
	for _, p := range c.peers() {
		var restarted bool
		p.call(t, &restarted, "restarted", (patience - 5*time.Second).Milliseconds(), former)
		if !restarted {
			var pairs []string
			p.call(t, &pairs, "pairs")
			t.Fatalf("no candidates from after the ICE restart reach each other, says %s, with the pairs\n%s\nthe server was told:\n%s",
				p.host.namespace, strings.Join(pairs, "\n"), server.messages())
		}
	}
}

// readable returns all that a page could read since the call began, by source: each description at each change of
// state, each message, its own candidates, the statistics four times a second and the candidates of the transports.
func readable(t *testing.T, p *peer) (sources map[string]string) {
	t.Helper()
	p.call(t, &sources, "readable")
	for _, source := range []string{"messages", "own candidates", "localDescription", "remoteDescription", "statistics"} {
		if sources[source] == "" {
			t.Errorf("page in %s can read nothing of its %s", p.host.namespace, source)
		}
	}
	if failed := sources["errors"]; failed != "" {
		t.Errorf("page in %s: %s", p.host.namespace, failed)
	}
	return sources
}

// privateAddresses returns the private and link-local addresses that stand in a text, each once.
func privateAddresses(text string) (found []netip.Addr) {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("0123456789abcdefABCDEF.:", r)
	})
	for _, word := range words {
		word = strings.Trim(word, ".")
		address, err := netip.ParseAddr(word)
		if host, _, ok := strings.Cut(word, ":"); err != nil && ok {
			address, err = netip.ParseAddr(host) // with a port
		}
		if err == nil && (address.IsPrivate() || address.IsLinkLocalUnicast()) && !slices.Contains(found, address) {
			found = append(found, address)
		}
	}
	return found
}

// checkPage checks that a page could read no private address but, where it may use the microphone and its browser
// thus shows them, those of its own host. There Firefox shows in its statistics what it otherwise conceals as well: the
// address of a peer reflexive candidate, which is where checks come from that are faster than the lookup of the name.
func checkPage(t *testing.T, p *peer, media string, isFirefox bool) {
	t.Helper()
	sources := readable(t, p)
	if isFirefox && media == "send" {
		reflexive := 0
		sources["statistics"], reflexive = withoutPeerReflexive(sources["statistics"])
		if reflexive > 0 {
			t.Logf("page in %s can read %d peer reflexive addresses", p.host.namespace, reflexive)
		}
	}
	for source, text := range sources {
		for _, address := range privateAddresses(text) {
			if media == "send" && (address == p.host.v4 || address == p.host.v6) {
				continue
			}
			t.Errorf("page in %s can read the address %s in its %s:\n%s", p.host.namespace, address, source, text)
		}
	}
}

// withoutPeerReflexive returns statistics, one a line, without those of peer reflexive candidates of the other side, and
// how many addresses these have.
func withoutPeerReflexive(statistics string) (others string, count int) {
	var kept strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(statistics) {
		var s struct{ Type, CandidateType, Address string }
		if json.Unmarshal([]byte(line), &s) == nil && s.Type == "remote-candidate" && s.CandidateType == "prflx" {
			seen[s.Address] = true
			continue
		}
		kept.WriteString(line)
	}
	return kept.String(), len(seen)
}

// gathered returns all candidates that both pages were shown of their own.
func (c *call) gathered(t *testing.T) (candidates []string) {
	t.Helper()
	for _, p := range c.peers() {
		var gathered []string
		p.call(t, &gathered, "gathered")
		candidates = append(candidates, gathered...)
	}
	return candidates
}

// checkLog checks that the server of the application was told no private address, and that it was told all candidates
// of both, each with a name that is not the browser's own. It returns once they have all come.
func (c *call) checkLog(t *testing.T, server *callServer) {
	t.Helper()
	own := names(c.gathered(t))
	var told []string
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if told = names(saidCandidates(server.messages())); len(told) >= len(own) || time.Now().After(deadline) {
			break
		}
	}
	log := server.takeLog()
	if found := privateAddresses(log); len(found) > 0 {
		t.Errorf("the application's server was told %v:\n%q", found, log)
	}
	if len(told) != len(own) || len(own) == 0 {
		t.Errorf("the application's server was told %d candidates, want all %d:\n%s", len(told), len(own), server.messages())
	}
	for _, name := range told {
		if !strings.HasSuffix(name, ".local") {
			t.Errorf("the application's server was told a candidate at %q, want a name in .local", name)
		}
	}
	checkDisjoint(t, own, told)
}

// saidCandidates returns the candidates in the messages of the application that are in a log.
func saidCandidates(log string) (found []string) {
	for line := range strings.Lines(log) {
		var message struct {
			Body struct{ Ice struct{ Candidate string } }
		}
		if json.Unmarshal([]byte(line), &message) == nil && message.Body.Ice.Candidate != "" {
			found = append(found, message.Body.Ice.Candidate)
		}
	}
	return found
}
