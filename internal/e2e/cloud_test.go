//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// sfuPage makes the page of the application for calls one for a media server.
//
//go:embed testdata/sfu.html
var sfuPage string

// cloud is a web application on the Internet that brings browsers to a media server: it serves the page, passes the
// WebSocket of the page on to Janus, and WHIP to its server. It knows nothing of candgw, and writes down all that it
// is told from either side.
type cloud struct {
	namespace
	certificate *certificate // its own, and that of the media server

	mu  sync.Mutex
	log strings.Builder
}

// upstreams are where an application has its media server, as URLs.
type upstreams struct{ janus, whip string }

// From whom something came, in the log.
const fromBrowser, fromMediaServer = "from the browser", "from the media server"

// serve serves the application over TLS until the test ends.
func (c *cloud) serve(t *testing.T, address string, to upstreams) {
	t.Helper()
	listener, err := c.listen(t.Context(), address)
	if err != nil {
		t.Fatalf("serving the application: %v", err)
	}
	pair, err := tls.LoadX509KeyPair(c.certificate.certificateFile, c.certificate.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	client := c.toMediaServer(pair.Leaf)
	whip, err := url.Parse(to.whip)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(callPage)
		_, _ = w.Write([]byte(sfuPage))
	})
	mux.HandleFunc("/watch.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(watchScript)
	})
	mux.HandleFunc("/janus", func(w http.ResponseWriter, r *http.Request) { c.relay(w, r, client, to.janus) })
	mux.Handle("/whip/", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(whip) },
		ModifyResponse: func(r *http.Response) error {
			text, err := httputil.DumpResponse(r, true)
			c.write(fromMediaServer, text)
			return err
		},
		Transport: client.Transport,
	})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := httputil.DumpRequest(r, true)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.write(fromBrowser, text)
		mux.ServeHTTP(w, r)
	})}
	// Without HTTP/2, over which browsers would have no WebSocket here.
	go func() {
		_ = server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}}))
	}()
	t.Cleanup(func() { server.Close() })
}

// toMediaServer returns a client that takes a certificate for that of the media server.
func (c *cloud) toMediaServer(certificate *x509.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &http.Client{Transport: &http.Transport{
		DialContext: c.dial, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "media.example.com"},
	}}
}

// relay passes the messages of a browser on to Janus, and those of Janus to the browser, as they are.
func (c *cloud) relay(w http.ResponseWriter, r *http.Request, client *http.Client, janus string) {
	protocols := []string{"janus-protocol"}
	browser, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: protocols, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer browser.CloseNow()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	media, _, err := websocket.Dial(ctx, janus, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: protocols,
	})
	if err != nil {
		return
	}
	defer media.CloseNow()
	go func() {
		defer cancel()
		c.pass(ctx, fromMediaServer, media, browser)
	}()
	c.pass(ctx, fromBrowser, browser, media)
}

func (c *cloud) pass(ctx context.Context, title string, from, to *websocket.Conn) {
	for {
		kind, message, err := from.Read(ctx)
		if err != nil {
			return
		}
		c.write(title, message)
		if to.Write(ctx, kind, message) != nil {
			return
		}
	}
}

func (c *cloud) write(title string, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.log, "--- %s:\n%s\n", title, bytes.TrimSpace(text))
}

// takeLog returns all that came since it was called last.
func (c *cloud) takeLog() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	log := c.log.String()
	c.log.Reset()
	return log
}
