package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/candgw/candgw/cipher"
)

// A Rotation is how the key that encrypts under a suite is replaced. It has two phases: a new key
// waits, on standby, until every node that shares the ring has it; then it is activated. So at no moment
// does one node make a name that another cannot open.
type Rotation struct {
	Suite cipher.Suite
	// Settle is how long to wait: longer than any node takes to load a ring that changed.
	Settle time.Duration
	// Grace is how long the key before decrypts afterwards.
	Grace time.Duration
}

// ErrGaveWay says that a rotation was undone by hand: its new key was revoked, retired or removed before it
// became active.
var ErrGaveWay = errors.New("the rotation's new key is no longer on standby")

// BeginRotation puts a new key on standby, or returns the one of a rotation that began before, and how
// long it has yet to wait.
func (s *FileStore) BeginRotation(r Rotation) (next Entry, wait time.Duration, err error) {
	ring, err := s.Load()
	if err != nil { // Update would begin a ring in a folder without one
		return Entry{}, 0, err
	}
	if next, ok := ring.next(r.Suite); ok {
		return next, r.wait(next, s.now()), nil
	}
	_, err = s.Update(func(e *Editor) error {
		next, err = e.addNext(r)
		return err
	})
	// Of another process that was faster the key is as new as this one would be.
	return next, r.Settle, err
}

// wait returns how long a new key has yet to wait. Times in rings are cut to the second; and a clock that
// went back is no reason to wait longer than for a key that is made now.
func (r *Rotation) wait(next Entry, now time.Time) time.Duration {
	return min(max(next.Created.Add(r.Settle+time.Second).Sub(now), 0), r.Settle)
}

// FinishRotation activates the key that BeginRotation returned, unless that is done already, and
// returns the entries of that key and of the one before it, whose Key is nil if there is none. The
// error is [ErrGaveWay], or that of [FileStore.Update].
func (s *FileStore) FinishRotation(r Rotation, id cipher.KeyID) (active, old Entry, err error) {
	_, err = s.Update(func(e *Editor) error {
		k := e.find(id)
		if k == nil || k.State != Active && !k.Next {
			return fmt.Errorf("%w: %v", ErrGaveWay, id)
		}
		before := activeOf(e.entries, r.Suite)
		if k.State == Active { // another process did it; nothing changes
			active = *k
			return errNothingToDo
		}
		if err := e.Activate(id, max(r.Grace, k.Grace)); err != nil {
			return err
		}
		active = *k
		if before != nil {
			old = *before
		}
		return nil
	})
	if errors.Is(err, errNothingToDo) {
		err = nil
	}
	return active, old, err
}

// errNothingToDo ends an edit that would change nothing, so that no revision is spent on it.
var errNothingToDo = errors.New("nothing to do")

// A Schedule rotates by the clock, and removes retired keys that decrypt no more. All nodes that share a
// ring may run it: each rotation is one, whoever is first. It serves one goroutine.
type Schedule struct {
	Store *FileStore
	// Suite is the one whose keys are replaced, 0 for every one that has an active key.
	Suite cipher.Suite
	// Every is how long a key is active.
	Every         time.Duration
	Settle, Grace time.Duration

	seen map[sight]time.Time // since when, by a clock that does not jump
}

// A sight is a key as this node has seen it. A retired one is seen once it decrypts no more.
type sight struct {
	id    cipher.KeyID
	state State
}

// Next returns when the active key of a suite is to be replaced; not ok if there is none, or if it is not.
func (s *Schedule) Next(r *Ring, suite cipher.Suite) (at time.Time, ok bool) {
	if s.Suite != 0 && s.Suite != suite {
		return time.Time{}, false
	}
	e := activeOf(r.entries, suite)
	if e == nil {
		return time.Time{}, false
	}
	since := e.ActiveSince
	if since.IsZero() { // of a ring that knew no such time
		since = e.Created
	}
	return since.Add(s.Every), true
}

// Tick does what is due. It returns the entries of keys that it made, activated or removed.
func (s *Schedule) Tick(r *Ring) (changed []Entry, err error) {
	now := s.Store.now()
	s.look(r, now)
	for _, suite := range cipher.Suites() {
		if s.Suite != 0 && s.Suite != suite {
			continue
		}
		active := activeOf(r.entries, suite)
		at, _ := s.Next(r, suite)
		next, begun := r.next(suite)
		// A rotation that was begun by hand goes on as it was meant.
		rotation := Rotation{suite, max(s.Settle, next.Settle), max(s.Grace, next.Grace)}
		switch {
		// Not by the time that stands in the ring: the clock that wrote it may be another.
		case begun && s.since(next, now) >= rotation.Settle:
			active, _, finished := s.Store.FinishRotation(rotation, next.Key.ID())
			if err = errors.Join(err, finished); finished == nil {
				changed = append(changed, active)
			}
		case !begun && active != nil && (!now.Before(at) || s.since(*active, now) >= s.Every):
			entry, began := s.begin(suite, active.Key.ID())
			if err = errors.Join(err, began); began == nil && entry.Key != nil {
				s.seen[sight{entry.Key.ID(), Standby}] = s.Store.now()
				changed = append(changed, entry)
			}
		}
	}
	removed, expired := s.removeExpired(r, now)
	return append(changed, removed...), errors.Join(err, expired)
}

// begin puts a new key on standby, unless another process has replaced or begun to replace the active one.
func (s *Schedule) begin(suite cipher.Suite, active cipher.KeyID) (next Entry, err error) {
	_, err = s.Store.Update(func(e *Editor) error {
		old := activeOf(e.entries, suite)
		if old == nil || old.Key.ID() != active || slices.ContainsFunc(e.entries, func(x Entry) bool { return x.Next && x.Key.Suite() == suite }) {
			return errNothingToDo
		}
		next, err = e.addNext(Rotation{suite, s.Settle, s.Grace})
		return err
	})
	if errors.Is(err, errNothingToDo) {
		err = nil
	}
	return next, err
}

// look notes which keys are seen, and since when.
func (s *Schedule) look(r *Ring, now time.Time) {
	seen := map[sight]time.Time{}
	for _, e := range r.entries {
		if e.State == Retired && e.decrypts(now) {
			continue
		}
		at := sight{e.Key.ID(), e.State}
		since, ok := s.seen[at]
		if !ok {
			since = now
		}
		seen[at] = since
	}
	s.seen = seen
}

// since returns how long a key has been seen as it is.
func (s *Schedule) since(e Entry, now time.Time) time.Duration {
	return now.Sub(s.seen[sight{e.Key.ID(), e.State}])
}

// removeExpired removes the keys that it has seen expired for as long as they were accepted: its clock may be
// ahead of the others'.
func (s *Schedule) removeExpired(r *Ring, now time.Time) (removed []Entry, err error) {
	for _, e := range r.entries {
		if e.State == Retired && !e.decrypts(now) && s.since(e, now) >= s.Grace {
			removed = append(removed, e)
		}
	}
	if len(removed) == 0 {
		return nil, nil
	}
	_, err = s.Store.Update(func(e *Editor) error {
		for _, x := range removed {
			if err := e.Remove(x.Key.ID(), false); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return removed, nil
}

// next returns the key of a rotation that has begun.
func (r *Ring) next(suite cipher.Suite) (Entry, bool) {
	for _, e := range r.entries {
		if e.Next && e.Key.Suite() == suite {
			return e, true
		}
	}
	return Entry{}, false
}

// Rotate is BeginRotation, the wait, and FinishRotation. Progress hears of the entries as they become:
// the new key on standby, with how long it waits; then that key active, and the one before it, if any.
// It may be interrupted, and goes on from there when it is called again.
func (s *FileStore) Rotate(ctx context.Context, r Rotation, progress func(e Entry, wait time.Duration)) error {
	next, wait, err := s.BeginRotation(r)
	if err != nil {
		return err
	}
	progress(next, wait)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	active, old, err := s.FinishRotation(r, next.Key.ID())
	if err != nil {
		return err
	}
	progress(active, 0)
	if old.Key != nil {
		progress(old, 0)
	}
	return nil
}
