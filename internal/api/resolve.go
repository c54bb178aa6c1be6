package api

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"time"

	"github.com/candgw/candgw/internal/web"
	"github.com/candgw/candgw/resolver"
)

// thisHost asks for what comes over a Unix socket.
var thisHost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// resolve answers a lookup with what DNS would tell: of a name that a revoked key has made no more than of any other that
// does not open. The ice-pwd of a name of the draft's suites is no parameter, as parameters stand in logs: such names
// open where this process has seen their session.
func (h *handler) resolve(w http.ResponseWriter, r *http.Request) {
	query, err := parameters(r, "resolve", "name", "client")
	if err != nil {
		web.Problem(w, http.StatusBadRequest, err.Error())
		return
	}
	name := query.Get("name")
	if name == "" {
		web.Problem(w, http.StatusBadRequest, "name is missing: give the name to look up")
		return
	}
	asker, err := address(query, "client")
	if err != nil {
		web.Problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if !asker.IsValid() {
		asker = web.Peer(r)
	}
	if !asker.IsValid() {
		asker = thisHost
	}
	switch a := h.Resolver.Lookup(resolver.FrontAPI, name, resolver.Asker{Addr: asker}); a.Result {
	case resolver.Answered:
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(resolved{name, a.Addr, int(a.TTL / time.Second)})
	case resolver.Denied:
		web.Problem(w, http.StatusForbidden, "no policy lets this client look it up")
	case resolver.Limited:
		web.TooMany(w, "more lookups than the policy lets this client make: wait a second")
	default:
		web.Problem(w, http.StatusNotFound, "the name opens to no address here")
	}
}

// resolved is the answer to a lookup.
type resolved struct {
	Name    string     `json:"name"` // as it was asked for
	Address netip.Addr `json:"address"`
	TTL     int        `json:"ttl"` // how many seconds the answer may be kept
}
