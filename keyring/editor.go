package keyring

import (
	"fmt"
	"slices"
	"time"

	"github.com/candgw/candgw/cipher"
)

// DefaultGrace is how long a key that was active still decrypts once another took its place.
const DefaultGrace = 24 * time.Hour

// An Editor makes the next ring out of one, which stays as it is. It serves one goroutine.
type Editor struct {
	base    *Ring
	entries []Entry
	now     time.Time
}

// Edit returns an editor of r. Times that it writes are now, in UTC, to the second.
func (r *Ring) Edit(now time.Time) *Editor {
	return &Editor{r, slices.Clone(r.entries), now.UTC().Truncate(time.Second)}
}

// Add puts a key in, as standby or active; an active key retires the one before it, as
// [Editor.Activate] does. The error is [ErrDuplicate] or [ErrInvalid].
func (e *Editor) Add(k *cipher.Key, state State) error {
	if state != Standby && state != Active {
		return fmt.Errorf("%w: a new key is standby or active, not %v", ErrInvalid, state)
	}
	if e.find(k.ID()) != nil {
		return fmt.Errorf("%w: %v", ErrDuplicate, k.ID())
	}
	e.entries = append(e.entries, Entry{Key: k, State: Standby, Created: e.now})
	if state == Active {
		return e.Activate(k.ID())
	}
	return nil
}

// Activate makes the key of that id the one that encrypts under its suite. The one that did so
// decrypts for [DefaultGrace] from now. The error is [ErrNotFound], or [ErrRevoked].
func (e *Editor) Activate(id cipher.KeyID) error {
	next := e.find(id)
	switch {
	case next == nil:
		return fmt.Errorf("%w: %v", ErrNotFound, id)
	case next.State == Revoked:
		return fmt.Errorf("%v cannot be activated: %w", next.Key, ErrRevoked)
	case next.State == Active:
		return nil
	}
	for i := range e.entries {
		if old := &e.entries[i]; old.State == Active && old.Key.Suite() == next.Key.Suite() {
			old.State, old.AcceptUntil = Retired, e.now.Add(DefaultGrace)
		}
	}
	next.State, next.AcceptUntil = Active, time.Time{}
	return nil
}

// Ring returns the edited ring, one revision on, or [ErrInvalid].
func (e *Editor) Ring() (*Ring, error) { return newRing(e.base.revision+1, e.entries) }

func (e *Editor) find(id cipher.KeyID) *Entry {
	i := slices.IndexFunc(e.entries, func(x Entry) bool { return x.Key.ID() == id })
	if i < 0 {
		return nil
	}
	return &e.entries[i]
}
