// Package keyring holds the keys of one enterprise: which one encrypts, and which still decrypt.
//
// A [Ring] is an immutable snapshot, a [Live] the place where the current one stands, an [Editor]
// makes the next one, and a [FileStore] keeps it on disk, sealed. docs/keys.md describes the life of
// a key.
package keyring

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/candgw/candgw/cipher"
)

// A State says what a key does.
type State uint8

const (
	// Standby keys decrypt, and wait to become active.
	Standby State = iota + 1
	// Active keys encrypt and decrypt; a suite has at most one.
	Active
	// Retired keys decrypt until their entry's AcceptUntil.
	Retired
	// Revoked keys do nothing: a name that one of them opens is refused.
	Revoked
)

var stateNames = [...]string{Standby: "standby", Active: "active", Retired: "retired", Revoked: "revoked"}

// ParseState returns the state of that name.
func ParseState(s string) (State, error) {
	if i := slices.Index(stateNames[1:], s); i >= 0 {
		return State(i + 1), nil
	}
	return 0, fmt.Errorf("unknown key state %q: use standby, active, retired or revoked", s)
}

func (s State) String() string {
	if s >= Standby && int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText returns the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is [ParseState].
func (s *State) UnmarshalText(text []byte) (err error) {
	*s, err = ParseState(string(text))
	return err
}

// An Entry is one key of a ring.
type Entry struct {
	Key     *cipher.Key
	State   State
	Created time.Time
	// Next says that a rotation made it, and activates it once every node has it. Only standby keys are.
	Next bool
	// Settle and Grace are those of the rotation; zero unless Next.
	Settle, Grace time.Duration
	// ActiveSince is when it began to encrypt, the last time that it did; zero if it never has.
	ActiveSince time.Time
	// AcceptUntil is when a retired key stops to decrypt; zero for every other state.
	AcceptUntil time.Time
}

// decrypts reports whether the entry's key opens names at that time.
func (e *Entry) decrypts(now time.Time) bool {
	switch e.State {
	case Standby, Active:
		return true
	case Retired:
		return now.Before(e.AcceptUntil)
	}
	return false
}

var (
	// ErrNotFound says that the ring has no key of that id.
	ErrNotFound = errors.New("no such key in the ring")
	// ErrDuplicate says that the ring has the key already.
	ErrDuplicate = errors.New("the ring has this key already")
	// ErrNoActiveKey says that nothing encrypts under a suite.
	ErrNoActiveKey = errors.New("no active key")
	// ErrRevoked says that a name was made with a revoked key.
	ErrRevoked = errors.New("name is of a revoked key")
	// ErrInUse says that a key is not given up without force: it encrypts, or still decrypts.
	ErrInUse = errors.New("the key is in use")
	// ErrInvalid says that a ring breaks one of its invariants.
	ErrInvalid = errors.New("invalid key ring")
)

// A Ring is an immutable set of keys. All its methods are safe for concurrent use. The zero Ring has
// no keys.
type Ring struct {
	revision uint64
	digest   [sha256.Size]byte // of what is in the file, to tell two rings of one revision apart
	entries  []Entry           // those that decrypt most often first: active, standby, retired, revoked
}

// newRing checks the invariants of a ring, which are:
//
//  1. every entry has a key, a known state and a time of creation;
//  2. no key is in twice, nor the same octets as keys of two suites;
//  3. a suite has at most one active key;
//  4. AcceptUntil is set for retired keys, and for no other;
//  5. a suite has at most one next key, and that is standby.
func newRing(revision uint64, entries []Entry) (*Ring, error) {
	seen := map[[sha256.Size]byte]bool{}
	active, next := map[cipher.Suite]bool{}, map[cipher.Suite]bool{}
	for i, e := range entries {
		switch {
		case e.Key == nil, e.State < Standby, e.State > Revoked, e.Created.IsZero():
			return nil, fmt.Errorf("%w: entry %d lacks a key, a state or a time of creation", ErrInvalid, i)
		case seen[materialOf(e.Key)]:
			return nil, fmt.Errorf("%w: %v is in twice", ErrInvalid, e.Key)
		case e.State == Active && active[e.Key.Suite()]:
			return nil, fmt.Errorf("%w: %v has two active keys", ErrInvalid, e.Key.Suite())
		case (e.State == Retired) == e.AcceptUntil.IsZero():
			return nil, fmt.Errorf("%w: %v is %v, accepted until %v", ErrInvalid, e.Key, e.State, e.AcceptUntil)
		case e.Next && (e.State != Standby || next[e.Key.Suite()]):
			return nil, fmt.Errorf("%w: %v is %v and next, or one of two", ErrInvalid, e.Key, e.State)
		}
		seen[materialOf(e.Key)] = true
		active[e.Key.Suite()] = active[e.Key.Suite()] || e.State == Active
		next[e.Key.Suite()] = next[e.Key.Suite()] || e.Next
	}
	order := [...]int{Active: 0, Standby: 1, Retired: 2, Revoked: 3}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int { return order[a.State] - order[b.State] })
	return &Ring{revision: revision, entries: entries}, nil
}

// materialOf returns what tells the octets of two keys apart, and nothing of them.
func materialOf(k *cipher.Key) [sha256.Size]byte {
	m := k.Material()
	defer clear(m)
	return sha256.Sum256(m)
}

// Revision returns the number of the snapshot: each edit adds one.
func (r *Ring) Revision() uint64 { return r.revision }

// Entries yields the keys, the active ones first.
func (r *Ring) Entries() iter.Seq[Entry] { return slices.Values(r.entries) }

// Active returns the key that encrypts under a suite, or [ErrNoActiveKey].
func (r *Ring) Active(suite cipher.Suite) (*cipher.Key, error) {
	if e := activeOf(r.entries, suite); e != nil {
		return e.Key, nil
	}
	return nil, fmt.Errorf("%w of suite %v in the ring: run 'candgw keys generate --suite %[2]v --state active'", ErrNoActiveKey, suite)
}

// activeOf returns the entry of the key that encrypts under a suite, nil if there is none.
func activeOf(entries []Entry, suite cipher.Suite) *Entry {
	for i := range entries {
		if e := &entries[i]; e.State == Active && e.Key.Suite() == suite {
			return e
		}
	}
	return nil
}

// Lookup returns the entry of a key id, or [ErrNotFound].
func (r *Ring) Lookup(id cipher.KeyID) (Entry, error) {
	for _, e := range r.entries {
		if e.Key.ID() == id {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("%w: %v", ErrNotFound, id)
}

// Opened is what a name stands for.
type Opened struct {
	Addr netip.Addr // not set for a revoked key
	Key  *cipher.Key
	// Until is when the key stops to decrypt; zero if nothing is known of that.
	Until time.Time
}

// Open tries every key that may decrypt at that time on the name in o. It does not allocate. The
// error is [cipher.ErrNotOpened]; [cipher.ErrPasswordNeeded] where pwd is empty and a key could try
// with one; [ErrRevoked] for a name of a revoked key, which is then in what it returns.
func (r *Ring) Open(o *cipher.Opener, pwd string, now time.Time) (Opened, error) {
	failure := cipher.ErrNotOpened
	for i := range r.entries {
		e := &r.entries[i]
		if e.State != Revoked && !e.decrypts(now) {
			continue
		}
		addr, err := o.Open(e.Key, pwd)
		switch {
		case err == nil && e.State == Revoked:
			return Opened{Key: e.Key}, ErrRevoked
		case err == nil:
			return Opened{addr, e.Key, e.AcceptUntil}, nil
		case err == cipher.ErrPasswordNeeded:
			failure = err
		}
	}
	return Opened{}, failure
}

// Format prints the revision and what the ring's keys print, for every verb.
func (r *Ring) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, "key ring, revision ", r.revision, ": ", r.entries)
}

// A Live is where the current ring stands. It starts with an empty one, and is safe for concurrent use.
type Live struct{ ring atomic.Pointer[Ring] }

// Load returns the current ring, never nil.
func (l *Live) Load() *Ring {
	if r := l.ring.Load(); r != nil {
		return r
	}
	return &Ring{}
}

// Store makes r the current ring.
func (l *Live) Store(r *Ring) { l.ring.Store(r) }
