package keyring

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
)

// ErrRecord says that the file with the highest revision so far is damaged, or of another key-encryption
// key.
var ErrRecord = errors.New("the record of the newest revision is damaged")

// The record of the highest revision so far is one line of text, with a code that authenticates what
// stands before it (HMAC-SHA-256); while the key-encryption key is replaced it is a line for each key.
// It may be behind the ring, but never ahead of it.
const (
	recordForm = "candgw revision v1 %d kek %s"
	recordLine = "%s mac %x\n"
)

func sealRecord(revision uint64, kek []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, kek, nil, "candgw revision", sha256.Size)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	text := fmt.Sprintf(recordForm, revision, kekID(kek))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return fmt.Appendf(nil, recordLine, text, mac.Sum(nil)), nil
}

// openRecord returns the revision in the line for that key, or [ErrRecord].
func openRecord(record, kek []byte) (uint64, error) {
	for line := range bytes.Lines(record) {
		var revision uint64
		var id string
		if _, err := fmt.Sscanf(string(line), recordForm, &revision, &id); err != nil || id != kekID(kek) {
			continue
		}
		want, err := sealRecord(revision, kek)
		if err != nil {
			return 0, err
		}
		if hmac.Equal(line, want) {
			return revision, nil
		}
	}
	return 0, ErrRecord
}

func (s *FileStore) writeRecord(revision uint64, keks ...[]byte) error {
	var text []byte
	for _, kek := range keks {
		line, err := sealRecord(revision, kek)
		if err != nil {
			return err
		}
		text = append(text, line...)
	}
	return s.write(revisionFile, text)
}

// readRecord returns the recorded revision, 0 if there is none: the folder may be older than records.
func (s *FileStore) readRecord(kek []byte) (uint64, error) {
	text, err := ReadSecret(s.path(revisionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return openRecord(text, kek)
}

// checkRevision compares a ring that was loaded with the record. The error is [ErrRolledBack], or
// [ErrRecord].
func (s *FileStore) checkRevision(r *Ring, kek []byte) error {
	recorded, err := s.readRecord(kek)
	if errors.Is(err, ErrRecord) {
		return fmt.Errorf("%s: %w: if %s is the newest key ring, run 'candgw keys restore %[3]s'", s.path(revisionFile), err, s.path(ringFile))
	} else if err != nil {
		return err
	}
	if r.revision < recorded {
		return s.rolledBack(r.revision, recorded)
	}
	return nil
}

func (s *FileStore) rolledBack(revision, newest uint64) error {
	return fmt.Errorf("%s: %w: it is revision %d, after revision %d; to go back to it, run 'candgw keys restore %[1]s'",
		s.path(ringFile), ErrRolledBack, revision, newest)
}
