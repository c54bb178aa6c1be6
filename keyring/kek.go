package keyring

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// ErrPassphrase says that there is no passphrase where the key-encryption key is made of one, or
// that it is another one.
var ErrPassphrase = errors.New("the passphrase is missing or wrong")

// credentialName is what systemd calls the key-encryption key, if it hands it over.
const credentialName = "candgw-kek"

// kekPath chooses the file of the key-encryption key: the one that is named, else systemd's
// credential if there is one, else the one in the folder.
func kekPath(dir, named string) string {
	if named != "" {
		return named
	}
	if credentials := os.Getenv("CREDENTIALS_DIRECTORY"); credentials != "" {
		path := filepath.Join(credentials, credentialName)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return filepath.Join(dir, kekFile)
}

// A keyFile is what a file says of a key-encryption key: the key, or how a passphrase makes it.
type keyFile struct {
	path string
	id   string
	key  []byte // nil if it is derived
	from derivation
}

func readKeyFile(path string) (keyFile, error) {
	raw, err := ReadSecret(path)
	if err != nil {
		return keyFile{}, err
	}
	defer clear(raw)
	if bytes.HasPrefix(raw, []byte(derivationPrefix)) {
		d, err := parseDerivation(string(raw))
		if err != nil {
			return keyFile{}, fmt.Errorf("key-encryption key in %s: %w", path, err)
		}
		return keyFile{path: path, id: d.id, from: d}, nil
	}
	key, err := ParseMaterial(raw)
	if err != nil && len(raw) == chacha20poly1305.KeySize {
		key, err = bytes.Clone(raw), nil
	}
	if err == nil && len(key) != chacha20poly1305.KeySize {
		err = fmt.Errorf("it has %d octets, want %d", len(key), chacha20poly1305.KeySize)
	}
	if err != nil {
		return keyFile{}, fmt.Errorf("key-encryption key in %s: %w", path, err)
	}
	return keyFile{path: path, id: kekID(key), key: key}, nil
}

// A derivation says how a passphrase becomes a key-encryption key. None of it is secret.
type derivation struct {
	time    uint32 // passes
	memory  uint32 // KiB
	threads uint8
	salt    []byte
	id      string // of the key
}

const (
	derivationPrefix = "candgw kek "
	derivationForm   = derivationPrefix + "argon2id time %d memory %d threads %d salt %x id %s\n"

	saltSize = 16

	// What a forged file may make this process spend.
	maxTime   = 100
	maxMemory = 1 << 20 // KiB
)

// defaultCost is the second of the two choices of RFC 9106, section 4.
var defaultCost = derivation{time: 3, memory: 64 << 10, threads: 4}

func (d derivation) String() string {
	return fmt.Sprintf(derivationForm, d.time, d.memory, d.threads, d.salt, d.id)
}

// parseDerivation reads what [derivation.String] writes, and nothing else.
func parseDerivation(text string) (derivation, error) {
	var d derivation
	if _, err := fmt.Sscanf(text, derivationForm, &d.time, &d.memory, &d.threads, &d.salt, &d.id); err != nil || d.String() != text {
		return derivation{}, errors.New("its line is not one that 'candgw keys rekey --passphrase' writes")
	}
	switch {
	case d.time < 1, d.time > maxTime:
		return derivation{}, fmt.Errorf("its time is %d, want 1 to %d", d.time, maxTime)
	case d.threads < 1, d.memory < 8*uint32(d.threads), d.memory > maxMemory:
		return derivation{}, fmt.Errorf("its memory is %d KiB for %d threads, want 8 KiB a thread to %d KiB", d.memory, d.threads, maxMemory)
	case len(d.salt) != saltSize:
		return derivation{}, fmt.Errorf("its salt has %d octets, want %d", len(d.salt), saltSize)
	}
	return d, nil
}

func (d derivation) key(passphrase []byte) []byte {
	return argon2.IDKey(passphrase, d.salt, d.time, d.memory, d.threads, chacha20poly1305.KeySize)
}

// readKEK returns the key-encryption key that a new ring is sealed under. The caller clears it.
func (s *FileStore) readKEK() ([]byte, error) {
	k, err := readKeyFile(s.kek)
	if err != nil {
		return nil, err
	}
	return s.keyIn(k)
}

// findKEK returns the key-encryption key of that id, under which the ring in path is sealed. The caller
// clears it.
func (s *FileStore) findKEK(path, id string) ([]byte, error) {
	// The next key comes first: a rekey that ends meanwhile removes its file last.
	if s.kekInFolder() {
		if next, err := readKeyFile(s.path(kekNextFile)); err == nil && next.id == id {
			return s.keyIn(next)
		}
	}
	k, err := readKeyFile(s.kek)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key-encryption key of %s is missing; if another file holds it, name that in $CANDGW_KEK_FILE: %w", path, err)
	} else if err != nil {
		return nil, err
	}
	if k.id != id {
		clear(k.key)
		return nil, fmt.Errorf("%s: %w: it wants %s, the one in %s is %s", path, ErrWrongKEK, id, k.path, k.id)
	}
	return s.keyIn(k)
}

// keyIn returns the key of a file, which is derived once for each derivation: that takes long.
func (s *FileStore) keyIn(k keyFile) ([]byte, error) {
	if k.key != nil {
		return k.key, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.derived[k.from.String()]; ok {
		return bytes.Clone(key), nil
	}
	if s.Passphrase == nil {
		return nil, fmt.Errorf("%s: %w", k.path, ErrPassphrase)
	}
	passphrase, err := s.Passphrase()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", k.path, ErrPassphrase, err)
	}
	defer clear(passphrase)
	h := sha256.New()
	fmt.Fprint(h, k.from)
	h.Write(passphrase)
	attempt := [sha256.Size]byte(h.Sum(nil))
	if attempt != s.wrong {
		key := k.from.key(passphrase)
		if kekID(key) == k.id {
			s.remember(k.from, key)
			return key, nil
		}
		clear(key)
		s.wrong = attempt
	}
	return nil, fmt.Errorf("%s: %w: it does not make the key that the file names, unless the file was changed", k.path, ErrPassphrase)
}

// remember keeps a copy of a derived key. s.mu is held.
func (s *FileStore) remember(d derivation, key []byte) {
	if s.derived == nil {
		s.derived = map[string][]byte{}
	}
	s.derived[d.String()] = bytes.Clone(key)
}

// makeKEK writes a new key-encryption key unless there is one, or the file is not ours to make.
func (s *FileStore) makeKEK() error {
	_, err := os.Stat(s.kek)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !s.kekInFolder() {
		return fmt.Errorf("the key-encryption key is missing: %w", err)
	}
	key, text := newKEK()
	defer clear(key)
	defer clear(text)
	return s.write(kekFile, text)
}

// newKEK returns a random key, and what its file holds. The caller clears both.
func newKEK() (key, text []byte) {
	key = make([]byte, chacha20poly1305.KeySize)
	rand.Read(key) // never fails: crypto/rand
	return key, append(hex.AppendEncode(nil, key), '\n')
}
