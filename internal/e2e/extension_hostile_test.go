//go:build linux

package e2e

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostileScripts are what a page does that wants to know what it must not. They define the functions that the test calls.
//
//go:embed testdata/hostile
var hostileScripts embed.FS

// The sites: a policy names meet and allowed, but not hostile.
const siteMeet, siteAllowed, siteHostile = "meet.example", "allowed.example", "hostile.example"

// onlyMeet has the gateway encrypt for the pages of two sites. Others' names stay as they are.
const onlyMeet = `
policy "meet" {
  origins = ["https://` + siteMeet + `", "https://` + siteAllowed + `"]
  candidate "host" {}
  resolve {}
}
policy "others" {
  candidate "host" {
    action = "keep"
  }
}
`

// hostileHandler serves the hostile page at /, an honest one at /call, and an empty one.
func hostileHandler() http.Handler {
	const before = "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>page</title>\n<body>\n"
	page := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(text))
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/empty", page(before))
	mux.Handle("/call", page(string(peerPage)))
	// A frame of another site, which makes a connection by itself.
	mux.Handle("/frame", page(before+`<script>const pc = new RTCPeerConnection(); pc.createDataChannel("x"); pc.setLocalDescription();</script>`))
	mux.Handle("/{$}", page("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>hostile</title>\n"+
		"<script src=\"/hostile/spy.js\"></script>\n<script>spy(window); listenEverywhere(window); pose(document)</script>\n<script src=\"/hostile/page.js\"></script>\n"))
	mux.HandleFunc("/hostile/", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, hostileScripts, "testdata"+r.URL.Path)
	})
	return mux
}

// hostilePage is the hostile page in a tab.
type hostilePage struct {
	page
	origin string
}

func openHostile(t *testing.T, b browser, site string) *hostilePage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := b.openPage(ctx, "https://"+site+"/")
	if err != nil {
		t.Fatal(err)
	}
	return &hostilePage{p, "https://" + site}
}

func (p *hostilePage) do(t *testing.T, result any, format string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if err := p.evaluate(ctx, fmt.Sprintf(format, args...), result); err != nil {
		t.Fatalf("%s: %s: %v", p.origin, format, err)
	}
}

// everything is what the page has collected.
type everything struct {
	Texts   []string `json:"texts"`
	Answers []string `json:"answers"` // of the isolated script, to any node
	Ufrags  []string `json:"ufrags"`  // of the page's own connections
	Taken   int      `json:"taken"`   // forged questions that somebody took
	Found   bool     `json:"found"`   // by itself, the way to the isolated script that the test gives it
}

func (p *hostilePage) everything(t *testing.T) (e everything) {
	t.Helper()
	p.do(t, &e, "everything()")
	return e
}

// localName finds names of candidates.
var localName = regexp.MustCompile(`(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12,38}\.local\b`)

// names returns all names within what the page has collected.
func (e everything) names() (names []string) {
	for _, text := range slices.Concat(e.Texts, e.Answers) {
		names = append(names, localName.FindAllString(text, -1)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// robbed returns a copy of the extension whose page.js leaves the page the way to the isolated script, which it should find
// by nothing that it tries.
func robbed(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(extensionFolder(t))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "page.js")
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const way = `const node = document.createElement("span");`
	if bytes.Count(script, []byte(way)) != 1 {
		t.Fatalf("page.js has not the line %s", way)
	}
	script = bytes.Replace(script, []byte(way), []byte(`const node = globalThis.stolen = document.createElement("span");`), 1)
	if err := os.WriteFile(file, script, 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestHostilePage has a page try all that it can against the extension, while another tab calls:
//   - it reads with patched and with saved functions, those of other windows among them, in frames of every kind;
//   - it forges what page.js and relay.js say to each other, and floods: for this page.js leaves it the way between them,
//     which it does not find by itself, as the recorder shows;
//   - it closes and leaves frames that ask, and tries the gateway and the extension's files itself.
//
// It gets no address, no other tab's names, no name encrypted where the policy gives it none, and no question asked for
// another origin; and the other tab's names are encrypted meanwhile.
func TestHostilePage(t *testing.T) {
	require(t)
	n := newManagedNetwork(t, siteMeet, siteAllowed, siteHostile)
	n.folder = robbed(t)
	n.serve(t, hostileHandler(), siteMeet, siteAllowed, siteHostile)
	g := n.startGateway(t, onlyMeet)
	recorder := n.startRecorder(t)
	for _, tt := range managedBrowsers {
		t.Run(tt.title, func(t *testing.T) {
			x := tt.start(t, n.a, n.with(1000))
			openGatheringPage(t, x, "https://"+siteMeet+"/call")
			kept, allowed := openHostile(t, x, siteHostile), openHostile(t, x, siteAllowed)
			meet := &hostilePage{openGatheringPage(t, x, "https://"+siteMeet+"/call"), "https://" + siteMeet}

			for _, p := range []*hostilePage{kept, allowed} {
				testReads(t, p)
			}
			others := callBesideFlood(t, g, meet, kept, allowed)
			testReach(t, g, allowed, x.origin)
			for _, p := range []*hostilePage{kept, allowed} {
				checkCollected(t, n, g, p, others)
				testGuesses(t, n, p, others)
			}
		})
		t.Run(tt.title+", asked for", func(t *testing.T) { recorder.test(t, n, tt) })
	}
}

// testReads has the page use the API in all ways, in all kinds of frames.
func testReads(t *testing.T, p *hostilePage) {
	t.Helper()
	var ended string
	if p.do(t, &ended, "gather()"); ended != "complete" {
		t.Errorf("%s: gathering is %s", p.origin, ended)
	}
	var count int
	if p.do(t, &count, "natives()"); count == 0 {
		t.Errorf("%s: natives read nothing", p.origin)
	}
	var frames json.RawMessage
	p.do(t, &frames, "frames()")
	t.Logf("%s: frames %s", p.origin, frames)
	if p.do(t, &ended, "leave(24)"); ended != "complete" {
		t.Errorf("%s: after frames were left, gathering is %s", p.origin, ended)
	}
}

// callBesideFlood has a tab of another site make a connection while hostile pages flood, and returns its names.
func callBesideFlood(t *testing.T, g *gateway, meet *hostilePage, hostile ...*hostilePage) (names []string) {
	t.Helper()
	var floods sync.WaitGroup
	for _, p := range hostile {
		floods.Go(func() {
			var did json.RawMessage
			p.do(t, &did, "flood(4000)")
			t.Logf("%s: flooded %s", p.origin, did)
		})
	}
	time.Sleep(time.Second)
	const call = `(async () => {
		const began = performance.now();
		const peer = new Peer();
		await peer.offer();
		const sdp = await peer.gathered();
		peer.close();
		return {sdp, took: performance.now() - began};
	})()`
	encrypted := 0
	for range 3 {
		var got struct {
			SDP  string  `json:"sdp"`
			Took float64 `json:"took"`
		}
		meet.do(t, &got, "%s", call)
		found := localName.FindAllString(got.SDP, -1)
		for _, name := range found {
			if g.opens(t, name).IsValid() {
				encrypted++
			}
		}
		names = append(names, found...)
		t.Logf("%s: beside the flood %d names in %.0f ms", meet.origin, len(found), got.Took)
	}
	floods.Wait()
	t.Logf("%s: beside the flood %d of %d names are encrypted", meet.origin, encrypted, len(names))
	if encrypted == 0 {
		t.Errorf("%s: beside the flood none of %q is encrypted", meet.origin, names)
	}
	return names
}

// testReach has the page ask the gateway itself, and the extension.
func testReach(t *testing.T, g *gateway, p *hostilePage, extension string) {
	t.Helper()
	const refused, encrypted = `candgw_browsers_requests_total{code="403"}`, `candgw_candidates_total{result="encrypted"}`
	time.Sleep(500 * time.Millisecond) // for what was asked before
	refusedBefore, encryptedBefore := g.metric(t, refused), g.metric(t, encrypted)
	var tried map[string]string
	p.do(t, &tried, "reach(%q, %q)", "https://"+gatewayName+":8443", extension)
	for title, result := range tried {
		if !strings.HasPrefix(result, "refused: ") && result != "opaque 0 " && result != "sent" {
			t.Errorf("%s: %s gives %q", p.origin, title, result)
		}
	}
	if now := g.metric(t, encrypted); now != encryptedBefore {
		t.Errorf("%s: %v candidates were encrypted for a page that asked the gateway itself", p.origin, now-encryptedBefore)
	}
	if g.metric(t, refused) == refusedBefore {
		t.Errorf("%s: the gateway refused nothing: did the page reach it at all?", p.origin)
	}
}

// testGuesses has the page ask in the name of page.js, for addresses and names that it cannot know.
func testGuesses(t *testing.T, n *managedNetwork, p *hostilePage, others []string) {
	t.Helper()
	guesses := append([]string{
		n.a.v4.String(), n.a.v6.String(), "10.77.1.7", n.b.v4.String(), n.b.v6.String(), n.a.router.String(), "127.0.0.1", "192.168.0.1", "10.77.2.2\ncandidate:1", "printer.local", "gateway.example",
		"::ffff:10.77.1.2", "c0ffee00-1111-4222-8333-444455556666.local",
	}, others...)
	encoded, err := json.Marshal(guesses)
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string][]string
	p.do(t, &answers, "guess(%s)", encoded)
	encrypted := 0
	for _, guess := range guesses {
		if !slices.Contains(answers[guess], "encrypted") {
			continue
		}
		encrypted++
		if address, err := netip.ParseAddr(guess); err != nil || address.Unmap() != n.a.v4 && address != n.a.v6 {
			t.Errorf("%s: the guess %q is encrypted, so it is right", p.origin, guess)
		}
	}
	// Whoever has the way to the isolated script may test guesses of its own address, as any page can with ICE alone: where
	// the guess is right, the browser reaches itself. With a policy that does not name the site not even that.
	if isAllowed := p.origin == "https://"+siteAllowed; encrypted > 0 && !isAllowed {
		t.Errorf("%s: %d guesses are encrypted for a site that no policy names", p.origin, encrypted)
	}
	if len(answers[n.b.v4.String()]) == 0 {
		t.Errorf("%s: guesses are not answered, which proves nothing: %q", p.origin, answers)
	}
}

// checkCollected checks what the page has got: no address, of others no name, and encrypted names only of its own host and
// where the policy gives them.
func checkCollected(t *testing.T, n *managedNetwork, g *gateway, p *hostilePage, others []string) {
	t.Helper()
	e := p.everything(t)
	names := e.names()
	encrypted := 0
	for _, name := range names {
		if slices.Contains(others, name) {
			t.Errorf("%s has the name %s of another tab", p.origin, name)
		}
		switch address := g.opens(t, name); {
		case !address.IsValid():
		case p.origin == "https://"+siteHostile:
			t.Errorf("%s has the encrypted name %s, which the policy gives only to others", p.origin, name)
		case address != n.a.v4 && address != n.a.v6:
			t.Errorf("%s has the encrypted name %s of %s, which is not its host", p.origin, name, address)
		default:
			encrypted++
		}
	}
	t.Logf("%s: %d texts, %d answers, %d forged questions taken, %d names, of which %d are encrypted", p.origin, len(e.Texts), len(e.Answers), e.Taken, len(names), encrypted)
	if e.Found {
		t.Errorf("%s found the way from page.js to the isolated script", p.origin)
	}
	if e.Taken == 0 || len(e.Answers) == 0 {
		t.Errorf("%s: %d forged questions were taken and %d answered: that is no attack", p.origin, e.Taken, len(e.Answers))
	}
	if p.origin != "https://"+siteHostile && encrypted == 0 {
		t.Errorf("%s has no encrypted name: does the extension see to the page at all?", p.origin)
	}
	for _, text := range slices.Concat(e.Texts, e.Answers) {
		if strings.Contains(text, "forged") {
			continue // the page's own words
		}
		if found := addressesIn(text, []host{n.a, n.b}); len(found) > 0 {
			t.Errorf("%s has %q in %.200q", p.origin, found, text)
		}
	}
}
