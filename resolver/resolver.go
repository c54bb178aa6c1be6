// Package resolver is the network side of candgw: it answers DNS and Multicast DNS lookups of
// encrypted names with the addresses that they stand for.
//
// A [Resolver] decides, [DNS] and [MDNS] are its two front ends.
package resolver

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// A Status is what came of a lookup.
type Status uint8

const (
	// Foreign names are outside the zones.
	Foreign Status = iota + 1
	// Apex is the name of a zone itself: it exists and has no address.
	Apex
	// Unopened names are in a zone and open under no key.
	Unopened
	// Revoked names were made with a revoked key.
	Revoked
	// Denied lookups are those that no policy allows.
	Denied
	// Limited lookups are those of an asker that asks more often than its policy allows.
	Limited
	// Answered lookups have an address.
	Answered
)

var statusNames = [...]string{
	Foreign: "foreign", Apex: "apex", Unopened: "unopened", Revoked: "revoked", Denied: "denied",
	Limited: "limited", Answered: "answered",
}

// String returns the status as it stands in metrics.
func (s Status) String() string { return statusNames[s] }

// An Asker is who looks up a name.
type Asker struct {
	Addr netip.Addr
	// OnLink says that the asker is on a link of this node.
	OnLink bool
}

// An Answer is what came of a lookup. Addr and TTL are set if its Status is [Answered].
type Answer struct {
	Status Status
	Addr   netip.Addr
	// TTL is in whole seconds, at least one.
	TTL time.Duration
}

// Metrics hears of every lookup. It is called by many goroutines at once.
type Metrics interface {
	// Lookup counts one; front is "dns" or "mdns".
	Lookup(front string, status Status)
}

// A Config is what a resolver needs. Ring and Policy must be set.
type Config struct {
	// Ring and Policy are called once a lookup.
	Ring   func() *keyring.Ring
	Policy func() *policy.Set
	// Zones are the names that encrypted names stand under, "local" if there are none.
	Zones []string
	// Metrics may be nil.
	Metrics Metrics
	// Opened, unless it is nil, hears of every key that opened a name that was answered. Many goroutines
	// call it at once.
	Opened func(*cipher.Key)
	// Now is the clock; [time.Now] if nil.
	Now func() time.Time
}

// A Resolver opens names. It is safe for concurrent use.
type Resolver struct {
	config  Config
	zones   []string // lower case, with a dot before and none after
	seen    *seenNames
	limiter *limiter
	openers sync.Pool
}

// New returns a resolver.
func New(config Config) *Resolver {
	if config.Now == nil {
		config.Now = time.Now
	}
	if len(config.Zones) == 0 {
		config.Zones = []string{"local"}
	}
	if config.Metrics == nil {
		config.Metrics = noMetrics{}
	}
	r := &Resolver{config: config, seen: newSeenNames(config.Now), limiter: newLimiter(maxAskers, config.Now)}
	for _, z := range config.Zones {
		r.zones = append(r.zones, "."+strings.ToLower(strings.Trim(z, ".")))
	}
	r.openers.New = func() any { return new(cipher.Opener) }
	return r
}

type noMetrics struct{}

func (noMetrics) Lookup(string, Status) {}

// Remember tells the resolver the ice-pwd of a name that opens only with it. It keeps a bounded
// number of them, for a day.
func (r *Resolver) Remember(name cipher.Name, pwd string) { r.seen.add(name, pwd) }

// Resolve looks up a name, with or without a final dot, in either letter case.
func (r *Resolver) Resolve(name string, asker Asker) Answer {
	labels, status := r.inZone(strings.TrimSuffix(name, "."))
	if status == Foreign {
		return Answer{Status: status}
	}
	asker.Addr = asker.Addr.Unmap().WithZone("")
	may := r.config.Policy().DecideAsker(asker.Addr, asker.OnLink)
	switch {
	case !may.Allow:
		return Answer{Status: Denied} // whatever the name: not even that it opens is told
	case status == Apex:
		return Answer{Status: status}
	}
	o := r.openers.Get().(*cipher.Opener)
	defer r.openers.Put(o)
	// A name of another form costs nothing, and is often another host's: it does not count.
	if !cipher.ReadName(o, labels) {
		return Answer{Status: Unopened}
	}
	if may.Rate > 0 && !r.limiter.allow(asker.Addr, may.Rate, may.Burst) {
		return Answer{Status: Limited}
	}
	now := r.config.Now()
	opened, status := r.open(o, now)
	if status != Answered {
		return Answer{Status: status}
	}
	decision := may.Answer(opened.Addr)
	if !decision.Allow || !policy.Reachable(opened.Addr) {
		return Answer{Status: Denied}
	}
	if r.config.Opened != nil {
		r.config.Opened(opened.Key)
	}
	ttl := decision.TTL
	if !opened.Until.IsZero() {
		ttl = min(ttl, opened.Until.Sub(now))
	}
	return Answer{Answered, opened.Addr, max(ttl.Truncate(time.Second), time.Second)}
}

// inZone returns what stands before the zone of a name.
func (r *Resolver) inZone(name string) (labels string, status Status) {
	for _, z := range r.zones {
		if strings.EqualFold(name, z[1:]) {
			return "", Apex
		}
		if at := len(name) - len(z); at > 0 && strings.EqualFold(name[at:], z) {
			return name[:at], Unopened
		}
	}
	return "", Foreign
}

func (r *Resolver) open(o *cipher.Opener, now time.Time) (keyring.Opened, Status) {
	ring := r.config.Ring()
	opened, err := ring.Open(o, "", now)
	if errors.Is(err, cipher.ErrPasswordNeeded) {
		if pwd := r.seen.pwd(o.Name()); pwd != "" {
			opened, err = ring.Open(o, pwd, now)
		}
	}
	switch {
	case err == nil:
		return opened, Answered
	case errors.Is(err, keyring.ErrRevoked):
		return opened, Revoked
	}
	return opened, Unopened
}
