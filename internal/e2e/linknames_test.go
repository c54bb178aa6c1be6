//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"

	"github.com/candgw/candgw/internal/mcast"
)

// TestLinkNames has two nodes ask browsers for the names that they make themselves. They ask over IPv4: on Linux neither
// browser answers Multicast DNS over IPv6.
func TestLinkNames(t *testing.T) {
	require(t)
	n := newNetwork(t)
	third := newHost(t, n.router, 3)
	n.b.ip(t, "-6", "addr", "flush", "dev", "eth0")
	n.router.ip(t, "-6", "addr", "flush", "dev", "subnet2")
	third.ip(t, "-4", "route", "del", "default") // browsers make names of addresses that have one
	port := servePage(t, n.router)
	g := startGateway(t, n.router)
	second := g.startAnother(t, "--dns", "127.0.0.1:5355")

	for _, tt := range []struct {
		title string
		host
		client netip.Addr
		page   string
		kinds  []string
	}{
		{"dual stack", n.a, n.a.v4, "10.77.1.1", []string{"IPv4", "IPv6"}},
		{"IPv4", n.b, n.b.v4, "10.77.2.1", []string{"IPv4"}},
		{"IPv6", third, third.v6, "[fd77:0:0:3::1]", []string{"IPv6"}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			url := fmt.Sprintf("http://%s:%d", tt.page, port)
			questions := hearQuestions(t, tt.host)
			check := func(title, description string) {
				t.Helper()
				own := names(candidateLines(description))
				slices.Sort(own)
				var kinds []string
				for _, name := range slices.Compact(own) {
					kinds = append(kinds, g.checkOwnName(t, title, name, tt.client, questions, true))
					g.checkOwnName(t, title+", again", name, tt.client, questions, false)
					second.checkOwnName(t, title+", another node", name, tt.client, questions, true)
				}
				slices.Sort(kinds)
				if !slices.Equal(kinds, tt.kinds) {
					t.Errorf("%s has names of %q, want %q", title, kinds, tt.kinds)
				}
			}
			chromium := newPeer(t, openGatheringPage(t, startChromium(t, tt.namespace), url), tt.host)
			chromium.offer(t)
			offer := chromium.gathered(t)
			check("Chromium", offer)
			if tt.title == "IPv6" {
				return // Firefox sends its answers the default way, which is none in IPv4 here
			}
			firefox := newPeer(t, openGatheringPage(t, startFirefox(t, tt.namespace), url), tt.host)
			firefox.answer(t, offer) // it answers for its names once it has an answer, or gives one
			check("Firefox", firefox.gathered(t))
		})
	}
}

// hearQuestions returns the questions that come to the IPv4 group on the link of a host, beside browsers that hear them
// as well.
func hearQuestions(t *testing.T, h host) <-chan dns.Question {
	t.Helper()
	var conn *ipv4.PacketConn
	err := h.within(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		group, err := mcast.ListenGroup4(link)
		if err != nil {
			return err
		}
		conn = ipv4.NewPacketConn(group)
		return conn.JoinGroup(link, &net.UDPAddr{IP: mcast.Group4})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	questions := make(chan dns.Question, 1024)
	go func() {
		packet := make([]byte, 9000)
		for {
			n, _, _, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dns.Msg
			if m.Unpack(packet[:n]) != nil || m.Response {
				continue
			}
			for _, q := range m.Question {
				questions <- q
			}
		}
	}()
	return questions
}

// checkOwnName has a node encrypt a candidate with a browser's own name, and checks that it asks for it, but not after a
// second again, or not at all. It returns of which IP version the name is.
func (g *gateway) checkOwnName(t *testing.T, title, name string, client netip.Addr, questions <-chan dns.Question, asks bool) (kind string) {
	t.Helper()
	begun := time.Now()
	sdp, ok := g.encrypt(t, client, "application/sdp", fmt.Sprintf(sampleOffer, name))
	took := time.Since(begun)
	var asked []string
	rounds := 0
	for quiet := false; !quiet; {
		select {
		case q := <-questions:
			if !strings.EqualFold(q.Name, dns.Fqdn(name)) {
				continue
			}
			asked = append(asked, dns.TypeToString[q.Qtype])
			if q.Qtype == dns.TypeAAAA { // every second
				rounds++
			}
		case <-time.After(100 * time.Millisecond):
			quiet = true
		}
	}
	encrypted := names(candidateLines(sdp))
	if !ok || slices.Contains(encrypted, name) {
		t.Errorf("%s: nobody answered for the name", title)
	}
	kind = "IPv4"
	if len(encrypted) == 1 && len(encrypted[0]) > len(name) {
		kind = "IPv6" // names of 62 characters
	}
	t.Logf("%s, %s: %v, asked %q", title, kind, took.Round(100*time.Microsecond), asked)
	if (rounds > 0) != asks || rounds > 1 {
		t.Errorf("%s: asked in %d seconds", title, rounds)
	}
	return kind
}
