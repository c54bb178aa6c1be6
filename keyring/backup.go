package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// backups is how many rings before the current one are kept.
const backups = 3

func backupFile(n int) string { return fmt.Sprintf("%s.%d", ringFile, n) }

func (s *FileStore) backupPath(n int) string { return s.path(backupFile(n)) }

// backUp makes a copy of the ring that is about to be replaced the newest backup. The oldest one goes,
// unless there is a gap. The lock is held.
func (s *FileStore) backUp(sealed []byte) error {
	// It is there already if a process died before it replaced the ring.
	if newest, err := os.ReadFile(s.backupPath(1)); err == nil && bytes.Equal(newest, sealed) {
		return nil
	}
	free := 1
	for free < backups && s.exists(backupFile(free)) {
		free++
	}
	for n := free; n > 1; n-- {
		if err := s.rename(backupFile(n-1), backupFile(n)); err != nil {
			return err
		}
	}
	return s.write(backupFile(1), sealed)
}

// Restore makes the keys in a file, which once was the ring of this folder, the next revision. That is
// higher than any that was seen before, so every process takes it. The ring before becomes a
// backup, if it opens. The error is that of [FileStore.Load] for that file; then nothing changes.
func (s *FileStore) Restore(path string) (*Ring, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	sealed, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	old, kek, err := s.open(path, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	before, err := ReadSecret(s.path(ringFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := unseal(before, kek); err != nil {
		before = nil // what does not open is no backup
	}
	r, err := newRing(s.highest(old, kek)+1, old.entries)
	if err != nil {
		return nil, err
	}
	return r, s.replace(r, before, kek)
}

// highest returns the highest revision of which there is a trace under that key.
func (s *FileStore) highest(r *Ring, kek []byte) uint64 {
	highest := r.revision
	if recorded, err := s.readRecord(kek); err == nil {
		highest = max(highest, recorded)
	}
	for n := range backups + 1 {
		path := s.path(ringFile)
		if n > 0 {
			path = s.backupPath(n)
		}
		if sealed, err := ReadSecret(path); err == nil {
			if other, err := unseal(sealed, kek); err == nil {
				highest = max(highest, other.revision)
			}
		}
	}
	return highest
}
