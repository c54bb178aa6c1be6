package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/atomicfile"
)

var (
	// ErrNoRing says that a folder holds no key ring, or no longer.
	ErrNoRing = errors.New("no key ring")
	// ErrRingExists says that a folder holds a key ring already.
	ErrRingExists = errors.New("there is a key ring already")
	// ErrRolledBack says that the ring on disk is older than one that was in use.
	ErrRolledBack = errors.New("the key ring on disk is older than the one in use")
)

const (
	ringFile     = "ring"
	kekFile      = "kek"
	kekNextFile  = "kek.next"
	revisionFile = "revision"
	lockFile     = "lock"

	lockPatience = 10 * time.Second
)

// A FileStore keeps a ring in a folder. Any number of processes may share the folder, and any number of
// goroutines the store. In the folder are
//
//   - ring: the ring, sealed under the key-encryption key;
//   - ring.1, ring.2, ring.3: the three before it, the newest first, sealed likewise;
//   - revision: the highest revision so far, authenticated with the key-encryption key;
//   - kek: the key-encryption key, or how a passphrase makes it, unless another file is used;
//   - kek.next: while [FileStore.RekeyToNew] or its like runs, the one to come;
//   - lock: held while any of them is replaced.
//
// Readers hold no lock. So each file is replaced whole, and in an order in which the folder is that of
// the old ring or of the new one after each step: what is lost with the power is never both.
type FileStore struct {
	// Passphrase returns the passphrase where the key-encryption key is made of one; the store clears what
	// it returns. It is called once for each such key, by one goroutine at a time. Nil is as one that fails.
	Passphrase func() ([]byte, error)

	dir, kek string
	now      func() time.Time
	cost     derivation // of keys that are to be derived: time, memory and threads
	step     func()     // called before each change on disk; nil but in tests

	mu      sync.Mutex        // guards the following
	derived map[string][]byte // keys by derivation
	wrong   [32]byte          // hash of the last passphrase that did not fit, and of its derivation
}

// NewFileStore returns the store in dir. The key-encryption key is in the file kek, or, if that is
// empty, in the file candgw-kek of the folder $CREDENTIALS_DIRECTORY, or, if there is none, in dir,
// where it is made on first use.
func NewFileStore(dir, kek string) *FileStore {
	return &FileStore{dir: dir, kek: kekPath(dir, kek), now: time.Now, cost: defaultCost}
}

// Format prints the folder for every verb, so that none reaches what a passphrase was derived to.
func (s *FileStore) Format(f fmt.State, _ rune) { fmt.Fprint(f, "key ring in ", s.dir) }

// KEKFile returns the path of the file in which the key-encryption key is.
func (s *FileStore) KEKFile() string { return s.kek }

func (s *FileStore) path(name string) string { return filepath.Join(s.dir, name) }

func (s *FileStore) kekInFolder() bool { return s.kek == s.path(kekFile) }

// Load reads the ring. The error is [ErrNoRing], [ErrDamaged], [ErrWrongKEK], [ErrPassphrase],
// [ErrPermissions], [ErrInvalid], [ErrRolledBack], [ErrRecord], or of the file system.
func (s *FileStore) Load() (*Ring, error) {
	r, _, kek, err := s.load()
	clear(kek)
	return r, err
}

// load returns the ring, sealed too, and its key-encryption key, which the caller clears.
func (s *FileStore) load() (r *Ring, sealed, kek []byte, err error) {
	for {
		sealed, err = ReadSecret(s.path(ringFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil, s.noRing()
		} else if err != nil {
			return nil, nil, nil, err
		}
		if r, kek, err = s.open(s.path(ringFile), sealed); err == nil {
			if err = s.checkRevision(r, kek); err == nil {
				return r, sealed, kek, nil
			}
			clear(kek)
		}
		// Where the ring was replaced meanwhile, what goes with it was too.
		if again, _ := ReadSecret(s.path(ringFile)); !bytes.Equal(sealed, again) {
			continue
		}
		if errors.Is(err, ErrDamaged) && s.exists(backupFile(1)) {
			err = fmt.Errorf("%w; 'candgw keys restore %s' goes back to the one before", err, s.backupPath(1))
		}
		return nil, nil, nil, err
	}
}

func (s *FileStore) noRing() error {
	if _, err := os.Stat(s.path(revisionFile)); err == nil {
		return fmt.Errorf("%w in %s, where there was one: put it back with 'candgw keys restore %s', or remove %s and run 'candgw keys init'",
			ErrNoRing, s.dir, s.backupPath(1), s.path(revisionFile))
	}
	return fmt.Errorf("%w in %s: run 'candgw keys init'", ErrNoRing, s.dir)
}

// open unseals a ring that was read from path.
func (s *FileStore) open(path string, sealed []byte) (r *Ring, kek []byte, err error) {
	id, _, _, err := parseHeader(sealed)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if kek, err = s.findKEK(path, id); err != nil {
		return nil, nil, err
	}
	if r, err = unseal(sealed, kek); err != nil {
		clear(kek)
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, kek, nil
}

// Init makes the folder, the key-encryption key where there is none, and a ring with one active key
// of the default suite. The error is [ErrRingExists], or that of [FileStore.Update].
func (s *FileStore) Init() (*Ring, error) {
	k, err := cipher.GenerateKey(cipher.AESUUID)
	if err != nil {
		return nil, err
	}
	return s.Update(func(e *Editor) error {
		if e.base.revision > 0 {
			return fmt.Errorf("%w in %s: 'candgw keys list' shows its keys, 'candgw keys activate' chooses one", ErrRingExists, s.dir)
		}
		return e.Add(k, Active)
	})
}

// Update replaces the ring by what edit makes of it, while no other process can, and returns it. A
// folder that never held a ring gives edit an empty one. If edit or anything before the replacement
// fails, the ring on disk stays as it was.
func (s *FileStore) Update(edit func(*Editor) error) (*Ring, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, sealed, kek, err := s.load()
	isNew := errors.Is(err, ErrNoRing) && !s.exists(revisionFile)
	if isNew {
		old = &Ring{}
	} else if err != nil {
		return nil, err
	}
	defer func() { clear(kek) }()
	e := old.Edit(s.now())
	if err := edit(e); err != nil {
		return nil, err
	}
	r, err := e.Ring()
	if err != nil {
		return nil, err
	}
	if isNew {
		if err := s.makeKEK(); err != nil {
			return nil, err
		}
		if kek, err = s.readKEK(); err != nil {
			return nil, err
		}
	}
	return r, s.replace(r, sealed, kek)
}

// replace seals r and puts it in the place of the ring that is there, which is nil if there is none.
func (s *FileStore) replace(r *Ring, before, kek []byte) error {
	sealed, err := seal(r, kek)
	if err != nil {
		return err
	}
	if before != nil {
		if err := s.backUp(before); err != nil {
			return err
		}
	}
	if err := s.write(ringFile, sealed); err != nil {
		return err
	}
	// Between the two a crash leaves a record that is one behind, which harms nothing.
	if err := s.writeRecord(r.revision, kek); err != nil {
		return fmt.Errorf("the key ring is replaced, but its revision is not recorded: %w", err)
	}
	return nil
}

// lock makes the folder, and keeps other processes from changing what is in it.
func (s *FileStore) lock() (unlock func() error, err error) {
	// A passphrase is asked for before: others do not wait for somebody who types.
	if _, err := s.Load(); errors.Is(err, ErrPassphrase) {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(s.path(lockFile), flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return nil, fmt.Errorf("waiting for %s, which another candgw holds: %w", lock.Path(), err)
	}
	if err := s.tidyUp(); err != nil {
		lock.Close()
		return nil, err
	}
	return lock.Close, nil
}

func (s *FileStore) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

func (s *FileStore) stepped() {
	if s.step != nil {
		s.step()
	}
}

func (s *FileStore) write(name string, data []byte) error {
	s.stepped()
	return atomicfile.Write(s.path(name), data, 0o600)
}

func (s *FileStore) rename(from, to string) error {
	s.stepped()
	return os.Rename(s.path(from), s.path(to))
}

func (s *FileStore) remove(name string) error {
	s.stepped()
	return os.Remove(s.path(name))
}
