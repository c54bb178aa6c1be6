package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/resolver"
)

// lookups counts lookups. A counter once found is kept, because to find it by its labels takes longer than
// a lookup.
type lookups struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec

	mu    *sync.RWMutex
	known map[lookup]prometheus.Counter
	took  map[resolver.Front]prometheus.Observer
}

// A lookup is the labels of a counter. key is zero if no key opened the name.
type lookup struct {
	front  resolver.Front
	result resolver.Result
	key    cipher.KeyID
}

func newLookups() lookups {
	l := lookups{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "candgw_lookups_total", Help: "Lookups by front end (dns, mdns, api), what came of them, and the id of the key that opened the name.",
		}, []string{"front", "result", "key"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "candgw_lookup_duration_seconds", Help: "Time from when a lookup was read to when all were done that were read together with it.",
			Buckets: prometheus.ExponentialBuckets(4e-6, 4, 10),
		}, []string{"front"}),
		mu: new(sync.RWMutex), known: map[lookup]prometheus.Counter{}, took: map[resolver.Front]prometheus.Observer{},
	}
	for _, front := range []resolver.Front{resolver.FrontDNS, resolver.FrontMDNS, resolver.FrontAPI} {
		l.took[front] = l.seconds.WithLabelValues(string(front))
	}
	return l
}

// Lookups counts lookups; with [Set.Took] it makes the set a [resolver.Metrics].
func (s *Set) Lookups(front resolver.Front, result resolver.Result, key *cipher.Key, n int) {
	l := lookup{front: front, result: result}
	if key != nil {
		l.key = key.ID()
	}
	s.lookups.counter(l).Add(float64(n))
}

// Took adds to the histogram of a front end.
func (s *Set) Took(front resolver.Front, d time.Duration, n int) {
	for range n {
		s.lookups.took[front].Observe(d.Seconds())
	}
}

func (l *lookups) counter(of lookup) prometheus.Counter {
	l.mu.RLock()
	c := l.known[of]
	l.mu.RUnlock()
	if c == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		c = l.total.WithLabelValues(string(of.front), of.result.String(), keyLabel(of.key))
		l.known[of] = c
	}
	return c
}

// keepKeys forgets what was counted of keys that are not in the ring any more: new ones come for ever.
func (l *lookups) keepKeys(r *keyring.Ring) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for of := range l.known {
		if _, err := r.Lookup(of.key); err != nil && of.key != (cipher.KeyID{}) {
			delete(l.known, of)
			l.total.DeletePartialMatch(prometheus.Labels{"key": keyLabel(of.key)})
		}
	}
}

func keyLabel(id cipher.KeyID) string {
	if id == (cipher.KeyID{}) {
		return ""
	}
	return id.String()
}
