package gateway

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/candgw/candgw/cipher"
)

const (
	maxSessions    = 100_000
	sessionExpires = 24 * time.Hour

	// maxUfrag is the length of the longest ufrag: RFC 8839, section 5.4.
	maxUfrag = 256
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
	pwd     string
	counts  counts
	expires time.Time
}

// counts are numbers of candidates since the last description of a session: of all that were seen, and,
// by type, of those that a policy with a bound lets pass.
type counts [1 + len(candidateTypes)]int

// allSeen is the index of the first count; those by type follow it.
const allSeen = 0

func newSessions(size int, now func() time.Time) *sessions {
	return &sessions{lru: newLRU[sessionKey, session](size), now: now}
}

func newLRU[K comparable, V any](size int) *simplelru.LRU[K, V] {
	l, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return l
}

// start remembers a session. A whole description begins its count of candidates anew; a fragment goes
// on with it. Credentials longer than RFC 8839 allows are not remembered.
func (s *sessions) start(k sessionKey, pwd string, whole bool) {
	if len(k.ufrag) > maxUfrag || len(pwd) > cipher.MaxPassword {
		return
	}
	// Copies, because they are parts of a body that is not to stay in memory for them.
	k.ufrag = strings.Clone(k.ufrag)
	v := session{pwd: strings.Clone(pwd)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.get(k); ok && !whole && old.pwd == pwd {
		v.counts = old.counts
	}
	s.put(k, v)
}

// pwd returns a session's password, empty if the session is not known.
func (s *sessions) pwd(k sessionKey) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _ := s.get(k)
	return v.pwd
}

// count adds to one count of a session, and returns what it is now.
func (s *sessions) count(k sessionKey, which int) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.get(k)
	if !ok {
		return 0, false
	}
	v.counts[which]++
	s.put(k, v)
	return v.counts[which], true
}

func (s *sessions) get(k sessionKey) (session, bool) {
	v, ok := s.lru.Get(k)
	if !ok || !s.now().Before(v.expires) {
		return session{}, false
	}
	return v, true
}

func (s *sessions) put(k sessionKey, v session) {
	v.expires = s.now().Add(sessionExpires)
	s.lru.Add(k, v)
}

// A guard holds the line where the draft does not: under its suites the ice-pwd is the IV, so that a
// second address under one ice-pwd gives both away (docs/names.md, SECURITY.md).
//
// It is bounded, but never forgets an ice-pwd that was used in the last 24 hours to make room for
// another: else whoever can fill it could have a second address encrypted.
type guard struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[guardKey, guardEntry]
	size int
	now  func() time.Time
}

type guardKey struct {
	key cipher.KeyID
	iv  [16]byte // the first octets of the ice-pwd, which is all that the suites use of it
}

type guardEntry struct {
	addr netip.Addr
	// origin is the client's own name for the address, empty for a raw one: else whoever has seen
	// the ice-pwd could have a guessed address encrypted, and compare.
	origin  string
	expires time.Time // from when on it may make room
}

func newGuard(size int, now func() time.Time) *guard {
	return &guard{lru: newLRU[guardKey, guardEntry](size), size: size, now: now}
}

// admit returns why an address must not be encrypted under a key of the draft's suites and an
// ice-pwd, nothing if it may.
func (g *guard) admit(k *cipher.Key, pwd, origin string, addr netip.Addr) (wrong string) {
	key := guardKey{key: k.ID()}
	copy(key.iv[:], pwd)
	if k.Suite() == cipher.AESGCM {
		clear(key.iv[12:]) // of which GCM uses 12
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	first, ok := g.lru.Peek(key)
	if ok && (first.addr != addr || first.origin != origin) {
		return "its suite encrypts one address of an ice-pwd, and this is another"
	}
	if !ok && g.lru.Len() == g.size {
		if _, oldest, _ := g.lru.GetOldest(); g.now().Before(oldest.expires) {
			return "its suite encrypts one address of an ice-pwd, and there is no room to remember another ice-pwd"
		}
	}
	g.lru.Add(key, guardEntry{addr, strings.Clone(origin), g.now().Add(sessionExpires)})
	return ""
}
