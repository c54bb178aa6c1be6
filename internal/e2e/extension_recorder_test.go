//go:build linux

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recorder stands in a gateway's place. It writes down what the extension asks, and keeps all names.
type recorder struct {
	mu    sync.Mutex
	asked []recorded
}

type recorded struct {
	Origin     string `json:"origin"`
	Candidates []struct {
		Candidate string `json:"candidate"`
		Pwd       string `json:"pwd"`
	} `json:"candidates"`
}

// startRecorder serves at port 8444 of the router.
func (n *managedNetwork) startRecorder(t *testing.T) *recorder {
	t.Helper()
	r := new(recorder)
	n.serveAt(t, ":8444", r, gatewayName)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", request.Header.Get("Origin"))
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	body, err := io.ReadAll(request.Body)
	var asked recorded
	if request.Method != http.MethodPost || err != nil || json.Unmarshal(body, &asked) != nil {
		return
	}
	r.mu.Lock()
	r.asked = append(r.asked, asked)
	r.mu.Unlock()
	answers := make([]map[string]string, len(asked.Candidates))
	for i := range answers {
		answers[i] = map[string]string{"kept": "this one keeps all"}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"candidates": answers})
}

// take returns what was asked since it was called last.
func (r *recorder) take() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

var ufragOf = regexp.MustCompile(` ufrag (\S+)`)

// test checks whom the extension asks for: for a page and the frames in its name the page's own origin, for frames without
// an origin nobody.
func (r *recorder) test(t *testing.T, n *managedNetwork, kind managedBrowser) {
	e := n.with(300)
	e.folder = extensionFolder(t)
	e.managed["gateways"] = []string{"https://" + gatewayName + ":8444"}
	x := kind.start(t, n.b, e)
	openGatheringPage(t, x, "https://"+siteMeet+"/call")
	r.take()

	p := openHostile(t, x, siteHostile)
	var frames struct {
		Opaque []string `json:"opaque"`
	}
	p.do(t, nil, "gather()")
	p.do(t, &frames, "frames()")
	p.do(t, nil, "leave(12)")
	p.do(t, nil, `guess(["10.77.1.2", "10.77.2.2", "printer.local"])`)
	own := p.everything(t).Ufrags
	asked := r.take()
	if len(asked) == 0 || len(own) < 5 || len(frames.Opaque) != 2 || slices.Contains(frames.Opaque, "none") {
		t.Fatalf("%d requests for connections %q and %q, which is too few to prove anything", len(asked), own, frames.Opaque)
	}
	met := make(map[string]bool)
	for _, request := range asked {
		if request.Origin != p.origin {
			t.Errorf("the gateway is asked for %s, want %s alone: %.300v", request.Origin, p.origin, request.Candidates)
		}
		for _, candidate := range request.Candidates {
			for _, found := range ufragOf.FindAllStringSubmatch(candidate.Candidate, -1) {
				met[found[1]] = true
			}
		}
	}
	for _, ufrag := range frames.Opaque {
		if met[ufrag] {
			t.Errorf("the gateway is asked for the connection %s of a frame without an origin", ufrag)
		}
	}
	forged := 0
	for ufrag := range met {
		if strings.HasPrefix(ufrag, "forged") {
			forged++
		}
	}
	if forged > 0 {
		t.Errorf("the page has found a way to the isolated script: %d of its own questions reach the gateway", forged)
	}
	t.Logf("%d requests, all for %s; for %d of %d connections; %d forged", len(asked), p.origin, len(met)-forged, len(own), forged)

	// A frame of another site in the hostile page is that site's.
	p.do(t, nil, `new Promise(resolve => { const f = document.createElement("iframe"); f.src = "https://`+siteMeet+`/frame"; f.onload = () => setTimeout(resolve, 1500); document.documentElement.append(f); })`)
	asked = r.take()
	if len(asked) == 0 {
		t.Errorf("the gateway is not asked for a frame of another site")
	}
	for _, request := range asked {
		if request.Origin != "https://"+siteMeet {
			t.Errorf("for a frame of https://%s the gateway is asked for %s", siteMeet, request.Origin)
		}
	}
}
