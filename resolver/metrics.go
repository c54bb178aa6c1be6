package resolver

import (
	"time"

	"github.com/candgw/candgw/cipher"
)

// A Result is what came of a lookup.
type Result uint8

const (
	// Answered lookups have an address.
	Answered Result = iota + 1
	// NoData lookups are of a name that exists and has nothing of the type asked for.
	NoData
	// Unauthenticated names are in a zone and open under no key.
	Unauthenticated
	// Revoked names were made with a revoked key.
	Revoked
	// Denied lookups are those that no policy allows.
	Denied
	// Limited lookups are those of an asker that asks more often than its policy allows.
	Limited
	// Malformed packets are no query that could be understood.
	Malformed
	// Overload lookups are not answered, because there is more to do than this node can.
	Overload
	// Foreign lookups are those of names outside the zones, or of what is never answered, as a transfer.
	Foreign
)

var resultNames = [...]string{
	Answered: "answered", NoData: "nodata", Unauthenticated: "unauthenticated", Revoked: "revoked",
	Denied: "denied", Limited: "limited", Malformed: "malformed", Overload: "overload", Foreign: "foreign",
}

// String returns the result as it stands in metrics.
func (r Result) String() string { return resultNames[r] }

// A Front is one of the ways to ask, as it stands in metrics.
type Front string

// The fronts.
const (
	FrontDNS  Front = "dns"
	FrontMDNS Front = "mdns"
	FrontAPI  Front = "api"
)

// Metrics hears of lookups. It is called by many goroutines at once.
type Metrics interface {
	// Lookups counts n lookups with the same result. key opened the names; it is nil if none did.
	Lookups(front Front, result Result, key *cipher.Key, n int)
	// Took tells that n lookups were done within d of being read, which is when all were that were read together.
	Took(front Front, d time.Duration, n int)
}

type noMetrics struct{}

func (noMetrics) Lookups(Front, Result, *cipher.Key, int) {}
func (noMetrics) Took(Front, time.Duration, int)          {}

// A tally collects what came of the lookups that were read at once, so that what all processors share
// is touched once for all of them. It serves one goroutine at a time.
type tally struct {
	resolver *Resolver
	front    Front
	counts   []tallied
}

type tallied struct {
	result Result
	key    *cipher.Key
	n      int
}

// add counts one lookup.
func (t *tally) add(result Result, key *cipher.Key) {
	for i := range t.counts {
		if c := &t.counts[i]; c.result == result && c.key == key {
			c.n++
			return
		}
	}
	t.counts = append(t.counts, tallied{result, key, 1})
}

// flush tells what was counted since the last time, and that it was read took ago.
func (t *tally) flush(took time.Duration) {
	total := 0
	for _, c := range t.counts {
		t.resolver.config.Metrics.Lookups(t.front, c.result, c.key, c.n)
		if c.key != nil && (c.result == Answered || c.result == NoData) && t.resolver.config.Opened != nil {
			t.resolver.config.Opened(c.key)
		}
		total += c.n
	}
	if total > 0 {
		t.resolver.config.Metrics.Took(t.front, took, total)
	}
	clear(t.counts) // of the keys in it, which may have left the ring
	t.counts = t.counts[:0]
}
