package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/bounded"
)

const (
	// maxSessions is how many sessions are remembered, and maxLongSessions how many of those with a password
	// longer than any browser's.
	maxSessions     = 1_000_000
	maxLongSessions = maxSessions / 16
	sessionExpires  = 24 * time.Hour

	// maxUfrag is the length of the longest ufrag: RFC 8839, section 5.4.
	maxUfrag = 256
	// usualPwd is the length of the longest password that browsers make: Firefox's.
	usualPwd = 32
)

// sessions remembers which ice-pwd goes with a client's ufrag, because a trickled candidate carries
// the ufrag alone (RFC 8838). It is bounded: the session not used for longest makes room. No part of it
// points to another, so that the garbage collector has nothing to look through.
type sessions struct {
	secret [16]byte
	now    func() time.Time
	mu     sync.Mutex
	usual  *bounded.Table[sessionID, session[[usualPwd]byte]]
	long   *bounded.Table[sessionID, session[[cipher.MaxPassword]byte]]
}

type sessionKey struct {
	client netip.Addr
	ufrag  string
}

// A sessionID stands for a sessionKey of any length: a hash under the secret of the gateway, so that nobody
// outside finds two keys of one hash.
type sessionID [16]byte

type session[P any] struct {
	pwd    P
	length uint16 // of pwd
	counts counts
}

// counts are numbers of candidates since the last description of a session: of all that were seen, and,
// by type, of those that a policy with a bound lets pass. They end at mostCounted, beyond what any policy asks.
type counts [1 + len(candidateTypes)]uint8

const mostCounted = 255

// add returns one count after n more.
func (c *counts) add(which, n int) int {
	after := int(c[which]) + n
	c[which] = uint8(min(after, mostCounted))
	return after
}

// allSeen is the index of the first count; those by type follow it.
const allSeen = 0

func newSessions(size, longSize int, now func() time.Time) *sessions {
	s := &sessions{
		now:   now,
		usual: bounded.New[sessionID, session[[usualPwd]byte]](size, sessionExpires),
		long:  bounded.New[sessionID, session[[cipher.MaxPassword]byte]](longSize, sessionExpires),
	}
	rand.Read(s.secret[:]) // never fails: crypto/rand
	return s
}

// id returns the zero sessionID for a session that is not remembered: its ufrag is longer than RFC 8839 allows.
func (s *sessions) id(k sessionKey) sessionID {
	if len(k.ufrag) > maxUfrag {
		return sessionID{}
	}
	var text [len(s.secret) + 1 + 16 + maxUfrag]byte
	b := append(text[:0], s.secret[:]...)
	b = append(b, byte(k.client.BitLen())) // an IPv4 address is not the IPv6 address that it is mapped to; none is neither
	addr := k.client.As16()
	b = append(append(b, addr[:]...), k.ufrag...)
	sum := sha256.Sum256(b)
	return sessionID(sum[:])
}

// start remembers a session. A whole description begins its count of candidates anew; a fragment goes
// on with it. Credentials longer than RFC 8839 allows are not remembered.
func (s *sessions) start(id sessionID, pwd string, whole bool) {
	if id == (sessionID{}) || len(pwd) > cipher.MaxPassword {
		return
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.find(id, now)
	var counted counts
	if known != nil && !whole && string(old) == pwd {
		counted = *known
	}
	if len(pwd) > usualPwd {
		s.usual.Delete(id)
		v := s.long.Put(id, session[[cipher.MaxPassword]byte]{length: uint16(len(pwd)), counts: counted}, now)
		copy(v.pwd[:], pwd)
		return
	}
	s.long.Delete(id)
	v := s.usual.Put(id, session[[usualPwd]byte]{length: uint16(len(pwd)), counts: counted}, now)
	copy(v.pwd[:], pwd)
}

// find returns the password and the counts of a session, nil if it is not known. They are good under the lock.
func (s *sessions) find(id sessionID, now time.Time) (pwd []byte, counts *counts) {
	if v := s.usual.Get(id, now); v != nil {
		return v.pwd[:v.length], &v.counts
	}
	if v := s.long.Get(id, now); v != nil {
		return v.pwd[:v.length], &v.counts
	}
	return nil, nil
}

// appendPwd appends a session's password, nothing if the session is not known.
func (s *sessions) appendPwd(dst []byte, id sessionID) []byte {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	pwd, _ := s.find(id, now)
	return append(dst, pwd...)
}

// count adds to one count of a session, and returns what it is now. It begins the session's time anew.
func (s *sessions) count(id sessionID, which, add int) (n int, ok bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, counted := s.find(id, now)
	if counted == nil {
		return 0, false
	}
	n = counted.add(which, add)
	if !s.usual.Renew(id, now) {
		s.long.Renew(id, now)
	}
	return n, true
}

// len returns how many sessions are remembered.
func (s *sessions) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usual.Len() + s.long.Len()
}
