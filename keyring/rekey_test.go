package keyring

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A rekeying is one way to seal a ring under another key.
type rekeying struct {
	name string
	do   func(*FileStore) (*Ring, error)
	// after returns the store that opens the folder afterwards.
	after func(dir string) *FileStore
}

func rekeyings(t testing.TB) []rekeying {
	file := filepath.Join(t.TempDir(), "other")
	writeFile(t, file, strings.Repeat("cd", 32), 0o600)
	return []rekeying{
		{"new", (*FileStore).RekeyToNew, func(dir string) *FileStore { return NewFileStore(dir, "") }},
		{"passphrase", func(s *FileStore) (*Ring, error) { return s.RekeyToPassphrase([]byte(testPassphrase)) },
			func(dir string) *FileStore { s, _ := openWith(dir, testPassphrase); return s }},
		{"file", func(s *FileStore) (*Ring, error) { return s.RekeyToFile(file) },
			func(dir string) *FileStore { return NewFileStore(dir, file) }},
	}
}

// files returns the names in a folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRekey(t *testing.T) {
	for _, to := range rekeyings(t) {
		t.Run(to.name, func(t *testing.T) {
			s, _ := newStore(t)
			s.cost = cheap
			for range 2 {
				if _, err := s.Update(addKey(t)); err != nil {
					t.Fatal(err)
				}
			}
			kekBefore, _ := os.ReadFile(s.path(kekFile))
			ringBefore, _ := os.ReadFile(s.ringPath())
			before, err := s.Load()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := to.do(s); err != nil {
				t.Fatal(err)
			}
			after := to.after(s.dir)
			r, err := after.Load()
			if err != nil || len(r.entries) != 3 {
				t.Fatalf("%v, %v", r, err)
			}
			checkRevisions(t, after, 4, 2, 1) // of the same keys no backup is made
			want := []string{"kek", "lock", "revision", "ring", "ring.1", "ring.2"}
			if to.name == "file" {
				want = want[1:]
			}
			if got := files(t, s.dir); !slices.Equal(got, want) {
				t.Errorf("the folder holds %q", got)
			}
			if _, err := after.Update(addKey(t)); err != nil {
				t.Error(err)
			}

			// One that ran before takes the ring.
			var live Live
			live.Store(before)
			if to.name != "file" {
				s.Passphrase = after.Passphrase
				if err := s.reload(&live, func(*Ring) {}); err != nil || live.Load().Revision() != 5 {
					t.Errorf("a running one has %v, %v", live.Load(), err)
				}
			}
			if _, err := to.do(after); to.name == "file" && !errors.Is(err, ErrSameKEK) {
				t.Errorf("again: %v", err)
			}
			// The ring before, with its key, is older, whatever the record says.
			writeFile(t, s.ringPath(), string(ringBefore), 0o600)
			writeFile(t, s.path(kekFile), string(kekBefore), 0o600)
			if _, err := NewFileStore(s.dir, "").Load(); !errors.Is(err, ErrRecord) {
				t.Errorf("the ring before: %v", err)
			}
		})
	}
}

// From the key in one file to the folder's own: the file named is left alone, and no longer fits.
func TestRekeyFromFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "elsewhere")
	writeFile(t, file, strings.Repeat("ef", 32), 0o600)
	s := NewFileStore(filepath.Join(dir, "data"), file)
	if _, err := s.Init(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RekeyToNew(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); !errors.Is(err, ErrWrongKEK) || !strings.Contains(err.Error(), file) {
		t.Errorf("with the file: %v", err)
	}
	if r, err := NewFileStore(s.dir, "").Load(); err != nil || r.Revision() != 2 {
		t.Errorf("with the folder's: %v, %v", r, err)
	}
	for path, want := range map[string]error{filepath.Join(dir, "none"): os.ErrNotExist, s.ringPath(): nil} {
		if _, err := NewFileStore(s.dir, "").RekeyToFile(path); err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("to the key in %s: %v", path, err)
		}
	}
	if _, err := NewFileStore(filepath.Join(dir, "nowhere"), "").RekeyToNew(); !errors.Is(err, ErrNoRing) {
		t.Errorf("no ring: %v", err)
	}
}

// What a process left that died goes away with the next change, and nothing else does.
func TestLeftovers(t *testing.T) {
	s, _ := newStore(t)
	want := files(t, s.dir)
	for _, name := range []string{".kek.1", ".kek.next.12", ".ring.3074827", ".ring.1.99", ".revision.0"} {
		writeFile(t, s.path(name), "x", 0o600)
	}
	for _, name := range []string{".kek.bak", ".ring.old", "ring.good", ".status.json.5"} {
		writeFile(t, s.path(name), "x", 0o600)
		want = append(want, name)
	}
	if _, err := s.Update(addKey(t)); err != nil {
		t.Fatal(err)
	}
	want = append(want, backupFile(1))
	slices.Sort(want)
	if got := files(t, s.dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}
