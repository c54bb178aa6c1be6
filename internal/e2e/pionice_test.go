//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/examples/policies"
	candgw "github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/gateway/pionice"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// newPlugin returns a plugin under the built-in policy with the ring in a folder.
func newPlugin(folder string) (*pionice.Plugin, error) {
	ring, err := keyring.NewFileStore(folder, "").Load()
	if err != nil {
		return nil, err
	}
	set, err := new(policy.Loader).Load(policy.Source{Name: "default.hcl", Text: policies.Default})
	if err != nil {
		return nil, err
	}
	g := candgw.New(candgw.Config{Ring: func() *keyring.Ring { return ring }, Policy: func() *policy.Set { return set }})
	return pionice.New(pionice.Config{
		Gateway: g,
		Failed:  func(err error) { fmt.Fprintln(os.Stderr, err) },
	}), nil
}

// onlyB lets no host ask for names but those in the subnet of host B. Link-local addresses do not tell a
// subnet; pion asks over IPv4 alone.
const onlyB = `
policy "a" {
  clients = ["10.77.1.0/24", "fd77:0:0:1::/64"]
  resolve {
    addresses = []
  }
}

policy "b" {
  clients = ["10.77.2.0/24", "fd77:0:0:2::/64", "fe80::/10"]
  candidate "host" {
  }
  resolve {
    addresses = ["10.77.1.0/24", "fd77:0:0:1::/64"]
  }
}
`

func startGatewayFor(t *testing.T, n *network, policyText string) *gateway {
	t.Helper()
	file := filepath.Join(t.TempDir(), "site.hcl")
	if err := os.WriteFile(file, []byte(policyText), 0o600); err != nil {
		t.Fatal(err)
	}
	return startGateway(t, n.router, "--policy", file)
}

// lookups returns how many lookups had one of some results, whichever way they came.
func (g *gateway) lookups(t *testing.T, results ...string) (n float64) {
	t.Helper()
	ring, err := keyring.NewFileStore(g.dataDir, "").Load()
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{""}
	for e := range ring.Entries() {
		keys = append(keys, e.Key.ID().String())
	}
	for _, front := range []string{"dns", "mdns"} {
		for _, result := range results {
			for _, key := range keys {
				n += g.metric(t, fmt.Sprintf("candgw_lookups_total{front=%q,key=%q,result=%q}", front, key, result))
			}
		}
	}
	return n
}

var allLookups = []string{"answered", "nodata", "unauthenticated", "revoked", "denied", "limited", "foreign"}

// TestPlugins connects two agents that have the plugin, across the router. They share the ring with candgw
// there, which hears of nothing.
func TestPlugins(t *testing.T) {
	require(t)
	n := newNetwork(t)
	g := startGateway(t, n.router)
	for _, tt := range []struct {
		kind         string
		addrA, addrB []netip.Addr
	}{
		{"udp4", []netip.Addr{n.a.v4}, []netip.Addr{n.b.v4}},
		{"udp6", []netip.Addr{n.a.v6}, []netip.Addr{n.b.v6}},
		{"dual", []netip.Addr{n.a.v4, n.a.v6}, []netip.Addr{n.b.v4, n.b.v6}},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			a := startAgent(t, n.a, "controlling "+tt.kind+" "+g.dataDir)
			b := startAgent(t, n.b, "controlled "+tt.kind+" "+g.dataDir)
			for _, p := range []*agentProcess{a, b} {
				checkHidden(t, p.description.Candidates, n)
				if got := len(p.description.Candidates); got != len(tt.addrA) {
					t.Errorf("%s sends %d candidates, want %d", p.namespace, got, len(tt.addrA))
				}
			}
			connectAgents(t, a, b, a.description, b.description)
			a.checkReached(t, tt.addrB)
			b.checkReached(t, tt.addrA)
		})
	}
	if got := g.lookups(t, allLookups...); got != 0 {
		t.Errorf("candgw was asked for %v names, want none", got)
	}
}

// checkReached checks that an agent reached one of some addresses, and has a candidate of each.
func (a *agentProcess) checkReached(t *testing.T, want []netip.Addr) {
	t.Helper()
	selected, err := netip.ParseAddrPort(a.report.Selected)
	if err != nil || !slices.Contains(want, selected.Addr()) {
		t.Errorf("%s is connected to %s, want one of %s", a.namespace, a.report.Selected, want)
	}
	var texts []string
	for _, addr := range want {
		texts = append(texts, addr.String())
	}
	a.check(t, selected.Addr(), texts)
}

func TestPluginChromium(t *testing.T) { testPluginBrowser(t, startChromium) }

func TestPluginFirefox(t *testing.T) { testPluginBrowser(t, startFirefox) }

// testPluginBrowser connects a browser on host B to an agent on host A. The browser asks candgw on the router
// for the agent's names; the agent opens those that candgw made for the browser, and may not ask for any.
func testPluginBrowser(t *testing.T, start startBrowser) {
	require(t)
	n := newNetwork(t)
	port := servePage(t, n.router)
	page := openPeerPage(t, start(t, n.b.namespace), n.b, port)

	t.Run("without candgw", func(t *testing.T) {
		p := newPeer(t, page, n.b)
		p.offer(t)
		offer := p.gathered(t)
		checkHidden(t, candidateLines(offer), n)
		agent := startAgent(t, n.a, "controlled mdns")
		checkHidden(t, agent.description.Candidates, n)
		p.accept(t, agent.description.answer())
		agent.write(t, describeBrowser(offer))
		checkNotConnected(t, p)
		if line, err := agent.lines.ReadString('\n'); err == nil {
			t.Errorf("the agent connected: %s", line)
		}
	})

	g := startGatewayFor(t, n, onlyB)
	var offer string
	for _, kind := range []string{"udp4", "udp6", "dual"} {
		t.Run(kind, func(t *testing.T) {
			before := g.lookups(t, "answered", "nodata")
			p := newPeer(t, page, n.b)
			p.offer(t)
			agent := startAgent(t, n.a, "controlled "+kind+" "+g.dataDir)
			checkHidden(t, agent.description.Candidates, n)
			answer := agent.description.answer()
			if found := addressesIn(answer, []host{n.a, n.b}); len(found) > 0 {
				t.Errorf("the answer contains %q", found)
			}
			p.accept(t, answer)
			offer = g.conceal(t, n, p) // not before Firefox has an answer, or it does not answer for its names
			agent.write(t, describeBrowser(offer))
			agent.read(t, &agent.report)

			agent.checkReached(t, []netip.Addr{n.b.v4, n.b.v6})
			// The browser begins its DTLS handshake (RFC 6347, section 4.1) over the connection.
			if got := agent.report.Received; !strings.HasPrefix(got, "\x16") {
				t.Errorf("the agent received %q, want a DTLS handshake", got)
			}
			p.checkICEConnected(t)
			checkSelectedPair(t, p)
			checkExposure(t, p, n.a, n.b)
			// Firefox asks for A records alone, also of an IPv6 name: there the agent's side connects.
			if got := g.lookups(t, "answered", "nodata"); got == before {
				t.Error("the browser asked for no name of the agent")
			}
		})
	}
	if got := g.lookups(t, "denied"); got != 0 {
		t.Errorf("the agent asked for %v names, want none", got)
	}
	// That they would have been counted:
	found := names(candidateLines(offer))
	if len(found) == 0 {
		t.FailNow()
	}
	newAsker(t, n.a, any4).send(t, group4, question(found[0], dns.TypeA, dns.ClassINET))
	for deadline := time.Now().Add(patience); g.lookups(t, "denied") == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a lookup of host A is not counted")
		}
	}
}

// answer returns the description as the answer of an endpoint that waits for a DTLS handshake.
func (d agentDescription) answer() string {
	return d.sdp() + "a=setup:passive\r\na=sctp-port:5000\r\na=fingerprint:sha-256 " +
		strings.Repeat("AB:", 31) + "AB\r\n"
}

// describeBrowser returns what an agent needs of a browser's description.
func describeBrowser(sdp string) (d agentDescription) {
	for line := range strings.Lines(sdp) {
		line = strings.TrimSpace(line)
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "a=ice-ufrag":
			d.Ufrag = value
		case "a=ice-pwd":
			d.Pwd = value
		}
	}
	// Browsers' candidates over TCP are active: nobody can connect to them.
	d.Candidates = slices.DeleteFunc(candidateLines(sdp), func(line string) bool {
		return !strings.EqualFold(strings.Fields(line)[2], "udp")
	})
	return d
}

// checkICEConnected checks that a peer has a connection, whatever comes of DTLS over it.
func (p *peer) checkICEConnected(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		states := p.connectionStates(t)
		if slices.Contains(states, "connected") || slices.Contains(states, "completed") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s went through the states %q, want a connection", p.host.namespace, states)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
