package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
)

// ErrSameKEK says that a ring is sealed under that key-encryption key already.
var ErrSameKEK = errors.New("the key ring is sealed under this key-encryption key already")

// minPassphrase is the least length of a new passphrase, in octets.
const minPassphrase = 8

// RekeyToNew seals the ring and its backups under a new key-encryption key, in the file kek of the
// folder. After this a store of another file no longer loads it. The error is that of
// [FileStore.Update].
func (s *FileStore) RekeyToNew() (*Ring, error) {
	key, text := newKEK()
	defer clear(key)
	defer clear(text)
	return s.rekey(key, text)
}

// RekeyToPassphrase does so under a key that is made of a passphrase of at least 8 octets. The file kek
// of the folder then says how, and what was in it is gone.
func (s *FileStore) RekeyToPassphrase(passphrase []byte) (*Ring, error) {
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("%w: it has %d octets, want at least %d", ErrPassphrase, len(passphrase), minPassphrase)
	}
	d := s.cost
	d.salt = make([]byte, saltSize)
	rand.Read(d.salt) // never fails: crypto/rand
	key := d.key(passphrase)
	defer clear(key)
	d.id = kekID(key)
	s.mu.Lock()
	s.remember(d, key)
	s.mu.Unlock()
	return s.rekey(key, []byte(d.String()))
}

// RekeyToFile does so under the key in another file, which it leaves alone. From then on the folder is to
// be opened by a store of that file; the file kek of the folder is removed if the ring was sealed under
// the key in it.
func (s *FileStore) RekeyToFile(path string) (*Ring, error) {
	if a, err := os.Stat(path); err == nil {
		if b, err := os.Stat(s.path(kekNextFile)); err == nil && os.SameFile(a, b) {
			return nil, fmt.Errorf("%s is a name that rekey itself uses and removes: rename the file", path)
		}
	}
	k, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	key, err := s.keyIn(k)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return s.rekey(key, nil)
}

// rekey seals everything under another key, for which the folder's own file is to hold text, or nothing if
// that is nil. It finds its way after a crash at any step: the ring's first line names its key, until the
// end the record has a line for both, and the folder's new file is found under its first name.
func (s *FileStore) rekey(key, text []byte) (*Ring, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, _, kek, err := s.load()
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	if kekID(key) == kekID(kek) {
		return nil, ErrSameKEK
	}
	r, err := old.Edit(s.now()).Ring()
	if err != nil {
		return nil, err
	}
	sealed, err := seal(r, key)
	if err != nil {
		return nil, err
	}
	if text != nil {
		if err := s.write(kekNextFile, text); err != nil {
			return nil, err
		}
	}
	if err := s.writeRecord(old.revision, kek, key); err != nil {
		return nil, err
	}
	// The ring before has the same keys: no backup is given up for it.
	if err := s.write(ringFile, sealed); err != nil {
		return nil, err
	}
	if err := s.finishRekey(r, kek, key, text); err != nil {
		return r, fmt.Errorf("the key ring is sealed under the new key, but the files beside it are not all replaced: %w", err)
	}
	return r, nil
}

func (s *FileStore) finishRekey(r *Ring, kek, key, text []byte) error {
	if err := s.resealBackups(kek, key); err != nil {
		return err
	}
	if err := s.writeRecord(r.revision, key); err != nil {
		return err
	}
	switch {
	case text != nil:
		return s.putNext(text)
	case s.kekInFolder():
		return s.remove(kekFile)
	}
	return nil
}

// resealBackups seals the backups under another key. Those that the key before does not open stay as
// they are.
func (s *FileStore) resealBackups(kek, key []byte) error {
	for n := 1; n <= backups; n++ {
		sealed, err := ReadSecret(s.backupPath(n))
		if err != nil {
			continue
		}
		r, err := unseal(sealed, kek)
		if err != nil {
			continue
		}
		if sealed, err = seal(r, key); err != nil {
			return err
		}
		if err := s.write(backupFile(n), sealed); err != nil {
			return err
		}
	}
	return nil
}

// putNext puts the next key-encryption key in the place of the one before.
func (s *FileStore) putNext(text []byte) error {
	if err := s.write(kekFile, text); err != nil {
		return err
	}
	return s.remove(kekNextFile)
}

// leftover matches the names of files that package atomicfile did not come to put in place.
var leftover = regexp.MustCompile(`^\.(ring(\.[1-3])?|kek(\.next)?|revision)\.[0-9]+$`)

// tidyUp ends what a process left that died: it removes files that were not in place yet, and ends or
// forgets a rekey. Backups that were not sealed anew by then stay sealed under the key before. The lock
// is held.
func (s *FileStore) tidyUp() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if leftover.MatchString(e.Name()) {
			s.remove(e.Name()) // nothing rests on it
		}
	}
	text, err := ReadSecret(s.path(kekNextFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer clear(text)
	sealed, err := ReadSecret(s.path(ringFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	id, _, _, err := parseHeader(sealed)
	if err != nil {
		return nil // nothing tells which key is the ring's
	}
	next, err := readKeyFile(s.path(kekNextFile))
	if err != nil {
		return err
	}
	clear(next.key)
	if next.id == id {
		return s.putNext(text)
	}
	return s.remove(kekNextFile)
}
