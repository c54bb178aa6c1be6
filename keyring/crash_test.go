package keyring

import (
	"errors"
	"path/filepath"
	"testing"
)

// changes returns whatever replaces the ring.
func changes(t testing.TB) []rekeying {
	same := func(dir string) *FileStore { return NewFileStore(dir, "") }
	return append([]rekeying{
		{"init", (*FileStore).Init, same},
		{"update", func(s *FileStore) (*Ring, error) { return s.Update(addKey(t)) }, same},
		{"restore", func(s *FileStore) (*Ring, error) { return s.Restore(s.backupPath(2)) }, same},
	}, rekeyings(t)...)
}

// storeAt returns the store of a folder whose ring came to a revision.
func storeAt(t testing.TB, revision uint64) *FileStore {
	t.Helper()
	s := NewFileStore(filepath.Join(t.TempDir(), "data"), "")
	s.cost = cheap
	for n := range revision {
		change := s.Init
		if n > 0 {
			change = func() (*Ring, error) { return s.Update(addKey(t)) }
		}
		if _, err := change(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Whatever changes the folder dies before each of its steps in turn: the ring loads as before or after,
// and the next change goes well.
func TestCrashAtEachStep(t *testing.T) {
	for _, c := range changes(t) {
		t.Run(c.name, func(t *testing.T) {
			revision := uint64(5)
			if c.name == "init" {
				revision = 0
			}
			replaced := false
			for step := 0; ; step++ {
				s := storeAt(t, revision)
				died := dies(s, step, c.do)
				r := checkAfterCrash(t, c, s.dir, revision)
				if r.Revision() == revision && (replaced || !died) {
					t.Fatalf("step %d: the ring is that before, and was that after a step before", step)
				}
				replaced = r.Revision() > revision
				if !died {
					t.Logf("%d steps", step)
					return
				}
			}
		})
	}
}

// checkAfterCrash checks a folder in which a change of a ring of that revision may have been cut off, and
// returns the ring that was in it.
func checkAfterCrash(t *testing.T, c rekeying, dir string, revision uint64) *Ring {
	t.Helper()
	r, s := loadEither(t, c, dir)
	if r.Revision() != revision && r.Revision() != revision+1 {
		t.Fatalf("revision %d, want %d or the next", r.Revision(), revision)
	}
	if next, err := s.Update(addKey(t)); err != nil || next.Revision() != r.Revision()+1 {
		t.Fatalf("the next change: %v, %v", next, err)
	}
	if again, err := s.Load(); err != nil || again.Revision() != r.Revision()+1 {
		t.Fatalf("after the next change: %v, %v", again, err)
	}
	for _, name := range files(t, dir) {
		if name == kekNextFile || name[0] == '.' {
			t.Errorf("%s is left", name)
		}
	}
	return r
}

// dies makes a change, and reports whether that came to a step of this number and died there.
func dies(s *FileStore, step int, change func(*FileStore) (*Ring, error)) (died bool) {
	type death struct{}
	s.step = func() {
		if step--; step < 0 {
			panic(death{})
		}
	}
	defer func() {
		if p := recover(); p != nil && p != any(death{}) {
			panic(p)
		} else {
			died = p != nil
		}
	}()
	change(s)
	return false
}

// loadEither loads a ring under the key before or that after, under one of which it must load.
func loadEither(t *testing.T, c rekeying, dir string) (*Ring, *FileStore) {
	t.Helper()
	before, after := NewFileStore(dir, ""), c.after(dir)
	before.Passphrase = after.Passphrase
	r, err := before.Load()
	if err == nil {
		return r, before
	}
	if errors.Is(err, ErrNoRing) {
		return &Ring{}, before
	}
	r, err2 := after.Load()
	if err2 != nil {
		t.Fatalf("it loads neither as before (%v) nor as after (%v)", err, err2)
	}
	return r, after
}
