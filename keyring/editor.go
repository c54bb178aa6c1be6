package keyring

import (
	"fmt"
	"slices"
	"time"

	"github.com/candgw/candgw/cipher"
)

// DefaultGrace is how long a key that was active still decrypts once another took its place.
const DefaultGrace = 24 * time.Hour

// An Editor makes the next ring out of one, which stays as it is. It serves one goroutine. An edit that
// fails changes nothing.
type Editor struct {
	base    *Ring
	entries []Entry
	now     time.Time
	// soon is the second that now ends in: what is accepted for a time from now on is so to the end of one.
	soon time.Time
	real time.Time // the time of the clock, even if it went back
}

// Edit returns an editor of r. Times that it writes are now, in UTC, to the second; or the latest at
// which something became of a key, if the clock went back behind that: what is accepted for a time from
// now on must not end early once the clock is right again.
func (r *Ring) Edit(now time.Time) *Editor {
	real, soon := now.UTC().Truncate(time.Second), now.UTC().Add(time.Second-1).Truncate(time.Second)
	now = now.UTC().Truncate(time.Second)
	for _, e := range r.entries {
		for _, t := range []time.Time{e.Created, e.ActiveSince} {
			if t.After(now) {
				now, soon = t, t
			}
		}
	}
	return &Editor{r, slices.Clone(r.entries), now, soon, real}
}

// Add puts a key in, as standby or active; an active key retires the one before it for
// [DefaultGrace], as [Editor.Activate] does. The error is [ErrDuplicate] or [ErrInvalid].
func (e *Editor) Add(k *cipher.Key, state State) error {
	if state != Standby && state != Active {
		return fmt.Errorf("%w: a new key is standby or active, not %v", ErrInvalid, state)
	}
	for _, x := range e.entries {
		if materialOf(x.Key) == materialOf(k) {
			return fmt.Errorf("%w: %v", ErrDuplicate, x.Key)
		}
	}
	e.entries = append(e.entries, Entry{Key: k, State: Standby, Created: e.now})
	if state == Active {
		return e.Activate(k.ID(), DefaultGrace)
	}
	return nil
}

// Activate makes the key of that id the one that encrypts under its suite. The one that did so
// decrypts for grace from now. The error is [ErrNotFound], or [ErrRevoked].
func (e *Editor) Activate(id cipher.KeyID, grace time.Duration) error {
	next, err := e.lookup(id)
	switch {
	case err != nil:
		return err
	case next.State == Revoked:
		return fmt.Errorf("%v cannot be activated: %w", next.Key, ErrRevoked)
	case next.State == Active:
		return nil
	}
	if old := activeOf(e.entries, next.Key.Suite()); old != nil {
		old.State, old.AcceptUntil = Retired, e.until(grace)
	}
	next.settle(Active)
	next.ActiveSince = e.now
	return nil
}

// Retire lets a standby key decrypt for grace from now and no longer, or sets that time anew for a
// retired one; now is then what the clock says, even if it went back. The error is [ErrNotFound], [ErrRevoked], or [ErrInUse] for an active key, which is
// retired by activating another.
func (e *Editor) Retire(id cipher.KeyID, grace time.Duration) error {
	k, err := e.lookup(id)
	switch {
	case err != nil:
		return err
	case k.State == Active:
		return fmt.Errorf("%w: %v encrypts: activate another key of its suite, which retires it", ErrInUse, k.Key)
	case k.State == Revoked:
		return fmt.Errorf("%v cannot be retired: %w", k.Key, ErrRevoked)
	}
	k.settle(Retired)
	k.AcceptUntil = e.real.Add(grace)
	return nil
}

// Revoke has every name of a key refused from now on. The error is [ErrNotFound], or, without force,
// [ErrInUse] for an active key: nothing would encrypt under its suite.
func (e *Editor) Revoke(id cipher.KeyID, force bool) error {
	k, err := e.lookup(id)
	switch {
	case err != nil:
		return err
	case k.State == Active && !force:
		return fmt.Errorf("%w: %v encrypts: activate another key of its suite first, or use force, and nothing encrypts", ErrInUse, k.Key)
	}
	k.settle(Revoked)
	return nil
}

// Remove takes a key out of the ring. The error is [ErrNotFound], or, without force, [ErrInUse] for an
// active key, or a retired one that still decrypts.
func (e *Editor) Remove(id cipher.KeyID, force bool) error {
	k, err := e.lookup(id)
	switch {
	case err != nil:
		return err
	case force:
	case k.State == Active:
		return fmt.Errorf("%w: %v encrypts: activate another key of its suite first, or use force, and nothing encrypts", ErrInUse, k.Key)
	case k.State == Retired && k.decrypts(e.now):
		return fmt.Errorf("%w: %v decrypts until %s: wait for that, or use force, and names of calls that go on no longer open", ErrInUse, k.Key, k.AcceptUntil.Format(time.RFC3339))
	}
	e.entries = slices.DeleteFunc(e.entries, func(x Entry) bool { return x.Key.ID() == id })
	return nil
}

// addNext puts a new key in that is to be activated once every node has it, unless the suite has such a
// key already, and returns that.
func (e *Editor) addNext(r Rotation) (Entry, error) {
	for _, x := range e.entries {
		if x.Next && x.Key.Suite() == r.Suite {
			return x, nil
		}
	}
	k, err := cipher.GenerateKey(r.Suite)
	if err != nil {
		return Entry{}, err
	}
	next := Entry{Key: k, State: Standby, Created: e.now, Next: true, Settle: r.Settle, Grace: r.Grace}
	e.entries = append(e.entries, next)
	return next, nil
}

// Ring returns the edited ring, one revision on, or [ErrInvalid].
func (e *Editor) Ring() (*Ring, error) { return newRing(e.base.revision+1, e.entries) }

// settle gives an entry another state, and takes away what was of the one before.
func (x *Entry) settle(s State) {
	x.State, x.Next, x.Settle, x.Grace, x.AcceptUntil = s, false, 0, 0, time.Time{}
}

// until returns when a time from now on ends.
func (e *Editor) until(grace time.Duration) time.Time {
	if grace == 0 {
		return e.now
	}
	return e.soon.Add(grace)
}

func (e *Editor) lookup(id cipher.KeyID) (*Entry, error) {
	if k := e.find(id); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w: %v", ErrNotFound, id)
}

func (e *Editor) find(id cipher.KeyID) *Entry {
	i := slices.IndexFunc(e.entries, func(x Entry) bool { return x.Key.ID() == id })
	if i < 0 {
		return nil
	}
	return &e.entries[i]
}
