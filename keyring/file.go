package keyring

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/atomicfile"
)

var (
	// ErrNoRing says that a folder holds no key ring yet.
	ErrNoRing = errors.New("no key ring")
	// ErrRingExists says that a folder holds a key ring already.
	ErrRingExists = errors.New("there is a key ring already")
	// ErrPermissions says that a secret file is open to others than its owner.
	ErrPermissions = errors.New("the file is open to others than its owner")
	// ErrRolledBack says that the ring on disk is older than the one in use.
	ErrRolledBack = errors.New("the key ring on disk is older than the one in use")
)

const (
	ringFile = "ring"
	kekFile  = "kek"
	lockFile = "lock"

	lockPatience = 10 * time.Second
)

// A FileStore keeps a ring in a folder: `ring` holds it, sealed; `lock` is held while it is replaced;
// `kek` holds the key-encryption key unless another file does. Any number of processes may share the
// folder.
type FileStore struct {
	dir, kek string
	now      func() time.Time
}

// NewFileStore returns the store in dir. The key-encryption key is in the file kek, or, if that is
// empty, in dir, where it is made on first use.
func NewFileStore(dir, kek string) *FileStore {
	if kek == "" {
		kek = filepath.Join(dir, kekFile)
	}
	return &FileStore{dir, kek, time.Now}
}

// Load reads the ring. The error is [ErrNoRing], [ErrDamaged], [ErrWrongKEK], [ErrPermissions],
// [ErrInvalid], or of the file system.
func (s *FileStore) Load() (*Ring, error) {
	path := filepath.Join(s.dir, ringFile)
	sealed, err := ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: run 'candgw keys init'", ErrNoRing, s.dir)
	} else if err != nil {
		return nil, err
	}
	kek, err := s.readKEK()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key-encryption key of %s is missing: %w", path, err)
	} else if err != nil {
		return nil, err
	}
	defer clear(kek)
	r, err := unseal(sealed, kek)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Init makes the folder, the key-encryption key where there is none, and a ring with one active key
// of the default suite. The error is [ErrRingExists], or of the file system.
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
// folder without a ring gives edit an empty one. If edit or anything before the replacement fails, the
// ring on disk stays as it was.
func (s *FileStore) Update(edit func(*Editor) error) (*Ring, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(s.dir, lockFile), flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return nil, fmt.Errorf("waiting for %s, which another candgw holds: %w", lock.Path(), err)
	}
	defer lock.Close()

	old, err := s.Load()
	isNew := errors.Is(err, ErrNoRing)
	if isNew {
		old = &Ring{}
	} else if err != nil {
		return nil, err
	}
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
	}
	kek, err := s.readKEK()
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	sealed, err := seal(r, kek)
	if err != nil {
		return nil, err
	}
	return r, atomicfile.Write(filepath.Join(s.dir, ringFile), sealed, 0o600)
}

// Follow makes the ring on disk live, and does so again whenever the file changes, until ctx ends. A
// ring that cannot be loaded, or that is older than the live one, is told to failed, once, and changes
// nothing; it is tried again, because what keeps it from being loaded may pass. loaded hears of every
// ring that was made live.
func (s *FileStore) Follow(ctx context.Context, live *Live, every time.Duration, loaded func(*Ring), failed func(error)) {
	var done os.FileInfo // of the file that needs no further look
	var told string
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		info, err := os.Stat(filepath.Join(s.dir, ringFile))
		if err == nil && (done == nil || changed(info, done)) {
			if err = s.reload(live, loaded); err == nil {
				done = info
			}
		}
		if err == nil {
			told = ""
		} else if told != err.Error() {
			told = err.Error()
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func changed(a, b os.FileInfo) bool {
	return !os.SameFile(a, b) || !a.ModTime().Equal(b.ModTime()) || a.Size() != b.Size() || a.Mode() != b.Mode()
}

func (s *FileStore) reload(live *Live, loaded func(*Ring)) error {
	r, err := s.Load()
	if err != nil {
		return err
	}
	current := live.Load()
	switch {
	case r.revision < current.revision:
		return fmt.Errorf("%w: revision %d, in use is %d", ErrRolledBack, r.revision, current.revision)
	case r.revision == current.revision && r.digest != current.digest:
		return fmt.Errorf("%w: both are revision %d, with different keys", ErrRolledBack, r.revision)
	case r.revision > current.revision:
		live.Store(r)
		loaded(r)
	}
	return nil
}

func (s *FileStore) readKEK() ([]byte, error) {
	raw, err := ReadSecret(s.kek)
	if err != nil {
		return nil, err
	}
	kek, err := ParseMaterial(raw)
	if err != nil && len(raw) == chacha20poly1305.KeySize {
		return raw, nil
	}
	defer clear(raw)
	if err == nil && len(kek) != chacha20poly1305.KeySize {
		err = fmt.Errorf("it has %d octets, want %d", len(kek), chacha20poly1305.KeySize)
	}
	if err != nil {
		return nil, fmt.Errorf("key-encryption key in %s: %w", s.kek, err)
	}
	return kek, nil
}

// makeKEK writes a new key-encryption key unless there is one, or the file is not ours to make.
func (s *FileStore) makeKEK() error {
	_, err := os.Stat(s.kek)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.kek != filepath.Join(s.dir, kekFile) {
		return fmt.Errorf("the key-encryption key is missing: %w", err)
	}
	var kek [chacha20poly1305.KeySize]byte
	defer clear(kek[:])
	rand.Read(kek[:]) // never fails: crypto/rand
	text := append(hex.AppendEncode(nil, kek[:]), '\n')
	defer clear(text)
	return atomicfile.Write(s.kek, text, 0o600)
}

// maxSecret is longer than any ring or key.
const maxSecret = 16 << 20

// ReadSecret reads a regular file that only its owner may open, and whose owner is this user or root;
// else the error is [ErrPermissions]. On Windows, where the mode of a file says nothing of that, it
// reads any.
func ReadSecret(path string) ([]byte, error) {
	// Looked at before it is opened: opening a pipe would wait.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is no regular file", path, ErrPermissions)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s: %w (mode %#o): run 'chmod 600 %[1]s', and replace what is in it if others could read it", path, ErrPermissions, mode)
	}
	if !ownedByUs(info) {
		return nil, fmt.Errorf("%s: %w: it belongs to another user", path, ErrPermissions)
	}
	return io.ReadAll(io.LimitReader(f, maxSecret))
}
