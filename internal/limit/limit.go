// Package limit limits how often each of many callers may do something, in bounded memory.
package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	// askersInSet is how many askers share a place in the table.
	askersInSet = 8
	limitLocks  = 256
	// readBefore is more than it takes to answer what was read together with one look at the clock.
	readBefore = time.Second
	// longestBurst keeps sums of times far from overflow.
	longestBurst = 365 * 24 * time.Hour
)

// A Key stands for one caller.
type Key [16]byte

// A Limiter limits how often each host may ask: so many times a second, so many at once. It is a
// token bucket kept as one time (GCRA, the generic cell rate algorithm): the moment at which the
// bucket is full again. How far that lies ahead is what the host owes.
//
// The table never grows. The entry of a host that owes nothing is as good as empty. When all the
// hosts of a set owe something, a newcomer takes the place of the one that owes least: it is never
// refused for what others did, and the loudest, who owe most, stay and are cut, whatever number of
// forged addresses comes by. (That takes a burst of three: with less, the loudest may owe no more than
// a newcomer.) A host that has lost its place owes nothing, so a flood that fills the whole table
// gives hosts more than their due, never less.
//
// A Limiter is safe for concurrent use.
type Limiter struct {
	start time.Time
	seed  maphash.Seed // random, so that nobody can aim at the place of somebody else
	sets  []askerSet
	locks [limitLocks]limitLock
}

// An askerSet has an entry for each of several askers: the hash of the asker, and when its bucket is
// full again. Entries not yet used are those of an asker of hash zero that owes nothing.
type askerSet struct {
	hashes [askersInSet]uint64
	full   [askersInSet]time.Duration // since the limiter's start
}

// A limitLock guards the sets of one number, modulo [limitLocks], and is their clock.
type limitLock struct {
	sync.Mutex
	last, shift time.Duration
	_           [40]byte // a cache line for each
}

// New returns a limiter that tells size askers apart, to the next lower multiple of a set, in 16 octets for each. The
// system provides them as askers come.
func New(size int, start time.Time) *Limiter {
	return &Limiter{
		start: start,
		seed:  maphash.MakeSeed(),
		sets:  make([]askerSet, max(size/askersInSet, 1)),
	}
}

// Allow reports whether an asker may ask at a time, which is now or was a moment ago, and counts it if so. It may rate
// times a second and burst times at once, each at least one. They may change from call to call: nobody owes
// more than a burst at the rate of the day. Whoever is refused and asks nothing for a second is not refused then.
func (l *Limiter) Allow(asker Key, rate, burst int, now time.Time) bool {
	perSecond := time.Duration(rate)
	interval := (time.Second + perSecond - 1) / perSecond // rounded up: at most rate
	most := interval * min(time.Duration(burst), longestBurst/interval)

	hash := maphash.Bytes(l.seed, asker[:])
	n := hash % uint64(len(l.sets))
	lock := &l.locks[n%limitLocks]
	lock.Lock()
	at := lock.forward(now.Sub(l.start))
	full := l.sets[n].find(hash)
	owed := min(max(*full-at, 0), most)
	ok := owed+interval <= most
	if ok {
		owed += interval
	}
	*full = at + owed
	lock.Unlock()
	return ok
}

// forward returns the time of a clock that never goes back. When the one given is a little behind, it was
// read before another's: no time has passed. When it is far behind, it was set back, and it goes on
// from there; otherwise what is owed would last until the clock is where it was before. The lock is held.
func (k *limitLock) forward(now time.Duration) time.Duration {
	now += k.shift
	if behind := k.last - now; behind > 0 {
		if behind > readBefore {
			k.shift += behind
		}
		now = k.last
	}
	k.last = now
	return now
}

// find returns the time in the entry of an asker; one that is not there gets the entry of the one
// that owes least.
func (s *askerSet) find(hash uint64) *time.Duration {
	least := 0
	for i, h := range s.hashes {
		if h == hash {
			return &s.full[i]
		}
		if s.full[i] < s.full[least] {
			least = i
		}
	}
	s.hashes[least], s.full[least] = hash, 0
	return &s.full[least]
}

// translated is the prefix of IPv4 hosts behind a translator: RFC 6052, section 2.1.
var translated = netip.MustParsePrefix("64:ff9b::/96")

// Host returns what stands for the host of an address: all of it for IPv4, mapped, translated or not, and
// the /64 for IPv6, where a host takes as many addresses as it likes. All hosts of a link are in the one
// /64 of link-local addresses, so those are whole; the same one on two links counts as one. What is not an address is a host of its own.
func Host(asker netip.Addr) Key {
	host := Key(asker.As16())
	switch {
	case !asker.IsValid():
		host[15] = 0xff // ::ff, which is in ::/64, whose hosts are all ::
	case asker.Unmap().Is4(), asker.IsLinkLocalUnicast(), translated.Contains(asker):
	default:
		clear(host[8:])
	}
	return host
}

// Address returns what stands for an address alone, for callers on links of ours: all hosts of an IPv6 link are in one
// /64, which [Host] takes for one. The same address on two links counts as one.
func Address(asker netip.Addr) Key { return asker.As16() }
