package keyring

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candgw/candgw/cipher"
)

// cheap is a cost for tests.
var cheap = derivation{time: 1, memory: 64, threads: 1}

const testPassphrase = "correct horse battery"

// newPassphraseStore returns a store whose ring is sealed under a passphrase, and counts how often
// that is asked for.
func newPassphraseStore(t testing.TB) (*FileStore, *int) {
	t.Helper()
	s, _ := newStore(t)
	s.cost = cheap
	if _, err := s.RekeyToPassphrase([]byte(testPassphrase)); err != nil {
		t.Fatal(err)
	}
	return openWith(s.dir, testPassphrase)
}

// openWith returns a store that knows a passphrase, and counts how often it is asked for.
func openWith(dir, passphrase string) (*FileStore, *int) {
	asked := new(int)
	s := NewFileStore(dir, "")
	s.cost = cheap
	s.Passphrase = func() ([]byte, error) { *asked++; return []byte(passphrase), nil }
	return s, asked
}

func writeFile(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func addKey(t testing.TB) func(*Editor) error {
	return func(e *Editor) error { return e.Add(newKey(t, cipher.AESUUID), Active) }
}

func TestKEKSources(t *testing.T) {
	dir, credentials := t.TempDir(), t.TempDir()
	check := func(named, want string) {
		t.Helper()
		if got := NewFileStore(dir, named).KEKFile(); got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
	check("", filepath.Join(dir, "kek"))
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	check("", filepath.Join(dir, "kek")) // there is no such credential
	writeFile(t, filepath.Join(credentials, "candgw-kek"), strings.Repeat("ab", 32), 0o400)
	check("", filepath.Join(credentials, "candgw-kek"))
	check("/elsewhere", "/elsewhere")
}

// Credentials have mode 0440 where systemd lets the service's user in by an access control list.
func TestCredentialModes(t *testing.T) {
	credentials, elsewhere := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials+"/")
	for _, tt := range []struct {
		dir  string
		mode os.FileMode
		ok   bool
	}{
		{credentials, 0o400, true}, {credentials, 0o440, true}, {credentials, 0o460, false}, {credentials, 0o444, false},
		{elsewhere, 0o400, true}, {elsewhere, 0o440, false},
	} {
		path := filepath.Join(tt.dir, credentialName)
		os.Remove(path)
		writeFile(t, path, "x", tt.mode)
		if _, err := ReadSecret(path); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrPermissions) {
			t.Errorf("%s, mode %#o: %v", tt.dir, tt.mode, err)
		}
	}
}

func TestParseDerivation(t *testing.T) {
	const salt = "000102030405060708090a0b0c0d0e0f"
	line := func(time, memory, threads, salt string) string {
		return "candgw kek argon2id time " + time + " memory " + memory + " threads " + threads + " salt " + salt + " id 0011223344556677\n"
	}
	for _, tt := range []struct{ text, says string }{
		{line("3", "65536", "4", salt), ""},
		{line("1", "8", "1", salt), ""},
		{line("100", "1048576", "255", salt), ""},
		{line("0", "65536", "4", salt), "time"},
		{line("101", "65536", "4", salt), "time"},
		{line("3", "1048577", "4", salt), "memory"},
		{line("3", "31", "4", salt), "memory"},
		{line("3", "65536", "0", salt), "memory"},
		{line("3", "65536", "256", salt), "its line"},
		{line("3", "4294967296", "4", salt), "its line"},
		{line("-1", "65536", "4", salt), "its line"},
		{line("03", "65536", "4", salt), "its line"},
		{line("3", "65536", "4", salt[2:]), "salt has 15 octets"},
		{line("3", "65536", "4", strings.ToUpper(salt)), "its line"},
		{line("3", "65536", "4", salt) + "\n", "its line"},
		{strings.TrimSpace(line("3", "65536", "4", salt)), "its line"},
		{strings.ReplaceAll(line("3", "65536", "4", salt), " ", "  "), "its line"},
	} {
		d, err := parseDerivation(tt.text)
		if tt.says == "" && (err != nil || d.String() != tt.text) {
			t.Errorf("%q: %v, %q", tt.text, err, d)
		}
		if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.says)
		}
	}
}

// The derivation is that of RFC 9106, so that another program can derive the key. The value is that of
// Argon2id of the Python package cryptography.
func TestDerivedKey(t *testing.T) {
	d := cheap
	d.salt = []byte("0123456789abcdef")
	if got := hex.EncodeToString(d.key([]byte(testPassphrase))); got != "feeaf97cb10b51bd5e5e44fda0a1eaaba807199f4f87081b8f8ab221c08d6987" {
		t.Errorf("got %s", got)
	}
}

func TestPassphrase(t *testing.T) {
	s, asked := newPassphraseStore(t)
	for range 3 {
		if _, err := s.Update(addKey(t)); err != nil {
			t.Fatal(err)
		}
	}
	if *asked != 1 {
		t.Errorf("asked %d times, want once for the life of the store", *asked)
	}
	text, err := os.ReadFile(s.path(kekFile))
	if err != nil || !strings.HasPrefix(string(text), "candgw kek argon2id time 1 memory 64 threads 1 salt ") {
		t.Errorf("the file says %q, %v", text, err)
	}

	wrong, _ := openWith(s.dir, "another")
	for range 2 {
		if _, err := wrong.Load(); !errors.Is(err, ErrPassphrase) || !strings.Contains(err.Error(), s.path(kekFile)) {
			t.Errorf("a wrong one: %v", err)
		}
	}
	wrong.Passphrase = func() ([]byte, error) { return []byte(testPassphrase), nil }
	if _, err := wrong.Load(); err != nil {
		t.Errorf("the right one after a wrong one: %v", err)
	}
	if _, err := NewFileStore(s.dir, "").Load(); !errors.Is(err, ErrPassphrase) {
		t.Errorf("nobody to ask: %v", err)
	}
	none := NewFileStore(s.dir, "")
	none.Passphrase = func() ([]byte, error) { return nil, errors.New("no terminal") }
	if _, err := none.Update(addKey(t)); !errors.Is(err, ErrPassphrase) || !strings.Contains(err.Error(), "no terminal") {
		t.Errorf("no terminal: %v", err)
	}
	if _, err := s.RekeyToPassphrase([]byte("short")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("a short one: %v", err)
	}
}

// Each bit of the file that says how the key is derived matters, and its name is told.
func TestDerivationNoticesEveryBit(t *testing.T) {
	s, _ := newPassphraseStore(t)
	path := s.path(kekFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) * 8 {
		changed := bytes.Clone(text)
		changed[i/8] ^= 1 << (i % 8)
		writeFile(t, path, string(changed), 0o600)
		fresh, _ := openWith(s.dir, testPassphrase)
		if _, err := fresh.Load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("bit %d of octet %d (%q): %v", i%8, i/8, changed, err)
		}
	}
	for i := range text {
		writeFile(t, path, string(text[:i]), 0o600)
		fresh, _ := openWith(s.dir, testPassphrase)
		if _, err := fresh.Load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("cut to %d octets: %v", i, err)
		}
	}
}
