// Package api is the HTTP API of candgw. docs/api.md describes it, and so does the document that it serves.
package api

import (
	"crypto/x509"
	_ "embed"
	"io"
	"log/slog"
	"net/http"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/web"
	"github.com/candgw/candgw/resolver"
)

// Metrics hears of requests. It is called by many goroutines at once.
type Metrics interface {
	Request(operation string, code int)
	Candidates(*gateway.Report)
	Handler() http.Handler
}

// A Config is what the API needs; Gateway, Resolver, Metrics, Ready, Trouble and Log must be set.
type Config struct {
	Gateway  *gateway.Gateway
	Resolver *resolver.Resolver
	Metrics  Metrics
	// Ready returns why the process cannot serve, or nil.
	Ready func() error
	// Trouble returns what is wrong though the process serves, or "". Anybody may read it.
	Trouble func() string
	// Token, if it is not empty, must come with every request but those that anybody may make.
	Token string
	// ClientCAs, if there are any, are those one of which has issued the certificate that must come with every request
	// but those that anybody may make. The server verifies it; here is decided whether that is enough.
	ClientCAs []*x509.Certificate
	// Rate is how many requests a second each caller may make for the operations, and Burst how many of them at once,
	// each at least one; a Rate of 0 is any number.
	Rate, Burst int
	Log         *slog.Logger
}

//go:embed openapi.json
var document []byte

// A route is a method and a path of the API, as docs/api.md and the document have it.
type route struct {
	method, path string
	handle       http.Handler
	// open routes are for anybody: they want neither token nor certificate.
	open bool
}

func (h *handler) routes() []route {
	operation := func(name string, handle http.HandlerFunc) http.Handler {
		count := func(code int) { h.Metrics.Request(name, code) }
		return web.Counted(name, h.Log, count, h.limited(handle))
	}
	return []route{
		{"POST", "/v1/encrypt", operation("encrypt", h.rewrite("encrypt", h.Gateway.Encrypt)), false},
		{"POST", "/v1/decrypt", operation("decrypt", h.rewrite("decrypt", h.Gateway.Decrypt)), false},
		{"GET", "/v1/resolve", operation("resolve", h.resolve), false},
		{"GET", "/metrics", h.Metrics.Handler(), false},
		{"GET", "/openapi.json", http.HandlerFunc(serveDocument), true},
		{"GET", "/healthz", http.HandlerFunc(serveHealth), true},
		{"GET", "/readyz", http.HandlerFunc(h.serveReady), true},
	}
}

// Handler returns the API.
func Handler(c Config) http.Handler {
	h := newHandler(c)
	guarded, open := http.NewServeMux(), http.NewServeMux()
	use := "use GET /openapi.json, which tells all that there is"
	for _, r := range h.routes() {
		mux, allow := guarded, r.method
		if r.open {
			mux = open
		}
		if allow == "GET" {
			allow = "GET, HEAD"
		}
		mux.Handle(r.method+" "+r.path, r.handle)
		mux.HandleFunc(r.path, web.Only(allow))
	}
	guarded.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { web.Problem(w, http.StatusNotFound, use) })
	open.Handle("/", h.authorize(guarded))
	return h.checkHost(h.checkOrigin(open))
}

func serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(document)
}

func serveHealth(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

func (h *handler) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := h.Ready(); err != nil {
		web.Problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	io.WriteString(w, "ready\n")
	if trouble := h.Trouble(); trouble != "" {
		io.WriteString(w, trouble+"\n")
	}
}
