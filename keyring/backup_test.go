package keyring

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// revisionIn returns the revision of a sealed ring, 0 if there is no such file.
func revisionIn(t testing.TB, s *FileStore, name string) uint64 {
	t.Helper()
	sealed, err := os.ReadFile(s.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	} else if err != nil {
		t.Fatal(err)
	}
	r, kek, err := s.open(s.path(name), sealed)
	if err != nil {
		t.Fatal(err)
	}
	clear(kek)
	return r.Revision()
}

func checkRevisions(t testing.TB, s *FileStore, want ...uint64) {
	t.Helper()
	for i, name := range []string{ringFile, backupFile(1), backupFile(2), backupFile(3), backupFile(4)} {
		w := uint64(0)
		if i < len(want) {
			w = want[i]
		}
		if got := revisionIn(t, s, name); got != w {
			t.Errorf("%s is revision %d, want %d", name, got, w)
		}
	}
}

func TestBackups(t *testing.T) {
	s, _ := newStore(t)
	checkRevisions(t, s, 1)
	for n := uint64(2); n <= 6; n++ {
		if _, err := s.Update(addKey(t)); err != nil {
			t.Fatal(err)
		}
		if n == 3 {
			checkRevisions(t, s, 3, 2, 1)
		}
	}
	checkRevisions(t, s, 6, 5, 4, 3)
	for n := 1; n <= backups; n++ {
		if info, err := os.Stat(s.backupPath(n)); err != nil || info.Mode() != 0o600 {
			t.Errorf("backup %d: %v, %v", n, info, err)
		}
	}
	// A gap is filled, and nothing is lost for it.
	if err := os.Remove(s.backupPath(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(addKey(t)); err != nil {
		t.Fatal(err)
	}
	checkRevisions(t, s, 7, 6, 5, 3)
}

func TestRestore(t *testing.T) {
	s, _ := newStore(t)
	first, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "backup")
	copyFile(t, s.ringPath(), elsewhere)
	for range 4 {
		if _, err := s.Update(addKey(t)); err != nil {
			t.Fatal(err)
		}
	}
	checkRevisions(t, s, 5, 4, 3, 2)

	var live Live
	live.Store(first)
	for _, tt := range []struct {
		file     string
		keys     int
		revision []uint64
	}{
		{s.backupPath(3), 2, []uint64{6, 5, 4, 3}},
		{elsewhere, 1, []uint64{7, 6, 5, 4}},
		{s.ringPath(), 1, []uint64{8, 7, 6, 5}},
	} {
		r, err := s.Restore(tt.file)
		if err != nil || len(r.entries) != tt.keys || r.Revision() != tt.revision[0] {
			t.Errorf("%s: %v, %v", tt.file, r, err)
		}
		checkRevisions(t, s, tt.revision...)
		// A process that runs takes it.
		if err := s.reload(&live, func(*Ring) {}); err != nil || live.Load().Revision() != tt.revision[0] {
			t.Errorf("%s is not taken into use: %v, %v", tt.file, live.Load(), err)
		}
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, string(text), 0o600)
}

// Whatever is wrong with the ring or the record, a backup helps.
func TestRestoreRepairs(t *testing.T) {
	for name, harm := range map[string]func(s *FileStore){
		"ring damaged":     func(s *FileStore) { writeFile(t, s.ringPath(), "rubbish", 0o600) },
		"ring gone":        func(s *FileStore) { os.Remove(s.ringPath()) },
		"ring rolled back": func(s *FileStore) { copyFile(t, s.backupPath(2), s.ringPath()) },
		"record damaged":   func(s *FileStore) { writeFile(t, s.path(revisionFile), "rubbish", 0o600) },
		"record and ring damaged": func(s *FileStore) {
			writeFile(t, s.path(revisionFile), "", 0o600)
			writeFile(t, s.ringPath(), "", 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t)
			for range 3 {
				if _, err := s.Update(addKey(t)); err != nil {
					t.Fatal(err)
				}
			}
			harm(s)
			if _, err := s.Load(); err == nil {
				t.Fatal("it loads")
			}
			r, err := s.Restore(s.backupPath(1))
			if err != nil || len(r.entries) != 3 {
				t.Fatalf("Restore: %v, %v", r, err)
			}
			// Higher than what was seen, as far as there is a trace of that.
			if want := uint64(5); r.Revision() != want && name != "record and ring damaged" {
				t.Errorf("it is revision %d, want %d", r.Revision(), want)
			}
			if again, err := s.Load(); err != nil || again.Revision() != r.Revision() {
				t.Errorf("Load: %v, %v", again, err)
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	s, _ := newStore(t)
	other, _ := newStore(t)
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	copyFile(t, s.ringPath(), open)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut")
	copyFile(t, s.ringPath(), cut)
	if err := os.Truncate(cut, 100); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(s.ringPath())
	for path, want := range map[string]error{
		other.ringPath():           ErrWrongKEK,
		filepath.Join(dir, "none"): os.ErrNotExist,
		open:                       ErrPermissions,
		cut:                        ErrDamaged,
	} {
		if _, err := s.Restore(path); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if after, _ := os.ReadFile(s.ringPath()); string(after) != string(before) {
		t.Error("the ring was replaced")
	}
}
