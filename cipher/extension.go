package cipher

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrExtension says that a text is not the draft's candidate extension.
var ErrExtension = errors.New("not the extension of an encrypted candidate")

// An Extension is the draft's other way to write an encrypted candidate: its connection-address is
// 0.0.0.0 (or ::), and these words end the candidate:
//
//	ciphertext <base64> cryptoparams keyid <id> csid <suite>
type Extension struct {
	Name  Name
	KeyID KeyID
	Suite Suite
}

// AppendText appends the extension as it stands in a candidate, with no space before it.
func (e Extension) AppendText(dst []byte) []byte {
	dst = append(dst, "ciphertext "...)
	dst = base64.StdEncoding.AppendEncode(dst, e.Name.octets[:e.Name.n])
	dst = append(dst, " cryptoparams keyid "...)
	dst = append(dst, e.KeyID.String()...)
	dst = append(dst, " csid "...)
	return append(dst, e.Suite.String()...)
}

// ParseExtension reads what [Extension.AppendText] writes. Keywords, key id and suite are read in
// either letter case; base64 must be canonical (RFC 4648, sections 3.5 and 4). The error is [ErrExtension].
func ParseExtension(s string) (Extension, error) {
	words := strings.Split(s, " ")
	if len(words) != 7 {
		return Extension{}, fmt.Errorf("%w: it has %d words, want 7", ErrExtension, len(words))
	}
	for i, keyword := range [...]string{0: "ciphertext", 2: "cryptoparams", 3: "keyid", 5: "csid"} {
		if keyword != "" && !strings.EqualFold(words[i], keyword) {
			return Extension{}, fmt.Errorf("%w: got %q, want %q", ErrExtension, words[i], keyword)
		}
	}
	var e Extension
	var err error
	if e.KeyID, err = ParseKeyID(words[4]); err != nil {
		return Extension{}, fmt.Errorf("%w: %w", ErrExtension, err)
	}
	if e.Suite, err = ParseSuite(words[6]); err != nil {
		return Extension{}, fmt.Errorf("%w: %w", ErrExtension, err)
	}
	if !e.Suite.NeedsPassword() {
		return Extension{}, fmt.Errorf("%w: %s has no such form", ErrExtension, e.Suite)
	}
	octets, err := base64.StdEncoding.Strict().DecodeString(words[1])
	if err != nil || strings.ContainsAny(words[1], "\r\n") { // which the decoder would skip
		return Extension{}, fmt.Errorf("%w: the ciphertext is not canonical base64", ErrExtension)
	}
	if want := e.Suite.nameOctets(); len(octets) != want {
		return Extension{}, fmt.Errorf("%w: a ciphertext of %s has %d octets, not %d", ErrExtension, e.Suite, want, len(octets))
	}
	e.Name.n = uint8(copy(e.Name.octets[:], octets))
	return e, nil
}

// nameOctets returns how many octets a ciphertext of one of the draft's suites has.
func (s Suite) nameOctets() int {
	if s == AESGCM {
		return gcmOctets
	}
	return hmacOctets
}
