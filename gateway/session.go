package gateway

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/candgw/candgw/cipher"
)

const (
	maxSessions    = 100_000
	sessionExpires = 24 * time.Hour
)

// sessions remembers which ice-pwd goes with a client's ufrag, because a trickled candidate carries
// the ufrag alone (RFC 8838). It is bounded: the session not used for longest makes room.
type sessions struct {
	mu  sync.Mutex
	lru *simplelru.LRU[sessionKey, session]
	now func() time.Time
}

type sessionKey struct {
	client netip.Addr
	ufrag  string
}

type session struct {
	pwd        string
	candidates int // seen since the last description
	expires    time.Time
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{lru: newLRU[sessionKey, session](maxSessions), now: now}
}

func newLRU[K comparable, V any](size int) *simplelru.LRU[K, V] {
	l, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return l
}

// start remembers a session. A whole description begins its count of candidates anew; a fragment goes
// on with it.
func (s *sessions) start(k sessionKey, pwd string, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := session{pwd: pwd, expires: s.now().Add(sessionExpires)}
	if old, ok := s.lru.Get(k); ok && !whole && old.pwd == pwd {
		v.candidates = old.candidates
	}
	s.lru.Add(k, v)
}

// pwd returns a session's password, empty if the session is not known.
func (s *sessions) pwd(k sessionKey) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.lru.Get(k)
	if !ok || !s.now().Before(v.expires) {
		return ""
	}
	return v.pwd
}

// admit counts a candidate of a session; it returns false for more than [MaxCandidates].
func (s *sessions) admit(k sessionKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.lru.Get(k)
	if !ok {
		return true // it has no password either, and is not passed on for that
	}
	v.candidates++
	v.expires = s.now().Add(sessionExpires)
	s.lru.Add(k, v)
	return v.candidates <= MaxCandidates
}

// A guard holds the line where the draft does not: under its suites the ice-pwd is the IV, so that a
// second address under one ice-pwd gives both away (section 4.2 of the design, SECURITY.md).
type guard struct {
	mu  sync.Mutex
	lru *simplelru.LRU[guardKey, guardEntry]
	now func() time.Time
}

type guardKey struct {
	key cipher.KeyID
	iv  [16]byte // the first octets of the ice-pwd, which is all that the suites use of it
}

type guardEntry struct {
	addr netip.Addr
	// origin is the client's own name for the address, empty for a raw one: else whoever has seen
	// the ice-pwd could have a guessed address encrypted, and compare.
	origin string
}

func newGuard(now func() time.Time) *guard {
	return &guard{lru: newLRU[guardKey, guardEntry](maxSessions), now: now}
}

// admit returns whether an address may be encrypted under a key of the draft's suites and an ice-pwd.
func (g *guard) admit(k *cipher.Key, pwd, origin string, addr netip.Addr) bool {
	key := guardKey{key: k.ID()}
	copy(key.iv[:], pwd)
	if k.Suite() == cipher.AESGCM {
		clear(key.iv[12:]) // of which GCM uses 12
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	first, ok := g.lru.Get(key)
	if !ok {
		g.lru.Add(key, guardEntry{addr, origin})
		return true
	}
	return first == guardEntry{addr, origin}
}
