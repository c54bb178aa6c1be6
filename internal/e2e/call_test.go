//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The names of the application: meet and talk are those that its users know, where candgw is in the way; with the
// others they reach its server directly. Talk may use the microphone and the camera of the browsers, which for that
// show it the addresses of their hosts; meet may not.
const (
	meet, talk             = "meet.example", "talk.example"
	directMeet, directTalk = "direct-meet.example", "direct-talk.example"
)

// What browsers have in place of a microphone and a camera.
var chromiumFakeMedia = []string{"--use-fake-device-for-media-stream"}

const firefoxFakeMedia = `
user_pref("media.navigator.streams.fake", true);
`

// callTest is the application, those who use it, and a node of candgw on either router, once they run.
type callTest struct {
	*siteNetwork
	certificate *certificate
	server      *callServer
}

func newCallTest(t *testing.T) *callTest {
	t.Helper()
	require(t, "nft")
	c := &callTest{siteNetwork: newSiteNetwork(t), certificate: newCertificate(t, meet, talk, directMeet, directTalk)}
	const server = "10.77.0.9 %[1]s %[2]s\nfd77::9 %[1]s %[2]s\n"
	for _, router := range []namespace{c.one, c.two} {
		router.etc(t, "hosts", fmt.Sprintf(server, meet, talk))
	}
	for _, h := range []host{c.a, c.b, c.c} {
		h.etc(t, "hosts", fmt.Sprintf(server+"%[3]s %[4]s %[5]s\n", directMeet, directTalk, h.router, meet, talk))
	}
	c.server = startCallServer(t, c.siteNetwork.server.namespace, c.certificate)
	return c
}

func (c *callTest) startChromium(t *testing.T, h host, arguments ...string) *chromium {
	t.Helper()
	arguments = append(arguments, "--ignore-certificate-errors-spki-list="+c.certificate.spki)
	b := startChromiumWith(t, h.namespace, append(arguments, chromiumFakeMedia...)...)
	for _, name := range []string{talk, directTalk} {
		b.grant(t, "https://"+name, "microphone", "camera")
	}
	return b
}

func (c *callTest) startFirefox(t *testing.T, h host) *firefox {
	t.Helper()
	return startFirefoxWith(t, h.namespace, firefoxFakeMedia, "https://"+talk, "https://"+directTalk)
}

// startNodes starts candgw on both routers, in the way of the signaling of the hosts behind each. The nodes share the
// ring, by a copy, and nothing else.
func (c *callTest) startNodes(t *testing.T) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "candgw.hcl")
	text := fmt.Sprintf(`
signaling "meet" {
  listen   = ":443"
  upstream = "https://%s"
  ca_file  = %q
  paths    = ["/signal"]
  tls {
    certificate_file = %q
    key_file         = %q
  }
}
`, meet, c.certificate.certificateFile, c.certificate.certificateFile, c.certificate.keyFile)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.startTwoNodes(t, config)
}

// startTwoNodes starts candgw on both routers with the same configuration, and returns the one of site one.
func (n *siteNetwork) startTwoNodes(t *testing.T, config string) *gateway {
	t.Helper()
	first := startGateway(t, n.one, "--config", config)
	second := *first
	second.namespace, second.http, second.dataDir = n.two, n.two.client(), filepath.Join(t.TempDir(), "data")
	if output, err := exec.Command("cp", "-a", first.dataDir, second.dataDir).CombinedOutput(); err != nil {
		t.Fatalf("copying the ring: %v\n%s", err, output)
	}
	second.serve(t, "--config", config)
	return first
}

// openCallers opens the page of the application, by one of its names, in each browser.
func openCallers(t *testing.T, name string, browsers ...*callBrowser) (callers []*caller) {
	t.Helper()
	for _, b := range browsers {
		callers = append(callers, &caller{b, openGatheringPage(t, b.browser, "https://"+name+"/")})
	}
	return callers
}

// TestCalls has two people call each other by a web application that knows nothing of candgw, each from a site of
// their own: over a WebSocket the pages send descriptions and, one by one, candidates, through a node of candgw on
// either router to the server of the application. They use every pairing of Chromium and Firefox.
//
// Each call has to connect the two hosts directly, in a data channel and, where there are any, with sound and pictures,
// and again after a cut and an ICE restart. Directly means: from a host candidate, to a host candidate or a peer reflexive
// one, which it is where the other's check is faster than the lookup of its name; and the routers forward no UDP but
// between the hosts. Nobody may tell the addresses of one side to the application on the other:
//   - the server keeps every octet that it receives: nowhere in that is a private address;
//   - a page keeps all that its JavaScript can read, from beginning to end: descriptions, candidates, messages,
//     statistics. Nowhere in that is a private address, but those that browsers themselves show where the page may use
//     the microphone: of its own host and, in the statistics of Firefox, of peer reflexive candidates.
func TestCalls(t *testing.T) {
	c := newCallTest(t)
	chromiumA := &callBrowser{"Chromium A", c.startChromium(t, c.a), c.a}
	chromiumB := &callBrowser{"Chromium B", c.startChromium(t, c.b), c.b}
	firefoxA := &callBrowser{"Firefox A", c.startFirefox(t, c.a), c.a}
	firefoxB := &callBrowser{"Firefox B", c.startFirefox(t, c.b), c.b}
	browsers := []*callBrowser{chromiumA, chromiumB, firefoxA, firefoxB}
	pairings := func(of []*caller) [][2]*caller { // each beside one of the others
		return [][2]*caller{{of[0], of[1]}, {of[2], of[3]}, {of[0], of[3]}, {of[2], of[1]}}
	}

	t.Run("without candgw", func(t *testing.T) {
		direct := pairings(openCallers(t, directMeet, browsers...))
		t.Run("alike", func(t *testing.T) { checkNoCalls(t, direct[0], direct[1]) })
		t.Run("mixed", func(t *testing.T) { checkNoCalls(t, direct[2], direct[3]) })
	})
	t.Run("without candgw, with addresses", func(t *testing.T) {
		// Then they connect, but all can read the addresses, as the checks below would find.
		c.server.takeLog()
		callers := openCallers(t, directTalk, chromiumA, firefoxB)
		call := startCall(t, callers[0], callers[1], "send", "send")
		if !call.connects(t, patience-5*time.Second) {
			t.Fatal("not connected")
		}
		log := c.server.takeLog()
		checkTold(t, "server", log, c.a)
		checkTold(t, "server", log, c.b)
		checkTold(t, "page of A", readable(t, call.from)["statistics"], c.b)
		checkTold(t, "page of B", readable(t, call.to)["messages"], c.a)
	})

	c.startNodes(t)
	quiet, open := openCallers(t, meet, browsers...), openCallers(t, talk, browsers...)
	for _, pair := range pairings(quiet) {
		t.Run(pair[0].title+" to "+pair[1].title+", data", func(t *testing.T) { c.testCall(t, pair[0], pair[1], "data", "data") })
	}
	for _, pair := range pairings(open) {
		t.Run(pair[0].title+" to "+pair[1].title+", sound and pictures", func(t *testing.T) { c.testCall(t, pair[0], pair[1], "send", "send") })
	}
	t.Run("Chromium A watches Firefox B", func(t *testing.T) { c.testCall(t, quiet[0], open[3], "watch", "send") })
	t.Run("Firefox A watches Chromium B", func(t *testing.T) { c.testCall(t, quiet[2], open[1], "watch", "send") })

	t.Run("three subnets", func(t *testing.T) { c.testSubnets(t, chromiumA, chromiumB, firefoxA, firefoxB) })
	t.Run("public site", func(t *testing.T) { c.testPublicSite(t, chromiumB) })
}

// testCall makes one call and checks all that TestCalls says.
func (c *callTest) testCall(t *testing.T, from, to *caller, fromMedia, toMedia string) {
	c.server.takeLog()
	checkPaths := c.watchPaths(t, to.host)
	call := startCall(t, from, to, fromMedia, toMedia)
	if !call.connects(t, patience-5*time.Second) {
		for _, p := range call.peers() {
			t.Errorf("%s went through %q", p.host.namespace, p.connectionStates(t))
		}
		t.Fatalf("not connected; the server was told:\n%s", c.server.messages())
	}
	t.Logf("connected %v after the answer", call.timeToConnect(t))
	call.checkMedia(t)
	call.restartICE(t, c.siteNetwork, c.server)
	call.checkMedia(t)
	checkMessage(t, call.from, call.to)
	checkMessage(t, call.to, call.from)

	call.checkLog(t, c.server)
	for i, p := range call.peers() {
		checkDirect(t, p)
		checkPage(t, p, []string{fromMedia, toMedia}[i], strings.HasPrefix([]string{from.title, to.title}[i], "Firefox"))
	}
	checkPaths()
}

// watchPaths returns what checks that since then the routers on the way from site one to a host have forwarded UDP packets
// between hosts, and none but those ever.
func (n *siteNetwork) watchPaths(t *testing.T, to host) (check func()) {
	t.Helper()
	routers := []namespace{n.one}
	if to.namespace == n.b.namespace {
		routers = append(routers, n.two)
	}
	var before [2]int
	for i, router := range routers {
		before[i], _ = forwardedUDP(t, router)
	}
	return func() {
		t.Helper()
		for i, router := range routers {
			direct, others := forwardedUDP(t, router)
			if direct <= before[i] || others != 0 {
				t.Errorf("router %s has forwarded %d more UDP packets between the hosts, and %d others ever, want some and 0",
					router, direct-before[i], others)
			}
		}
	}
}

// checkDirect checks that a connection runs from the host's own address to the other's. A peer whose check arrives
// before its candidate's name is resolved counts as peer reflexive.
func checkDirect(t *testing.T, p *peer) {
	t.Helper()
	pair := selectedPair(t, p)
	t.Logf("%s runs over %q", p.host.namespace, pair)
	if pair[0] != "host/udp" || pair[1] != "host/udp" && pair[1] != "prflx/udp" {
		t.Errorf("connection in %s runs over %q, want host candidates", p.host.namespace, pair)
	}
}

// checkNoCalls checks that no two of them get a connection for longer than browsers try.
func checkNoCalls(t *testing.T, pairs ...[2]*caller) {
	t.Helper()
	var calls []*call
	for _, pair := range pairs {
		calls = append(calls, startCall(t, pair[0], pair[1], "data", "data"))
	}
	limit := 6 * time.Second
	for i, call := range calls {
		if call.connects(t, limit) {
			t.Errorf("%s and %s are connected, want no connection", pairs[i][0].title, pairs[i][1].title)
		}
		limit = 0 // the first has waited for all
		for _, p := range call.peers() {
			if states := p.connectionStates(t); slices.Contains(states, "connected") {
				t.Errorf("%s went through the states %q, want no connection", p.host.namespace, states)
			}
			readable(t, p) // there were candidates, on both sides
		}
	}
}

// checkTold checks that a text tells a host's addresses.
func checkTold(t *testing.T, who, text string, h host) {
	t.Helper()
	if found := privateAddresses(text); !slices.Contains(found, h.v4) {
		t.Errorf("%s reads %v, want %s among them: do the tests find addresses at all?", who, found, h.v4)
	}
}
