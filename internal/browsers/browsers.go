// Package browsers answers the browser extension: it has candidates encrypted for the client that asks, and for nobody
// else. docs/api.md describes it.
package browsers

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/limit"
	"github.com/candgw/candgw/internal/web"
	"github.com/candgw/candgw/policy"
)

const (
	// maxClients is how many clients are told apart where their requests are limited, each by its address.
	maxClients = 1 << 14
	// neighborRate and neighborBurst bound how often the kernel may be made to ask for an address that a client names: each
	// time costs the link a packet to everybody, and the kernel an entry.
	neighborRate, neighborBurst = 4, 32
	// maxUnderWay is how many requests there are at once, which bounds what their bodies take: 64 KiB each, and about
	// twice as much while they are read.
	maxUnderWay = 2048

	path = "/v1/encrypt"
	// remembered is for how many seconds a browser need not ask again whether it may ask.
	remembered = "7200"
)

// Metrics hears of requests. It is called by many goroutines at once.
type Metrics interface {
	BrowsersRequest(code int)
	Candidates(*gateway.Report)
}

// A Config is what a handler needs; all of it must be set.
type Config struct {
	Gateway *gateway.Gateway
	// Policy is that of the gateway.
	Policy  func() *policy.Set
	Metrics Metrics
	// OnLink reports whether a client is on a link of this node, where its browser's names can be asked for.
	OnLink func(client netip.Addr) bool
	// SameHost reports whether an address is of the host that a connection comes from: see package neighbor.
	SameHost func(ctx context.Context, client, addr netip.Addr, mayAsk func() bool) bool
	Log      *slog.Logger
}

// Settings are what may change while a handler answers.
type Settings struct {
	// Answers reports whether an extension is answered, by its origin.
	Answers func(origin string) bool
	// Rate is how many candidates a second each client may ask for, and Burst how many of them at once, each at least one.
	// A request for none counts as one.
	Rate, Burst int
}

// A Handler answers extensions. It is safe for concurrent use.
type Handler struct {
	Config
	settings atomic.Pointer[Settings]
	counted  http.Handler
	underWay chan struct{}  // has an element for each request
	asked    *limit.Limiter // for candidates
	asks     *limit.Limiter // of the kernel, for neighbors
	// secret makes the names of raw addresses repeat: see secretOf.
	secret [32]byte
}

// New returns a handler.
func New(c Config, s Settings) *Handler {
	h := &Handler{
		Config: c, underWay: make(chan struct{}, maxUnderWay),
		asked: limit.New(maxClients, time.Now()), asks: limit.New(maxClients, time.Now()),
	}
	h.counted = web.Counted("browsers", c.Log, c.Metrics.BrowsersRequest, http.HandlerFunc(h.serve))
	rand.Read(h.secret[:]) // never fails: crypto/rand
	h.Use(s)
	return h
}

// Use has further requests be answered under other settings.
func (h *Handler) Use(s Settings) { h.settings.Store(&s) }

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.counted.ServeHTTP(w, r) }

// serve looks at the origin first, which a page cannot choose: what a page asks must not count for the client, or its
// extension would not be answered any more.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	s := h.settings.Load()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Vary", "Origin")
	origins := r.Header.Values("Origin")
	if len(origins) != 1 || !s.Answers(origins[0]) {
		web.Problem(w, http.StatusForbidden, "only the browser extension is answered here: its origin must be one of 'extensions'")
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", origins[0])
	client := web.Peer(r)
	switch {
	case !h.mayAsk(client):
		web.TooMany(w, "more than a client may ask for: wait a second")
	case r.URL.Path != path:
		web.Problem(w, http.StatusNotFound, "use POST "+path+", which is all that there is")
	case r.Method == http.MethodOptions:
		preflight(w, r)
	case r.Method != http.MethodPost:
		web.Only("POST, OPTIONS")(w, r)
	default:
		select {
		case h.underWay <- struct{}{}:
			defer func() { <-h.underWay }()
			h.encrypt(w, r, client)
		default:
			web.Problem(w, http.StatusServiceUnavailable, "too many requests of all clients are under way: ask another node")
		}
	}
}

// mayAsk reports whether a client may ask for one more candidate, and counts it if so.
func (h *Handler) mayAsk(client netip.Addr) bool {
	s := h.settings.Load()
	return h.asked.Allow(limit.Address(client), s.Rate, s.Burst, time.Now())
}

// preflight tells a browser that the extension may ask: the CORS protocol of the Fetch standard, and Private Network Access.
func preflight(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	w.Header().Set("Access-Control-Max-Age", remembered)
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		w.Header().Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
}
