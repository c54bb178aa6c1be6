package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/atomicfile"
)

// A Usage notes when keys last opened a name. It is safe for concurrent use; the zero value is ready.
type Usage struct {
	mu   sync.Mutex // held to add a key
	keys atomic.Pointer[map[cipher.KeyID]*atomic.Int64]
}

// Opened notes that a key has opened a name. It allocates for the first name of a key alone.
func (u *Usage) Opened(k *cipher.Key, now time.Time) {
	at := u.of(k.ID())
	if at == nil {
		at = u.add(k.ID())
	}
	// Not stored where nothing changes, so that processors do not take the value from each other.
	if t := now.Unix(); at.Load() < t {
		at.Store(t)
	}
}

// of returns the seconds since 1970 at which a key last opened a name; nil for one that never did.
func (u *Usage) of(id cipher.KeyID) *atomic.Int64 {
	if keys := u.keys.Load(); keys != nil {
		return (*keys)[id]
	}
	return nil
}

func (u *Usage) add(id cipher.KeyID) *atomic.Int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at := u.of(id); at != nil { // another goroutine was faster
		return at
	}
	next := map[cipher.KeyID]*atomic.Int64{id: new(atomic.Int64)}
	if keys := u.keys.Load(); keys != nil {
		maps.Copy(next, *keys)
	}
	u.keys.Store(&next)
	return next[id]
}

// A Status is what the nodes that share a folder tell of its keys beyond what the ring says. Nothing rests
// on it, and none of it is secret.
type Status struct {
	// LastOpened is the minute in which a key last opened a name, on any node.
	LastOpened map[cipher.KeyID]time.Time `json:"last_opened,omitempty"`
	// NextRotation is when the active key of a suite is to be replaced.
	NextRotation map[cipher.Suite]time.Time `json:"next_rotation,omitempty"`
}

const (
	statusFile     = "status.json"
	statusLockFile = "status.lock"
)

// Status reads what nodes have told; nothing where none has.
func (s *FileStore) Status() (Status, error) {
	var out Status
	text, err := os.ReadFile(filepath.Join(s.dir, statusFile))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	} else if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return Status{}, fmt.Errorf("%s: %w: remove it, and it is made again", filepath.Join(s.dir, statusFile), err)
	}
	return out, nil
}

// TellStatus adds what this node knows of the keys of a ring; next is nil for a node that does not rotate by
// the clock. If another process is at it just now, it
// does nothing: the next time will do.
func (s *FileStore) TellStatus(r *Ring, u *Usage, next map[cipher.Suite]time.Time) error {
	lock := flock.New(filepath.Join(s.dir, statusLockFile), flock.SetPermissions(0o600))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return err
	}
	defer lock.Close()
	if left, err := filepath.Glob(s.path("." + statusFile + ".*")); err == nil {
		for _, name := range left { // of a process that was killed
			os.Remove(name)
		}
	}
	before, err := s.Status()
	if err != nil {
		before = Status{} // what is broken is made again
	}
	if next == nil {
		next = before.NextRotation
	}
	now := Status{LastOpened: map[cipher.KeyID]time.Time{}, NextRotation: next}
	for _, e := range r.entries {
		id := e.Key.ID()
		at := before.LastOpened[id]
		if opened := u.of(id); opened != nil {
			// To the minute, so that the file need not be written every few seconds.
			if t := time.Unix(opened.Load(), 0).UTC().Truncate(time.Minute); t.After(at) {
				at = t
			}
		}
		if !at.IsZero() {
			now.LastOpened[id] = at
		}
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if was, err := json.Marshal(before); err == nil && bytes.Equal(was, text) {
		return nil
	}
	return atomicfile.Write(filepath.Join(s.dir, statusFile), append(text, '\n'), 0o600)
}
