//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
)

// checkFrames checks that frames without a site of their own, in a page whose origin policy has encrypted, are served as that
// page is. A frame of another site is asked for under that one's origin, which policy leaves alone; one that has no
// origin is not asked for.
func (d *deployed) checkFrames(t *testing.T, p page) {
	t.Helper()
	for _, frame := range []struct {
		title, attributes string
		encrypts          bool
	}{
		{"about:blank", ``, true},
		{"srcdoc", `srcdoc: page`, true},
		{"blob:", `src: URL.createObjectURL(new Blob([page], { type: "text/html" }))`, true},
		{"another site", fmt.Sprintf(`src: "http://%s:%d/frame"`, d.b.router, d.port), false},
		{"data:", `src: "data:text/html," + encodeURIComponent(page)`, false},
		{"sandboxed", `src: "/frame", sandbox: "allow-scripts"`, false},
		{"sandboxed srcdoc", `srcdoc: page, sandbox: "allow-scripts"`, false},
	} {
		for _, name := range gatheredNames(t, p, fmt.Sprintf(framed, answering, frame.attributes)) {
			if encrypted := d.opens(t, name); encrypted != frame.encrypts {
				t.Errorf("frame %s: that %s is an encrypted name is %t, want %t", frame.title, name, encrypted, frame.encrypts)
			}
		}
	}
	// So the gateway answers what has no origin.
	if refused := d.gateway.metric(t, `candgw_browsers_requests_total{code="400"}`); refused != 0 {
		t.Errorf("the gateway refused %v requests, want that there is none with a wrong origin", refused)
	}
}

// answering is a function that returns the candidates of an answer. Firefox tells nobody what the names in an offer stand for.
const answering = `async () => {
	const caller = new RTCPeerConnection(), callee = new RTCPeerConnection(), candidates = [];
	caller.createDataChannel("");
	const complete = new Promise(resolve => callee.onicecandidate = ({ candidate }) => {
		if (!candidate) resolve();
		else if (candidate.candidate) candidates.push(candidate.candidate);
	});
	await caller.setLocalDescription();
	await callee.setRemoteDescription(caller.localDescription);
	await callee.setLocalDescription();
	await complete;
	caller.close();
	callee.close();
	return candidates;
}`

// framed has a frame do that: the function, and the attributes of the frame.
const framed = `(async () => {
	const answering = %q, page = "<script>(" + answering + ")().then(found => parent.postMessage(found, '*'))</" + "script>";
	const frame = Object.assign(document.createElement("iframe"), { %s });
	const told = new Promise(resolve => addEventListener("message", event => event.source === frame.contentWindow && resolve(event.data)));
	const loaded = new Promise(resolve => frame.onload = resolve);
	document.body.append(frame);
	await loaded;
	const found = await (frame.src || frame.srcdoc ? told : frame.contentWindow.eval("(" + answering + ")()"));
	frame.remove();
	return found;
})()`

// gatheredNames evaluates an expression whose value is candidates, and returns their names.
func gatheredNames(t *testing.T, p page, expression string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var candidates []string
	if err := p.evaluate(ctx, expression, &candidates); err != nil {
		t.Fatal(err)
	}
	found := names(candidates)
	if len(found) == 0 {
		t.Fatal("no candidates")
	}
	return found
}

// serveFrames serves the page on all addresses of the namespace, and below /frame one for frames.
func serveFrames(t *testing.T, ns namespace) (port int) {
	t.Helper()
	listener, err := ns.listen(t.Context(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	serve := func(path string, page []byte) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write(page)
		})
	}
	serve("/", peerPage)
	serve("/frame", []byte("<!doctype html><script>("+answering+")().then(found => parent.postMessage(found, '*'))</script>"))
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}
