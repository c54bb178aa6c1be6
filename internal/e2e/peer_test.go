//go:build linux

package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// peerPage defines Peer, whose methods the methods of peer call.
//
//go:embed testdata/page.html
var peerPage []byte

// servePage serves the page inside the namespace until the test ends, on every address, and
// returns the port.
func servePage(t *testing.T, ns namespace) (port int) {
	t.Helper()
	listener, err := ns.listen(t.Context(), ":0")
	if err != nil {
		t.Fatalf("serving the page: %v", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(peerPage)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

// openPeerPage opens the page that the router serves at a port, once the browser makes names for host
// candidates.
func openPeerPage(t *testing.T, b browser, h host, port int) page {
	t.Helper()
	return openGatheringPage(t, b, fmt.Sprintf("http://%s:%d", h.router, port))
}

// openGatheringPage opens a page once it can gather candidates, which its Peer.gathers tells.
// Chromium's network service learns of the interfaces a moment after its start. A page that gathers
// before that never gets a name, but the next page does.
func openGatheringPage(t *testing.T, b browser, url string) page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for limit := time.Second; ; limit *= 2 { // on a busy machine a page takes longer
		p, err := b.openPage(ctx, url)
		if err != nil {
			t.Fatalf("opening %s: %v", url, err)
		}
		var gathers bool
		if err := p.evaluate(ctx, fmt.Sprintf("Peer.gathers(%d)", limit.Milliseconds()), &gathers); err != nil {
			t.Fatalf("gathering candidates: %v", err)
		}
		if gathers {
			return p
		}
	}
}

// peer is the one peer connection of a page.
type peer struct {
	page
	host host
}

// newPeer makes a peer connection that lasts until the subtest ends.
func newPeer(t *testing.T, p page, h host) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.evaluate(ctx, "globalThis.peer = new Peer(), undefined", nil); err != nil {
		t.Fatalf("new peer in %s: %v", h.namespace, err)
	}
	peer := &peer{page: p, host: h}
	t.Cleanup(func() {
		// t.Context() is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.evaluate(ctx, "peer.close()", nil); err != nil {
			t.Errorf("closing the peer in %s: %v", h.namespace, err)
		}
	})
	return peer
}

// call calls a method of Peer. The result may be nil.
func (p *peer) call(t *testing.T, result any, method string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	encoded := make([]string, len(args))
	for i, arg := range args {
		text, err := json.Marshal(arg)
		if err != nil {
			t.Fatal(err)
		}
		encoded[i] = string(text)
	}
	expression := fmt.Sprintf("peer.%s(%s)", method, strings.Join(encoded, ", "))
	if err := p.evaluate(ctx, expression, result); err != nil {
		t.Fatalf("%s in %s: %v", method, p.host.namespace, err)
	}
}

// offer returns the offer without candidates.
func (p *peer) offer(t *testing.T) (sdp string) {
	t.Helper()
	p.call(t, &sdp, "offer")
	return sdp
}

// answer takes an offer and returns the answer without candidates.
func (p *peer) answer(t *testing.T, offer string) (sdp string) {
	t.Helper()
	p.call(t, &sdp, "answer", offer)
	return sdp
}

// gathered returns the local description with all candidates.
func (p *peer) gathered(t *testing.T) (sdp string) {
	t.Helper()
	p.call(t, &sdp, "gathered")
	return sdp
}

func (p *peer) accept(t *testing.T, answer string) {
	t.Helper()
	p.call(t, nil, "accept", answer)
}

// nextCandidate returns the candidates one by one, each an RTCIceCandidateInit, and then null.
func (p *peer) nextCandidate(t *testing.T) (candidate json.RawMessage) {
	t.Helper()
	p.call(t, &candidate, "nextCandidate")
	return candidate
}

func (p *peer) addCandidate(t *testing.T, candidate json.RawMessage) {
	t.Helper()
	p.call(t, nil, "addCandidate", candidate)
}

// opens tells whether the data channel opens within a time from now.
func (p *peer) opens(t *testing.T, limit time.Duration) (open bool) {
	t.Helper()
	p.call(t, &open, "opens", limit.Milliseconds())
	return open
}

// connectionStates returns every state that ICE and the connection as a whole went through.
func (p *peer) connectionStates(t *testing.T) (states []string) {
	t.Helper()
	p.call(t, &states, "connectionStates")
	return states
}

// timeToOpen returns the time from taking the answer to the open data channel.
func (p *peer) timeToOpen(t *testing.T) time.Duration {
	t.Helper()
	var milliseconds float64
	p.call(t, &milliseconds, "millisecondsToOpen")
	return time.Duration(milliseconds * float64(time.Millisecond)).Round(100 * time.Microsecond)
}

// checkConnected checks that two peers have a direct connection which carries messages both ways
// and tells neither page an address.
func checkConnected(t *testing.T, a, b *peer) {
	t.Helper()
	for _, p := range []*peer{a, b} {
		if !p.opens(t, patience/2) {
			t.Fatalf("data channel in %s did not open; connection went through %q",
				p.host.namespace, p.connectionStates(t))
		}
	}
	checkMessage(t, a, b)
	checkMessage(t, b, a)
	for _, p := range []*peer{a, b} {
		checkSelectedPair(t, p)
		checkExposure(t, p, a.host, b.host)
	}
}

// checkNotConnected checks that peers have no connection and get none for longer than browsers try.
func checkNotConnected(t *testing.T, peers ...*peer) {
	t.Helper()
	limit := 6 * time.Second
	for _, p := range peers {
		if p.opens(t, limit) {
			t.Errorf("data channel in %s opened without candgw", p.host.namespace)
		}
		limit = 0 // the first has waited for all
	}
	for _, p := range peers {
		states := p.connectionStates(t)
		if slices.Contains(states, "connected") || slices.Contains(states, "completed") {
			t.Errorf("%s went through the states %q, want no connection", p.host.namespace, states)
		}
	}
}

func checkMessage(t *testing.T, from, to *peer) {
	t.Helper()
	want := "from " + string(from.host.namespace)
	from.call(t, nil, "send", want)
	var got string
	to.call(t, &got, "receive")
	if got != want {
		t.Errorf("%s received %q, want %q", to.host.namespace, got, want)
	}
}

// checkSelectedPair checks that the connection runs between the hosts' own addresses. A peer whose
// check arrives before its candidate's name is resolved counts as peer reflexive.
func checkSelectedPair(t *testing.T, p *peer) {
	t.Helper()
	var kinds []string
	p.call(t, &kinds, "selectedPair")
	for _, kind := range kinds {
		if kind != "host" && kind != "prflx" {
			t.Errorf("selected pair in %s is of types %q, want host or prflx", p.host.namespace, kinds)
			return
		}
	}
}

// checkExposure checks that the page can read no address of any host, its own included.
func checkExposure(t *testing.T, p *peer, hosts ...host) {
	t.Helper()
	var exposed map[string]string
	p.call(t, &exposed, "exposed")
	for source, text := range exposed {
		for _, address := range addressesIn(text, hosts) {
			t.Errorf("page in %s can read the address %s in its %s:\n%s", p.host.namespace, address, source, text)
		}
	}
}
