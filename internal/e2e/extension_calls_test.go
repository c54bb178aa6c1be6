//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// extensionTest is the applications, and browsers at either site that may be extended. Nothing is in the way of signaling.
type extensionTest struct {
	*siteNetwork
	authority                                *authority
	server                                   *callServer
	node                                     *gateway // that of site one
	chromiumA, chromiumB, firefoxA, firefoxB *callBrowser
}

// The gateways are the routers of the sites. All browsers know both, and have to find the one on their own link.
const extensionGateway, otherExtensionGateway = "candgw.example", "candgw2.example"

func newExtensionTest(t *testing.T) *extensionTest {
	t.Helper()
	require(t, "nft", "node")
	c := &extensionTest{siteNetwork: newSiteNetwork(t), authority: newAuthority(t)}
	hosts := fmt.Sprintf("10.77.0.9 %[1]s %[2]s\nfd77::9 %[1]s %[2]s\n", meet, talk)
	hosts += fmt.Sprintf("%s %[2]s\nfd77:0:0:1::1 %[2]s\n%s %[4]s\nfd77:0:0:2::1 %[4]s\n", c.a.router, extensionGateway, c.b.router, otherExtensionGateway)
	for _, h := range []host{c.a, c.b} {
		h.etc(t, "hosts", hosts)
	}
	c.server = newCallServer()
	c.serveApps(t)
	c.server.serve(t, c.siteNetwork.server.namespace, c.authority.issue(t, meet, talk))

	// Where all tests share two processors, a gateway takes its time.
	managed := map[string]any{"gateways": []string{"https://" + extensionGateway + ":8443", "https://" + otherExtensionGateway + ":8443"}, "budget": 3000}
	e := extended{folder: extensionFolder(t), managed: managed, authority: c.authority}
	chromium := func(h host) *extendedBrowser {
		x := startManagedChromium(t, h.namespace, e, chromiumFakeMedia...)
		x.browser.(*chromium).grant(t, "https://"+talk, "microphone", "camera")
		return x
	}
	firefox := func(h host) *extendedBrowser {
		return startManagedFirefox(t, h.namespace, e, firefoxFakeMedia, "https://"+talk)
	}
	c.chromiumA, c.chromiumB = &callBrowser{"Chromium A", chromium(c.a), c.a}, &callBrowser{"Chromium B", chromium(c.b), c.b}
	c.firefoxA, c.firefoxB = &callBrowser{"Firefox A", firefox(c.a), c.a}, &callBrowser{"Firefox B", firefox(c.b), c.b}
	return c
}

func (c *extensionTest) browsers() []*callBrowser {
	return []*callBrowser{c.chromiumA, c.chromiumB, c.firefoxA, c.firefoxB}
}

// extend starts candgw on both routers and installs the extension in all browsers.
func (c *extensionTest) extend(t *testing.T) {
	t.Helper()
	certificate := c.authority.issue(t, extensionGateway, otherExtensionGateway)
	config := writeFile(t, t.TempDir(), "candgw.hcl", fmt.Sprintf(`
browsers {
  listen     = ":8443"
  extensions = [%q, "moz-extension://*"]
  tls {
    certificate_file = %q
    key_file         = %q
  }
}
`, c.chromiumA.browser.(*extendedBrowser).origin, certificate.certificateFile, certificate.keyFile))
	c.node = c.startTwoNodes(t, config)
	for _, b := range c.browsers() {
		b.browser.(*extendedBrowser).install(t)
	}
}

// TestExtensionCalls has people at two sites call each other by applications that know nothing of candgw, whose signaling
// goes to their servers directly. All that is managed are the browsers. Every pairing of Chromium and Firefox has to
// connect the two hosts directly, and nobody may tell an address to the application:
//   - the servers keep every octet that they receive: nowhere in that is a private address;
//   - a page keeps all that its JavaScript can read, from beginning to end. Nowhere in that is a private address, not even
//     where the page may use the microphone, for which browsers otherwise show them;
//   - every candidate that a page is shown has a name that the enterprise's own key opens, as an address of the page's host.
//
// Without the extension none of them connects.
func TestExtensionCalls(t *testing.T) {
	c := newExtensionTest(t)
	t.Run("without", func(t *testing.T) { c.testWithout(t) })
	c.extend(t)

	for _, site := range []struct{ name, media string }{{meet, "data"}, {talk, "send"}} {
		for _, pair := range pairings(openCallers(t, site.name, c.browsers()...)) {
			t.Run(pair[0].title+" to "+pair[1].title+", "+site.media, func(t *testing.T) { c.testCall(t, pair[0], pair[1], site.media) })
		}
	}
	t.Run("perfect negotiation", func(t *testing.T) {
		for _, pair := range c.openPairs(t, talk, "perfect") {
			t.Run(pair[0].title+" and "+pair[1].title, func(t *testing.T) { c.testGlare(t, pair[0], pair[1]) })
		}
	})
	for _, app := range []string{"simple-peer", "simple-peer?trickle=no", "peerjs", "trystero"} {
		t.Run(app, func(t *testing.T) {
			for _, pair := range c.openPairs(t, meet, app) {
				t.Run(pair[0].title+" to "+pair[1].title+", data", func(t *testing.T) { c.testApp(t, pair[0], pair[1]) })
			}
		})
	}
	for _, app := range []string{"simple-peer", "peerjs", "trystero"} {
		t.Run(app+", then sound and pictures", func(t *testing.T) {
			for _, pair := range c.openPairs(t, talk, app) {
				t.Run(pair[0].title+" to "+pair[1].title, func(t *testing.T) { c.testAppMedia(t, pair[0], pair[1]) })
			}
		})
	}
}

// pairings returns each of two browsers of site one with each of two of site two; the first two pairs have none in common.
func pairings(of []*caller) [][2]*caller {
	return [][2]*caller{{of[0], of[1]}, {of[2], of[3]}, {of[0], of[3]}, {of[2], of[1]}}
}

// openPairs opens a page of the server in all browsers.
func (c *extensionTest) openPairs(t *testing.T, site, path string) [][2]*caller {
	t.Helper()
	var callers []*caller
	for _, b := range c.browsers() {
		callers = append(callers, &caller{b, openGatheringPage(t, b.browser, "https://"+site+"/"+path)})
	}
	return pairings(callers)
}

// testWithout has all applications try without the extension, all at once.
func (c *extensionTest) testWithout(t *testing.T) {
	var pages [][][2]*caller // by application
	for _, path := range []string{"", "perfect", "simple-peer", "peerjs", "trystero"} {
		pages = append(pages, c.openPairs(t, meet, path))
	}
	for i, title := range []string{"alike", "mixed"} {
		t.Run(title, func(t *testing.T) {
			var calls []*call
			for _, pairs := range pages {
				for _, pair := range pairs[2*i : 2*i+2] {
					calls = append(calls, startAppCall(t, pair[0], pair[1]))
				}
			}
			time.Sleep(6 * time.Second) // longer than browsers try
			for _, call := range calls {
				for _, p := range call.peers() {
					var gathered []string
					p.call(t, &gathered, "gathered")
					if states := p.connectionStates(t); len(gathered) == 0 || slices.Contains(states, "connected") {
						t.Errorf("a page in %s has gathered %d candidates and went through the states %q, want some and no connection",
							p.host.namespace, len(gathered), states)
					}
				}
			}
		})
	}
}

// startAppCall starts a call in the pages of any application.
func startAppCall(t *testing.T, from, to *caller) *call {
	t.Helper()
	manners := []string{"impolite", "polite"}
	if strings.HasPrefix(from.title, "Firefox") {
		// Chromium cannot take its offer of sound and pictures back for one of Firefox: both number header extensions.
		slices.Reverse(manners)
	}
	call := startCall(t, from, to, manners[0], manners[1])
	call.to.call(t, nil, "expect")
	return call
}

// testCall makes one call of the application of its own, with an ICE restart in its course.
func (c *extensionTest) testCall(t *testing.T, from, to *caller, media string) {
	c.server.takeLog()
	checkPaths := c.watchPaths(t, to.host)
	call := startCall(t, from, to, media, media)
	c.connects(t, call)
	t.Logf("connected %v after the answer", call.timeToConnect(t))
	call.checkMedia(t)
	call.restartICE(t, c.siteNetwork, c.server)
	call.checkMedia(t)
	c.checkCall(t, call)
	checkPaths()
}

// connects waits for the connection.
func (c *extensionTest) connects(t *testing.T, call *call) {
	t.Helper()
	if call.connects(t, patience-5*time.Second) {
		return
	}
	for _, p := range call.peers() {
		t.Errorf("%s went through %q", p.host.namespace, p.connectionStates(t))
	}
	t.Fatalf("not connected; the server was told:\n%s", c.server.messages())
}

// checkCall checks of a connected call all that TestExtensionCalls says.
func (c *extensionTest) checkCall(t *testing.T, call *call) {
	t.Helper()
	checkMessage(t, call.from, call.to)
	checkMessage(t, call.to, call.from)
	for _, p := range call.peers() {
		checkDirect(t, p)
		c.checkOwn(t, p)
		var sources map[string]string
		p.call(t, &sources, "readable")
		for _, source := range []string{"own candidates", "localDescription", "remoteDescription", "statistics"} {
			if sources[source] == "" {
				t.Errorf("page in %s can read nothing of its %s", p.host.namespace, source)
			}
		}
		if failed := sources["errors"]; failed != "" {
			t.Errorf("page in %s: %s", p.host.namespace, failed)
		}
		for source, text := range sources {
			if found := privateAddresses(text); len(found) > 0 {
				t.Errorf("page in %s can read %v in its %s:\n%s", p.host.namespace, found, source, linesWith(text, found))
			}
		}
	}
	log := c.server.takeLog()
	if found := privateAddresses(log); len(found) > 0 {
		t.Errorf("the server was told %v:\n%q", found, linesWith(log, found))
	}
}

// linesWith returns the lines of a text that have an address, for those who read why a test failed.
func linesWith(text string, addresses []netip.Addr) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(addresses, func(a netip.Addr) bool { return strings.Contains(line, a.String()) }) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// checkOwn checks that all candidates that a page was shown of its own have names that the ring opens.
func (c *extensionTest) checkOwn(t *testing.T, p *peer) {
	t.Helper()
	var gathered []string
	p.call(t, &gathered, "gathered")
	if len(gathered) == 0 {
		t.Errorf("page in %s was shown no candidates", p.host.namespace)
	}
	seen := map[string]bool{}
	for _, name := range names(gathered) {
		if seen[name] {
			continue
		}
		seen[name] = true
		if address := c.node.opens(t, name); address != p.host.v4 && address != p.host.v6 {
			t.Errorf("page in %s was shown %s, which opens as %v, want %s or %s", p.host.namespace, name, address, p.host.v4, p.host.v6)
		}
	}
}

// testGlare has both sides offer at once: at first, as they add sound and pictures, and as both begin ICE anew.
func (c *extensionTest) testGlare(t *testing.T, from, to *caller) {
	c.server.takeLog()
	checkPaths := c.watchPaths(t, to.host)
	call := startAppCall(t, from, to)
	c.connects(t, call)
	call.fromMedia, call.toMedia = "send", "send"
	for i, step := range []string{"addMedia", "restart"} {
		for _, p := range call.peers() {
			p.call(t, nil, "hold")
		}
		for _, p := range call.peers() {
			p.call(t, nil, step)
		}
		for _, p := range call.peers() {
			var settled bool
			if p.call(t, &settled, "settled", i+2, (patience / 2).Milliseconds()); !settled {
				for _, p := range call.peers() {
					var state any
					p.call(t, &state, "state")
					t.Errorf("page in %s: %v", p.host.namespace, state)
				}
				t.Fatalf("page in %s does not settle after %s; the server was told:\n%s", p.host.namespace, step, c.server.messages())
			}
		}
		call.checkMedia(t)
	}
	c.checkCall(t, call)
	checkPaths()
}
