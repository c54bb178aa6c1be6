package cipher

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
)

var (
	// ErrKeySize says that key material has a length its suite does not have.
	ErrKeySize = errors.New("wrong key length")
	// ErrNotOpened says that a name was not made with this key, or was changed since, or, where the
	// suite needs one, was made under another ice-pwd. It does not say which.
	ErrNotOpened = errors.New("name does not open")
	// ErrPasswordNeeded says that a name of the draft's suites was to be opened without its ice-pwd.
	ErrPasswordNeeded = errors.New("names of this suite open only with the session's ice-pwd")
	// ErrPasswordLength says that an ice-pwd is not of the 22 to 256 characters of RFC 8839, section 5.4.
	ErrPasswordLength = errors.New("ice-pwd must have 22 to 256 characters (RFC 8839, section 5.4)")
	// ErrAddress says that an address cannot be encrypted under a suite.
	ErrAddress = errors.New("address cannot be encrypted")
)

// The lengths of an ice-pwd in characters, RFC 8839, section 5.4.
const (
	MinPassword = 22
	MaxPassword = 256
)

// KeyID names a key without telling anything of it that helps to find it: it may be printed and logged.
type KeyID [8]byte

// ParseKeyID reads the 16 hexadecimal digits that [KeyID.String] prints, in either letter case.
func ParseKeyID(s string) (KeyID, error) {
	var id KeyID
	if len(s) != hex.EncodedLen(len(id)) {
		return KeyID{}, fmt.Errorf("key id %q has %d characters, want %d hexadecimal digits", s, len(s), hex.EncodedLen(len(id)))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return KeyID{}, fmt.Errorf("key id %q is not hexadecimal", s)
	}
	return id, nil
}

// String returns the id as 16 lower-case hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns what String returns.
func (id KeyID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText is [ParseKeyID].
func (id *KeyID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseKeyID(string(text))
	return err
}

// A Key encrypts addresses and opens names under one suite. It never changes, and however it is
// printed, marshalled or logged it shows its id and suite alone.
type Key struct {
	suite Suite
	id    KeyID
	// secret is set once. It is atomic because nothing that prints a value follows such a pointer: even
	// a copied Key, which has no methods, shows an address and no secret.
	secret atomic.Pointer[parts]
}

// parts is what of a key is secret.
type parts struct {
	material   []byte
	foundation *foundationMAC

	// One of the two is set. They are not one interface, so that what a lookup passes does not escape.
	uuid  *uuidSealer
	draft draftSealer
}

// NewKey makes a key from its material, of which it keeps a copy. The error is [ErrKeySize] or
// [ErrUnknownSuite].
func NewKey(suite Suite, material []byte) (*Key, error) {
	if !suite.valid() {
		return nil, ErrUnknownSuite
	}
	if sizes := suite.keySizes(); !slices.Contains(sizes, len(material)) {
		want := fmt.Sprint(sizes[0])
		for _, n := range sizes[1:] {
			want += fmt.Sprintf(" or %d", n)
		}
		return nil, fmt.Errorf("%w: a key of %s has %s octets, not %d", ErrKeySize, suite, want, len(material))
	}
	p := &parts{material: slices.Clone(material), foundation: newFoundationMAC(material)}
	switch suite {
	case AESUUID:
		p.uuid = newUUIDSealer(material)
	case AESGCM:
		p.draft = newGCMSealer(material)
	default:
		p.draft = newHMACSealer(suite, material)
	}
	k := &Key{suite: suite, id: keyID(suite, material)}
	k.secret.Store(p)
	return k, nil
}

// GenerateKey makes a new key from the system's randomness.
func GenerateKey(suite Suite) (*Key, error) {
	if !suite.valid() {
		return nil, ErrUnknownSuite
	}
	sizes := suite.keySizes()
	material := make([]byte, sizes[len(sizes)-1])
	defer clear(material)
	if _, err := io.ReadFull(rand.Reader, material); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return NewKey(suite, material)
}

// ID returns the key's id, the first 8 octets of a SHA-256 over suite and material.
func (k *Key) ID() KeyID { return k.id }

// Suite returns the suite the key belongs to.
func (k *Key) Suite() Suite { return k.suite }

// Material returns a copy of the secret.
func (k *Key) Material() []byte { return slices.Clone(k.secret.Load().material) }

// Encrypt returns the name of addr in the session whose password is pwd. The error is
// [ErrPasswordLength], or [ErrAddress] for an address that has a zone, is an IPv4-mapped IPv6 one,
// or, under the draft's suites, lies in 64:ff9b::/96.
//
// Under [AESUUID] the same addr, pwd and origin give the same name: origin is what the client itself
// called the address, or fresh random octets, so that nobody can test a guessed address. The draft's
// suites leave origin out, and the caller must not encrypt two addresses under one pwd (see
// SECURITY.md).
func (k *Key) Encrypt(addr netip.Addr, pwd string, origin []byte) (Name, error) {
	if len(pwd) < MinPassword || len(pwd) > MaxPassword {
		return Name{}, fmt.Errorf("%w, not %d", ErrPasswordLength, len(pwd))
	}
	switch {
	case !addr.IsValid():
		return Name{}, fmt.Errorf("%w: there is none", ErrAddress)
	case addr.Zone() != "":
		return Name{}, fmt.Errorf("%w: it has a zone, which means nothing to another host", ErrAddress)
	case addr.Is4In6():
		return Name{}, fmt.Errorf("%w: it is an IPv4-mapped IPv6 address; use the IPv4 address", ErrAddress)
	}
	p := k.secret.Load()
	if p.uuid != nil {
		return p.uuid.seal(addr, pwd, origin), nil
	}
	return sealDraft(p.draft, addr, pwd)
}

// Open returns the address that n stands for. The error is [ErrNotOpened], or [ErrPasswordNeeded]
// where the suite needs the session's ice-pwd and pwd is empty; [AESUUID] does not look at pwd.
// Where names are opened by the million, an [Opener] does it without allocating.
func (k *Key) Open(n Name, pwd string) (netip.Addr, error) {
	return (&Opener{name: n}).Open(k, pwd)
}

// String returns the key's suite and id, never its material.
func (k *Key) String() string { return "key " + k.id.String() + " (" + k.suite.String() + ")" }

// GoString returns what String returns.
func (k *Key) GoString() string { return k.String() }

// Format prints what String returns for every verb, so that no verb reaches the fields.
func (k *Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// LogValue logs what String returns.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns what String returns: a key is stored by its [Key.Material], on purpose.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func keyID(suite Suite, material []byte) (id KeyID) {
	h := sha256.New()
	io.WriteString(h, "candgw key id\x00"+suite.String()+"\x00")
	h.Write(material)
	copy(id[:], h.Sum(nil))
	return id
}

// derive returns a sub-key of 32 octets: HKDF-SHA-256 (RFC 5869) with empty salt.
func derive(material []byte, info string) []byte {
	sub, err := hkdf.Key(sha256.New, material, nil, info, 32)
	if err != nil {
		panic(err) // only for lengths that HKDF cannot give
	}
	return sub
}
