//go:build linux

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sfu is a media server on one site and browsers on the other, brought together by an application between the two:
//
//	browsers a  ---  candgw one  ---  application  ---  candgw two  ---  Janus b
type sfu struct {
	*siteNetwork
	janus       *janus
	application *cloud
}

const (
	roomsPage  = "https://rooms.example.com/"
	directPage = "https://direct.example.com:8443/" // past candgw
	stage      = "/whip/endpoint/stage"
)

// Pages may make sounds before anybody has touched them.
const (
	chromiumSound = "--autoplay-policy=no-user-gesture-required"
	firefoxSound  = `
user_pref("media.autoplay.default", 0);
user_pref("media.autoplay.blocking_policy", 0);
`
)

// serversAskFirst is a firewall in front of servers that lets a packet to one through only where the server has sent
// one before to where it comes from. So a browser's checks do not tell Janus the address that it was not told, and
// what connects does so because Janus knew where to ask.
const serversAskFirst = `table inet servers {
	chain forward {
		type filter hook forward priority 10;
		ct state established accept
		iifname "backbone" meta l4proto udp drop
	}
}`

// TestSFU brings browsers to a real media server, over the WebSocket of its own API and by WHIP, with the configuration
// of docs/sfu.md and its policies.
func TestSFU(t *testing.T) {
	require(t, "janus", "node", "nft")
	n := newSiteNetwork(t)
	n.two.nft(t, serversAskFirst)
	certificate := newCertificate(t, "rooms.example.com", "direct.example.com", "media.example.com")
	s := &sfu{
		siteNetwork: n,
		janus:       startJanus(t, n.b),
		application: &cloud{namespace: n.server.namespace, certificate: certificate},
	}
	startWHIP(t, s.janus)
	s.application.serve(t, ":443", upstreams{"https://10.77.0.2:8189", "https://10.77.0.2:7081"})
	s.application.serve(t, ":8443", upstreams{"http://10.77.2.2:8188", "http://10.77.2.2:7080"})
	n.a.etc(t, "hosts", "10.77.1.1 rooms.example.com\n10.77.0.9 direct.example.com\n")
	n.one.etc(t, "hosts", "10.77.0.9 rooms.example.com\n")
	chromium := startChromiumWith(t, n.a.namespace, "--use-fake-device-for-media-stream", chromiumSound,
		"--ignore-certificate-errors-spki-list="+certificate.spki)
	firefox := startFirefoxWith(t, n.a.namespace, firefoxSound)

	t.Run("without candgw", func(t *testing.T) { s.testWithout(t, chromium) })

	s.startNodes(t)
	t.Run("Chromium, names", func(t *testing.T) { s.testEcho(t, chromium, "drawing") })
	t.Run("Firefox, names", func(t *testing.T) { s.testEcho(t, firefox, "drawing") })
	t.Run("WHIP, names", func(t *testing.T) { s.testPublish(t, chromium, "drawing", firefox) })
	t.Run("application that asks Janus", func(t *testing.T) { s.testCurious(t, chromium) })
	chromium.grant(t, strings.TrimSuffix(roomsPage, "/"), "microphone", "camera")
	t.Run("Chromium, raw addresses", func(t *testing.T) { s.testEcho(t, chromium, "camera") })
	t.Run("WHIP, raw addresses", func(t *testing.T) { s.testPublish(t, chromium, "camera", chromium) })
}

// startNodes runs candgw on both sites. The nodes share the ring and nothing else.
func (s *sfu) startNodes(t *testing.T) {
	t.Helper()
	policies, err := os.ReadFile("../../examples/policies/sfu.hcl")
	if err != nil {
		t.Fatal(err)
	}
	c := s.application.certificate
	local := strings.NewReplacer(
		"10.20.0.5", "10.77.1.1", "10.40.0.5", "10.77.0.2", "10.40.0.10", s.b.v4.String(), "2001:db8:40::10", s.b.v6.String(),
		"10.20.0.0/16", "10.77.1.0/24", "2001:db8:20::/48", "fd77:0:0:1::/64",
		"10.40.0.0/24", "10.77.2.0/24", "2001:db8:40::/64", "fd77:0:0:2::/64",
		`"tls.crt"`, strconv.Quote(c.certificateFile), `"tls.key"`, strconv.Quote(c.keyFile),
	)
	t.Setenv("SSL_CERT_FILE", c.certificateFile) // whom candgw trusts
	program, dataDir := build(t), t.TempDir()
	for title, ns := range map[string]namespace{
		"candgw.hcl, where the browsers are":    s.one,
		"candgw.hcl, where the media server is": s.two,
	} {
		folder := t.TempDir()
		if err := os.Mkdir(filepath.Join(folder, "policies"), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, folder, "policies/sfu.hcl", local.Replace(string(policies)))
		config := writeFile(t, folder, "candgw.hcl", local.Replace(docsBlockOf(t, "sfu.md", title)))
		g := &gateway{namespace: ns, program: program, dataDir: dataDir, api: "http://127.0.0.1:8480", http: ns.client()}
		g.serve(t, "--config", config)
	}
}

// open opens the page of the application in a browser on host A and has it make a peer.
func (s *sfu) open(t *testing.T, b browser, url string) *peer {
	t.Helper()
	return newPeer(t, openGatheringPage(t, b, url), s.a)
}

// connects tells whether a peer is connected within a time from now.
func connects(t *testing.T, p *peer, limit time.Duration) (connected bool) {
	t.Helper()
	p.call(t, &connected, "connects", limit.Milliseconds())
	return connected
}

// testWithout shows that without candgw a browser reaches Janus only by telling the application its addresses.
func (s *sfu) testWithout(t *testing.T, b *chromium) {
	s.application.takeLog()
	echo, published := s.open(t, b, directPage), s.open(t, b, directPage)
	echo.call(t, nil, "echo", "drawing")
	published.call(t, nil, "publish", "drawing", stage)
	if connects(t, echo, 8*time.Second) || connects(t, published, 0) {
		t.Errorf("a browser is connected by names that Janus cannot resolve")
	}
	known := s.janus.connections(t)
	if len(known) != 2 {
		t.Errorf("Janus knows %d peer connections, want 2", len(known))
	}
	for _, c := range known {
		if len(c.ICE.Remote) > 0 || c.ICE.Selected != "" {
			t.Errorf("Janus knows the candidates %q and uses %q, want none", c.ICE.Remote, c.ICE.Selected)
		}
	}
	published.call(t, nil, "end")
	if found := addressesIn(s.application.takeLog(), []host{s.a}); len(found) > 0 {
		t.Errorf("the application is told %q, want names", found)
	}

	b.grant(t, strings.TrimSuffix(directPage, "/"), "microphone", "camera")
	raw := s.open(t, b, directPage)
	raw.call(t, nil, "echo", "camera")
	if !connects(t, raw, patience/2) {
		t.Errorf("a browser is not connected by its addresses: it went through %q", raw.connectionStates(t))
	}
	if found := addressesIn(s.application.takeLog(), []host{s.a, s.b}); len(found) != 4 {
		t.Errorf("the application is told %q, want both addresses of either side", found)
	}
}

// testEcho has Janus send back what it gets.
func (s *sfu) testEcho(t *testing.T, b browser, source string) {
	s.application.takeLog()
	p := s.open(t, b, roomsPage)
	p.call(t, nil, "echo", source)
	checkStream(t, p)
	s.checkJanus(t, 1)
	s.checkNothingTold(t, source, p)
}

// testPublish has a browser publish by WHIP, in mid-stream over new candidates, and another one view that, which Janus
// offers to it.
func (s *sfu) testPublish(t *testing.T, b browser, source string, other browser) {
	s.application.takeLog()
	publisher := s.open(t, b, roomsPage)
	publisher.call(t, nil, "publish", source, stage)
	if !connects(t, publisher, patience/2) {
		t.Fatalf("what is published does not connect; it went through %q", publisher.connectionStates(t))
	}
	viewer := s.open(t, other, roomsPage)
	viewer.call(t, nil, "view", 1234)
	checkStream(t, viewer)
	s.checkJanus(t, 2)

	var status int
	if publisher.call(t, &status, "trickleTo", `"another"`); status != http.StatusPreconditionFailed {
		t.Errorf("a fragment for another entity is answered with %d, want %d", status, http.StatusPreconditionFailed)
	}
	var ufrag string
	publisher.call(t, &ufrag, "restartPublished")
	s.waitForRestart(t, ufrag)
	checkStream(t, viewer)
	s.checkJanus(t, 2)
	s.checkNothingTold(t, source, publisher, viewer)

	publisher.call(t, nil, "end")
}
