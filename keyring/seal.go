package keyring

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/candgw/candgw/cipher"
)

var (
	// ErrDamaged says that a ring file is cut short or was changed.
	ErrDamaged = errors.New("the key ring file is damaged")
	// ErrWrongKEK says that a ring file is sealed under another key-encryption key.
	ErrWrongKEK = errors.New("the key ring file is sealed under another key-encryption key")
)

// A sealed ring is one line of text, then a nonce and a box of XChaCha20-Poly1305 that holds JSON:
//
//	candgw ring v1 kek <16 hexadecimal digits> octets <what follows this line>
//
// The line is authenticated with the box. It is there to tell a wrong key-encryption key and a file
// cut short from a forged one.
const sealedHeader = "candgw ring v1 kek %s octets %d\n"

type ringJSON struct {
	Revision uint64      `json:"revision"`
	Keys     []entryJSON `json:"keys"`
}

type entryJSON struct {
	Suite   cipher.Suite `json:"suite"`
	State   State        `json:"state"`
	Created time.Time    `json:"created"`
	Next    bool         `json:"next,omitempty"`
	// Settle and Grace are in nanoseconds.
	Settle      time.Duration `json:"settle,omitempty"`
	Grace       time.Duration `json:"grace,omitempty"`
	ActiveSince time.Time     `json:"active_since,omitzero"`
	AcceptUntil time.Time     `json:"accept_until,omitzero"`
	Key         []byte        `json:"key"`
}

// kekID names a key-encryption key of 32 octets.
func kekID(kek []byte) string {
	sum := sha256.Sum256(append([]byte("candgw kek id\x00"), kek...))
	return hex.EncodeToString(sum[:8])
}

// seal also sets the ring's digest; nobody else may have the ring yet.
func seal(r *Ring, kek []byte) ([]byte, error) {
	doc := ringJSON{Revision: r.revision}
	for _, e := range r.entries {
		doc.Keys = append(doc.Keys, entryJSON{e.Key.Suite(), e.State, e.Created, e.Next, e.Settle, e.Grace, e.ActiveSince, e.AcceptUntil, e.Key.Material()})
	}
	defer func() {
		for _, k := range doc.Keys {
			clear(k.Key)
		}
	}()
	plain, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	r.digest = sha256.Sum256(plain)
	aead, err := chacha20poly1305.NewX(kek)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails: crypto/rand
	header := fmt.Appendf(nil, sealedHeader, kekID(kek), len(nonce)+len(plain)+aead.Overhead())
	return aead.Seal(append(bytes.Clone(header), nonce...), nonce, plain, header), nil
}

// parseHeader reads the first line of a sealed ring, and returns what follows it.
func parseHeader(sealed []byte) (id string, octets int, box []byte, err error) {
	header, box, _ := bytes.Cut(sealed, []byte("\n"))
	if _, err := fmt.Sscanf(string(header)+"\n", sealedHeader, &id, &octets); err != nil {
		return "", 0, nil, fmt.Errorf("%w: its first line is not that of a key ring", ErrDamaged)
	}
	return id, octets, box, nil
}

func unseal(sealed, kek []byte) (*Ring, error) {
	id, octets, box, err := parseHeader(sealed)
	if err != nil {
		return nil, err
	}
	header := sealed[:len(sealed)-len(box)]
	aead, err := chacha20poly1305.NewX(kek)
	switch {
	case err != nil:
		return nil, err
	case id != kekID(kek):
		return nil, fmt.Errorf("%w: it wants %s, this one is %s", ErrWrongKEK, id, kekID(kek))
	case len(box) != octets || octets < aead.NonceSize():
		return nil, fmt.Errorf("%w: %d octets follow its first line, want %d", ErrDamaged, len(box), octets)
	}
	nonce, box := box[:aead.NonceSize()], box[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, box, header)
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed since it was sealed", ErrDamaged)
	}
	defer clear(plain)
	var doc ringJSON
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: a newer candgw may have written it", ErrDamaged)
	}
	entries := make([]Entry, len(doc.Keys))
	for i, e := range doc.Keys {
		k, err := cipher.NewKey(e.Suite, e.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: key %d: %w", ErrInvalid, i, err)
		}
		clear(e.Key)
		entries[i] = Entry{k, e.State, e.Created, e.Next, e.Settle, e.Grace, e.ActiveSince, e.AcceptUntil}
	}
	r, err := newRing(doc.Revision, entries)
	if err != nil {
		return nil, err
	}
	r.digest = sha256.Sum256(plain)
	return r, nil
}
