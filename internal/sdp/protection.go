package sdp

import (
	"slices"
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

const (
	inlinePrefix = "inline:"   // how a=crypto begins a key: RFC 4568, section 6.1
	keyPrefix    = "key-mgmt:" // RFC 4567
)

// tellsKey reports whether a media key may begin anywhere in an attribute.
func tellsKey(s string) bool {
	return containsPrefix(s, inlinePrefix) || containsPrefix(s, keyPrefix)
}

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
	if hash == "" || indexSpace(hash) >= 0 || len(digits)%3 != 2 {
		return false
	}
	for i := 0; i < len(digits); i += 3 {
		if !isHex(digits[i]) || !isHex(digits[i+1]) || i+2 < len(digits) && digits[i+2] != ':' {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

// bundlePrefix begins the value of a=group that bundles sections: RFC 9143, section 7.
const bundlePrefix = "BUNDLE "

// Unprotected returns the line of the first media section that no fingerprint governs: its own, the
// session's, or that of a section that it is bundled with, which alone has one for all (RFC 8829,
// section 5.2.1). It returns 0 if there is none. Rejected sections do not count: those with port 0,
// unless they are bundle-only. The protocol of the m= line is not looked at.
func (d *Description) Unprotected(text string) (line int) {
	if d.Sections[0].Fingerprint {
		return 0
	}
	var protected map[string]bool
	for i := range d.Sections[1:] {
		s := &d.Sections[1+i]
		if s.rejected(text) || s.Fingerprint {
			continue
		}
		if protected == nil {
			protected = d.bundledWithFingerprint(text)
		}
		if !protected[s.mid.Of(text)] {
			return s.Line
		}
	}
	return 0
}

func (s *Section) rejected(text string) bool { return s.Port.Of(text) == "0" && !s.BundleOnly }

// bundledWithFingerprint returns the identifications of the sections that are bundled with one that has a
// fingerprint. It looks at each section and each identification once, however many there are.
func (d *Description) bundledWithFingerprint(text string) map[string]bool {
	own := map[string]bool{}
	for i := range d.Sections[1:] {
		if s := &d.Sections[1+i]; s.Fingerprint && !s.rejected(text) {
			own[s.mid.Of(text)] = true
		}
	}
	out := map[string]bool{}
	for _, b := range d.bundles {
		mids := strings.Fields(b.Of(text))
		if slices.ContainsFunc(mids, func(mid string) bool { return own[mid] }) {
			for _, mid := range mids {
				out[mid] = true
			}
		}
	}
	return out
}
