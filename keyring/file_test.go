package keyring

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/atomicfile"
)

func newStore(t testing.TB) (*FileStore, *Ring) {
	t.Helper()
	s := NewFileStore(filepath.Join(t.TempDir(), "data"), "")
	r, err := s.Init()
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

func (s *FileStore) ringPath() string { return filepath.Join(s.dir, ringFile) }

func TestStoreRoundTrip(t *testing.T) {
	s, first := newStore(t)
	retired := newKey(t, cipher.AESGCM)
	want, err := s.Update(func(e *Editor) error {
		return errors.Join(e.Add(retired, Active), e.Add(newKey(t, cipher.AESGCM), Active), e.Add(newKey(t, cipher.AESUUID), Standby))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got.Revision() != first.Revision()+1 || len(got.entries) != 4 {
		t.Fatalf("got revision %d, %d keys", got.Revision(), len(got.entries))
	}
	for e := range want.Entries() {
		g, err := got.Lookup(e.Key.ID())
		if err != nil || g.State != e.State || !g.Created.Equal(e.Created) || !g.AcceptUntil.Equal(e.AcceptUntil) ||
			!bytes.Equal(g.Key.Material(), e.Key.Material()) {
			t.Errorf("got %+v, %v, want %+v", g, err, e)
		}
	}
	for _, name := range []string{ringFile, backupFile(1), revisionFile, kekFile, lockFile} {
		if info, err := os.Stat(filepath.Join(s.dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, _ := os.Stat(s.dir); info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v", info.Mode())
	}
}

func TestStoreHidesKeys(t *testing.T) {
	s, r := newStore(t)
	raw, err := os.ReadFile(s.ringPath())
	if err != nil {
		t.Fatal(err)
	}
	for e := range r.Entries() {
		m := e.Key.Material()
		for _, form := range []string{string(m), hex.EncodeToString(m), base64.StdEncoding.EncodeToString(m)} {
			if bytes.Contains(raw, []byte(form)) {
				t.Error("the ring file holds a key in clear")
			}
		}
	}
}

func TestStoreRefuses(t *testing.T) {
	otherKEK := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(otherKEK, bytes.Repeat([]byte("ab"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	edit := func(f func([]byte) []byte) func(*FileStore) error {
		return func(s *FileStore) error {
			raw, err := os.ReadFile(s.ringPath())
			if err != nil {
				return err
			}
			return os.WriteFile(s.ringPath(), f(raw), 0o600)
		}
	}
	for _, tt := range []struct {
		name string
		harm func(*FileStore) error
		want error
		says string
	}{
		{"cut short", edit(func(b []byte) []byte { return b[:len(b)-1] }), ErrDamaged, "octets follow its first line"},
		{"cut to its first line", edit(func(b []byte) []byte { return b[:20] }), ErrDamaged, "first line"},
		{"empty", edit(func([]byte) []byte { return nil }), ErrDamaged, "first line"},
		{"a bit changed", edit(func(b []byte) []byte { b[len(b)-5] ^= 1; return b }), ErrDamaged, "changed since"},
		{"another key-encryption key", func(s *FileStore) error { s.kek = otherKEK; return nil }, ErrWrongKEK, "another key-encryption key"},
		{"key-encryption key missing", func(s *FileStore) error { return os.Remove(s.kek) }, os.ErrNotExist, "is missing"},
		{"key-encryption key too short", func(s *FileStore) error { return os.WriteFile(s.kek, []byte("abcd"), 0o600) }, nil, "it has 2 octets, want 32"},
		{"key-encryption key of 32 digits", func(s *FileStore) error { return os.WriteFile(s.kek, []byte(strings.Repeat("a", 32)), 0o600) }, nil, "it has 16 octets, want 32"},
		{"key-encryption key readable by others", func(s *FileStore) error { return os.Chmod(s.kek, 0o640) }, ErrPermissions, "chmod 600"},
		{"ring readable by the world", func(s *FileStore) error { return os.Chmod(s.ringPath(), 0o604) }, ErrPermissions, "chmod 600"},
		{"no ring", func(s *FileStore) error { return os.Remove(s.ringPath()) }, ErrNoRing, "candgw keys init"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newStore(t)
			if err := tt.harm(s); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(s.ringPath())
			_, err := s.Load()
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Load: %v, want %v that says %q", err, tt.want, tt.says)
			}
			if errors.Is(err, ErrNoRing) {
				return
			}
			if _, err := s.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESUUID), Active) }); err == nil {
				t.Error("Update went on")
			}
			if after, _ := os.ReadFile(s.ringPath()); !bytes.Equal(before, after) {
				t.Error("the file on disk was replaced")
			}
		})
	}
}

// Each octet of the file matters.
func TestStoreNoticesEveryOctet(t *testing.T) {
	s, _ := newStore(t)
	raw, _ := os.ReadFile(s.ringPath())
	kek, _ := s.readKEK()
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 0x20
		if _, err := unseal(changed, kek); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongKEK) {
			t.Errorf("octet %d changed: %v", i, err)
		}
		if _, err := unseal(raw[:i], kek); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d octets: %v", i, err)
		}
	}
}

func TestInitTwice(t *testing.T) {
	s, r := newStore(t)
	if _, err := s.Init(); !errors.Is(err, ErrRingExists) {
		t.Errorf("got %v", err)
	}
	if again, err := s.Load(); err != nil || again.Revision() != r.Revision() {
		t.Errorf("the ring changed: %v, %v", again, err)
	}
}

func TestForeignKEKFile(t *testing.T) {
	for name, text := range map[string]string{
		"raw":    strings.Repeat("\x80", 32),
		"hex":    strings.Repeat("80", 32) + "\n",
		"base64": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x80}, 32)) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			kek := filepath.Join(dir, "credential")
			s := NewFileStore(filepath.Join(dir, "data"), kek)
			if _, err := s.Init(); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("without the file: %v", err)
			}
			if err := os.WriteFile(kek, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Init(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "data", kekFile)); !errors.Is(err, os.ErrNotExist) {
				t.Error("a key-encryption key was made all the same")
			}
			if _, err := s.Load(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Editors that work at once lose no edit.
func TestConcurrentUpdates(t *testing.T) {
	s, first := newStore(t)
	const hands, edits = 8, 5
	var wg sync.WaitGroup
	for range hands {
		wg.Go(func() {
			mine := NewFileStore(s.dir, "")
			for range edits {
				if _, err := mine.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESUUID), Active) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + hands*edits; len(r.entries) != want || r.Revision() != first.Revision()+hands*edits {
		t.Errorf("%d keys at revision %d, want %d keys", len(r.entries), r.Revision(), want)
	}
}

func TestFollow(t *testing.T) {
	s, _ := newStore(t)
	old, _ := os.ReadFile(s.ringPath())
	var live Live
	events := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Follow(ctx, &live, time.Millisecond,
			func(r *Ring) { events <- fmt.Sprint("loaded ", r.Revision()) },
			func(err error) { events <- err.Error() })
	}()
	expect := func(what string) {
		t.Helper()
		select {
		case e := <-events:
			if !strings.Contains(e, what) {
				t.Fatalf("heard %q, want %q", e, what)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("heard nothing, want %q", what)
		}
	}
	expect("loaded 1")
	next, err := s.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESUUID), Active) })
	if err != nil {
		t.Fatal(err)
	}
	expect("loaded 2")
	if live.Load().Revision() != next.Revision() {
		t.Errorf("live is revision %d", live.Load().Revision())
	}
	// Another revision 2, as one makes who puts an old folder back and edits the ring there.
	good, _ := os.ReadFile(s.ringPath())
	if err := atomicfile.Write(s.ringPath(), old, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(ErrRolledBack.Error())
	if err := os.Remove(s.path(revisionFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESUUID), Active) }); err != nil {
		t.Fatal(err)
	}
	diverged, _ := os.ReadFile(s.ringPath())
	expect("both are revision 2")
	// An older file put back, one cut short, and that one: the last good ring stays.
	for _, harm := range []struct {
		raw  []byte
		says string
	}{{old, ErrRolledBack.Error()}, {old[:len(old)/2], ErrDamaged.Error()}, {diverged, "both are revision 2"}} {
		if err := atomicfile.Write(s.ringPath(), harm.raw, 0o600); err != nil {
			t.Fatal(err)
		}
		expect(harm.says)
		if live.Load().Revision() != next.Revision() {
			t.Errorf("after %q live is revision %d", harm.says, live.Load().Revision())
		}
	}
	// What kept it from being loaded passes, without the ring file itself changing.
	if err := atomicfile.Write(s.ringPath(), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.kek, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := NewFileStore(s.dir, "").Update(func(e *Editor) error { return nil }); !errors.Is(err, ErrPermissions) {
		t.Fatal(err)
	}
	kekless, _ := os.ReadFile(s.kek)
	r, err := unseal(good, must(ParseMaterial(kekless)))
	if err != nil {
		t.Fatal(err)
	}
	third, err := r.Edit(time.Now()).Ring()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal(third, must(ParseMaterial(kekless)))
	if err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(s.ringPath(), sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(ErrPermissions.Error())
	if err := os.Chmod(s.kek, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("loaded 3")
	cancel()
	<-done
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestReadSecretRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadSecret(dir); !errors.Is(err, ErrPermissions) {
		t.Errorf("a folder: %v", err)
	}
	if os.Geteuid() == 0 {
		path := filepath.Join(dir, "theirs")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		// Root's and one's own are fine; as root these are the same, so another user's is made.
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSecret(path); !errors.Is(err, ErrPermissions) || !strings.Contains(err.Error(), "another user") {
			t.Errorf("another user's file: %v", err)
		}
	}
}

func TestParseMaterial(t *testing.T) {
	want := bytes.Repeat([]byte{0xfb}, 32)
	for _, ok := range []string{hex.EncodeToString(want), strings.ToUpper(hex.EncodeToString(want)), " " + base64.StdEncoding.EncodeToString(want) + "\r\n"} {
		if got, err := ParseMaterial([]byte(ok)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %x, %v", ok, got, err)
		}
	}
	for _, bad := range []string{"", "\n", "xyz", "abc", "0x0", "secretsecret!"} {
		if _, err := ParseMaterial([]byte(bad)); err == nil || len(bad) > 1 && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
