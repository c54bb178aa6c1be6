package keyring

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/candgw/candgw/cipher"
)

func TestRollback(t *testing.T) {
	s, _ := newStore(t)
	old, err := os.ReadFile(s.ringPath())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(addKey(t)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.ringPath(), string(old), 0o600)
	// A process that starts anew knows, and what it says to do helps.
	fresh := NewFileStore(s.dir, "")
	_, err = fresh.Load()
	if !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "'candgw keys restore "+s.ringPath()+"'") {
		t.Errorf("Load: %v", err)
	}
	if _, err := fresh.Update(addKey(t)); !errors.Is(err, ErrRolledBack) {
		t.Errorf("Update: %v", err)
	}
	if r, err := fresh.Restore(s.ringPath()); err != nil || r.Revision() != 3 {
		t.Errorf("Restore: %v, %v", r, err)
	}
	if r, err := fresh.Load(); err != nil || r.Revision() != 3 || len(r.entries) != 1 {
		t.Errorf("after it: %v, %v", r, err)
	}
}

// A folder of the time before the record has none, and gets one with the next change.
func TestRecordMissing(t *testing.T) {
	s, _ := newStore(t)
	if err := os.Remove(s.path(revisionFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err != nil {
		t.Error(err)
	}
	if _, err := s.Update(addKey(t)); err != nil {
		t.Fatal(err)
	}
	kek, _ := s.readKEK()
	if got, err := s.readRecord(kek); err != nil || got != 2 {
		t.Errorf("recorded is %d, %v, want 2", got, err)
	}
}

// Where there was a ring, none is made in silence.
func TestRingGone(t *testing.T) {
	s, _ := newStore(t)
	if _, err := s.Update(addKey(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.ringPath()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []func() (*Ring, error){s.Load, s.Init} {
		if _, err := f(); !errors.Is(err, ErrNoRing) || !strings.Contains(err.Error(), "candgw keys restore "+s.backupPath(1)) {
			t.Error(err)
		}
	}
	if r, err := s.Restore(s.backupPath(1)); err != nil || r.Revision() != 3 {
		t.Errorf("Restore: %v, %v", r, err)
	}
	if err := errors.Join(os.Remove(s.ringPath()), os.Remove(s.path(revisionFile))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Init(); err != nil {
		t.Errorf("beginning anew: %v", err)
	}
}

// Each bit of the record matters, its name is told, and what is said to do helps.
func TestRecordNoticesEveryBit(t *testing.T) {
	s, _ := newStore(t)
	path := s.path(revisionFile)
	record, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(text []byte) {
		t.Helper()
		writeFile(t, path, string(text), 0o600)
		_, err := s.Load()
		if !errors.Is(err, ErrRecord) || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), "'candgw keys restore "+s.ringPath()+"'") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for i := range len(record) * 8 {
		changed := bytes.Clone(record)
		changed[i/8] ^= 1 << (i % 8)
		check(changed)
	}
	for i := range record {
		check(record[:i])
	}
	// Of another key-encryption key, as one forges it who may write into the folder and no more.
	forged, err := sealRecord(1, bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	check(forged)
	if _, err := s.Update(func(*Editor) error { return nil }); !errors.Is(err, ErrRecord) {
		t.Errorf("Update: %v", err)
	}
	if r, err := s.Restore(s.ringPath()); err != nil || r.Revision() != 2 {
		t.Errorf("Restore: %v, %v", r, err)
	}
	if _, err := s.Load(); err != nil {
		t.Error(err)
	}
	writeFile(t, path, string(record), 0o644)
	if _, err := s.Load(); !errors.Is(err, ErrPermissions) {
		t.Errorf("open to others: %v", err)
	}
}

// Each bit of the ring matters, and its name is told.
func TestRingNoticesEveryBit(t *testing.T) {
	s, _ := newStore(t)
	ring, err := os.ReadFile(s.ringPath())
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(ring) * 8 {
		changed := bytes.Clone(ring)
		changed[i/8] ^= 1 << (i % 8)
		writeFile(t, s.ringPath(), string(changed), 0o600)
		if _, err := s.Load(); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongKEK) || !strings.HasPrefix(err.Error(), s.ringPath()+": ") {
			t.Errorf("bit %d of octet %d: %v", i%8, i/8, err)
		}
	}
}

// Readers hold no lock, and see the ring before or after a change, never an error.
func TestReadersMeanwhile(t *testing.T) {
	s, _ := newStore(t)
	s.cost = cheap
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			for i := range 40 {
				if _, err := s.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESUUID), Standby) }); err != nil {
					return err
				}
				rekey := s.RekeyToNew
				if i%2 == 1 {
					rekey = func() (*Ring, error) { return s.RekeyToPassphrase([]byte(testPassphrase)) }
				}
				if _, err := rekey(); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	reader, _ := openWith(s.dir, testPassphrase)
	for seen, loads := uint64(0), 0; ; loads++ {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d loads", loads)
			return
		default:
		}
		r, err := reader.Load()
		if err != nil {
			t.Error(err)
		} else if r.Revision() < seen {
			t.Errorf("revision %d after %d", r.Revision(), seen)
		} else {
			seen = r.Revision()
		}
	}
}
