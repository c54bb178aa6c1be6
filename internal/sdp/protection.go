package sdp

import (
	"strings"
	"unicode"
)

// An Identity is an identity assertion, a=identity: RFC 8827, section 5.
type Identity struct {
	Line    int
	Section int  // index into Description.Sections
	Whole   Span // the line with its end
	Value   Span // the assertion, which is to be Base64, without the extensions after it
}

// inlinePrefix is how a=crypto begins a key: RFC 4568, section 6.1.
const inlinePrefix = "inline:"

// crypto says that a line holds a media key.
func (p *parser) crypto(n int) {
	if p.desc.CryptoLine == 0 {
		p.desc.CryptoLine = n
	}
}

func (p *parser) identity(n int, whole, value Span) error {
	if i := strings.IndexByte(value.Of(p.text), ' '); i >= 0 {
		value.End = value.Start + i
	}
	switch {
	case value.Empty():
		return &Error{n, "a=identity wants an assertion at once after the colon"}
	case strings.ContainsFunc(value.Of(p.text), unicode.IsSpace): // where some readers let it end
		return &Error{n, "a=identity has white space other than a space"}
	}
	p.desc.Identities = append(p.desc.Identities, Identity{n, len(p.desc.Sections) - 1, whole, value})
	return nil
}

// isFingerprint takes the name of a hash function, one space, and pairs of hexadecimal digits between
// colons. RFC 8122 has them in upper case, but every reader takes both.
func isFingerprint(s string) bool {
	hash, digits, _ := strings.Cut(s, " ")
	if hash == "" || strings.ContainsFunc(hash, unicode.IsSpace) || len(digits)%3 != 2 {
		return false
	}
	for i, c := range []byte(digits) {
		isHex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if i%3 == 2 && c != ':' || i%3 != 2 && !isHex {
			return false
		}
	}
	return true
}

// Unprotected returns the line of the first media section that no fingerprint governs, neither its own
// nor the session's; 0 if there is none. Rejected sections do not count: those with port 0, unless they
// are bundle-only. A section is not governed by the fingerprint of another that it is bundled with, and
// the protocol of its m= line is not looked at.
func (d *Description) Unprotected(text string) (line int) {
	if d.Sections[0].Fingerprint {
		return 0
	}
	for _, s := range d.Sections[1:] {
		rejected := s.Port.Of(text) == "0" && !s.BundleOnly
		if !rejected && !s.Fingerprint {
			return s.Line
		}
	}
	return 0
}
