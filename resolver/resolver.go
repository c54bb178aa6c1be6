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
	"github.com/candgw/candgw/internal/limit"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// maxAskers is how many askers are told apart where policies limit how often each may ask: 16 MiB.
const maxAskers = 1 << 20

// An Asker is who looks up a name.
type Asker struct {
	Addr netip.Addr
	// OnLink says that the asker is on a link of this node.
	OnLink bool
}

// An Answer is what came of a lookup.
type Answer struct {
	Result Result
	// Addr and TTL are set if the result is [Answered]. TTL is in whole seconds, at least one.
	Addr netip.Addr
	TTL  time.Duration
	// Key is the one that the name opens under, nil if it opens under none or was not tried.
	Key *cipher.Key
}

// A Config is what a resolver needs. Ring and Policy must be set.
type Config struct {
	// Ring is called once a lookup, Policy once for lookups of one host that come together.
	Ring   func() *keyring.Ring
	Policy func() *policy.Set
	// Zones are what encrypted names stand under, "local" if there are none.
	Zones []Zone
	// Metrics may be nil.
	Metrics Metrics
	// Opened, unless it is nil, hears of every key that opened names that were answered. Many goroutines
	// call it at once.
	Opened func(*cipher.Key)
	// Now is the clock; [time.Now] if nil.
	Now func() time.Time
}

// A Resolver opens names. It is safe for concurrent use.
type Resolver struct {
	config  Config
	zones   []*zone
	seen    *seenNames
	limiter *limit.Limiter
	openers sync.Pool
}

// New returns a resolver. The error is of a zone that cannot be one.
func New(config Config) (*Resolver, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if len(config.Zones) == 0 {
		config.Zones = []Zone{{Name: "local"}}
	}
	if config.Metrics == nil {
		config.Metrics = noMetrics{}
	}
	zones, err := newZones(config.Zones, uint32(config.Now().Unix()))
	if err != nil {
		return nil, err
	}
	r := &Resolver{config: config, zones: zones, seen: newSeenNames(config.Now), limiter: limit.New(maxAskers, config.Now())}
	r.openers.New = func() any { return new(cipher.Opener) }
	return r, nil
}

// Remember tells the resolver the ice-pwd of a name that opens only with it. It keeps a bounded
// number of them, for a day.
func (r *Resolver) Remember(name cipher.Name, pwd string) { r.seen.add(name, pwd) }

// Resolve looks up a name, with or without a final dot, in either letter case. The name of a zone itself
// exists and has no address: [NoData].
func (r *Resolver) Resolve(name string, asker Asker) Answer {
	c := r.client(asker)
	z, labels := r.zoneOf(strings.TrimSuffix(name, "."))
	return r.lookup(z, labels, &c)
}

// Lookup is [Resolver.Resolve] for a front end of another package: what came of it is counted as the front's, and a
// key that opened the name is told.
func (r *Resolver) Lookup(front Front, name string, asker Asker) Answer {
	began := time.Now()
	a := r.Resolve(name, asker)
	t := tally{resolver: r, front: front}
	t.add(a.Result, a.Key)
	t.flush(time.Since(began))
	return a
}

// A client is an asker and what the policies of the moment let it look up.
type client struct {
	addr netip.Addr // without a zone, and not mapped
	may  policy.Asker
}

func (r *Resolver) client(a Asker) client {
	addr := a.Addr.Unmap().WithZone("")
	return client{addr, r.config.Policy().DecideAsker(addr, a.OnLink)}
}

// lookup looks up the labels that stand before a zone, which is nil for a name that is in none.
func (r *Resolver) lookup(z *zone, labels string, c *client) Answer {
	if z == nil {
		return Answer{Result: Foreign}
	}
	o := r.openers.Get().(*cipher.Opener)
	defer r.openers.Put(o)
	return resolve(r, o, labels, c, r.config.Now())
}

// resolve looks up the labels that stand before a zone, with dots between them. It does not allocate.
func resolve[T string | []byte](r *Resolver, o *cipher.Opener, labels T, c *client, now time.Time) Answer {
	switch {
	case !c.may.Allow:
		return Answer{Result: Denied} // whatever the name: not even that it opens is told
	case len(labels) == 0:
		return Answer{Result: NoData}
	// A name of another form costs nothing, and is often another host's: it does not count.
	case !cipher.ReadName(o, labels):
		return Answer{Result: Unauthenticated}
	case c.may.Rate > 0 && !r.limiter.Allow(limit.Host(c.addr), c.may.Rate, c.may.Burst, now):
		return Answer{Result: Limited}
	}
	opened, result := r.open(o, now)
	if result != Answered {
		return Answer{Result: result, Key: opened.Key}
	}
	decision := c.may.Answer(opened.Addr)
	if !decision.Allow || !policy.Reachable(opened.Addr) {
		return Answer{Result: Denied, Key: opened.Key}
	}
	ttl := decision.TTL
	if !opened.Until.IsZero() {
		ttl = min(ttl, opened.Until.Sub(now))
	}
	return Answer{Answered, opened.Addr, max(ttl.Truncate(time.Second), time.Second), opened.Key}
}

func (r *Resolver) open(o *cipher.Opener, now time.Time) (keyring.Opened, Result) {
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
	return opened, Unauthenticated
}
