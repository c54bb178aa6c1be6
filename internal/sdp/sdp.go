// Package sdp finds, in a description or a fragment of one, what tells an address: candidates,
// credentials, and the fields that repeat an address; and what policies for sessions ask about: keys
// in clear, fingerprints and identity assertions. It marks spans of the text and changes nothing, so
// whatever a caller does not replace stays the same octet for octet.
//
// The grammar is that of RFC 8866, RFC 8839 and RFC 8840. Where a lenient reader could see a
// candidate that a strict one does not, the text is refused: no candidate passes unseen.
package sdp

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// ErrSyntax says that a text is no description, or one that a candidate or an identity assertion could
// hide in.
var ErrSyntax = errors.New("malformed")

// An Error is ErrSyntax at one line. It holds nothing of the text but the names of its fields.
type Error struct {
	Line int // from 1
	What string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.What) }

func (e *Error) Unwrap() error { return ErrSyntax }

// A Span is the octets text[Start:End].
type Span struct{ Start, End int }

// Of returns the span's part of text.
func (s Span) Of(text string) string { return text[s.Start:s.End] }

// Empty reports whether the span holds nothing, which is how absent fields are marked.
func (s Span) Empty() bool { return s.Start == s.End }

// A Description is what was found in a text.
type Description struct {
	// Sections holds the session level first, then each media section.
	Sections   []Section
	Candidates []Candidate
	Fields     []Field
	Identities []Identity
	// Whole says that the text is a whole description: its first line is v=0.
	Whole bool
	// CryptoLine is the first line from which some reader may take a media key in clear; 0 if there is
	// none: a=crypto in any form (RFC 4568), "inline:" in an attribute, as a=crypto begins
	// a key, or a=key-mgmt (RFC 4567), both also inside another attribute, as in a=acap (RFC 5939); or k=
	// (RFC 4566, section 5.12).
	CryptoLine int

	bundles []Span // the identifications of the sections in each a=group:BUNDLE (RFC 9143)
}

// A Section is the session level or a media section.
type Section struct {
	Line       int  // of the m= line; 0 for the session level
	Port       Span // of the m= line; empty for the session level
	Ufrag, Pwd Span // as they stand in the section itself
	// Fingerprint says that a well-formed a=fingerprint (RFC 8122, section 5) stands in the section
	// itself.
	Fingerprint bool
	// BundleOnly says that a=bundle-only (RFC 9143, section 6) stands in it, in a form that some reader
	// may take: port 0 then does not reject the section.
	BundleOnly bool

	mid Span // RFC 5888, section 4
}

// Kind says which field repeats an address.
type Kind uint8

const (
	Origin           Kind = iota + 1 // o=, RFC 8866, section 5.2
	Connection                       // c=, RFC 8866, section 5.7
	RTCP                             // a=rtcp:, RFC 3605
	RemoteCandidates                 // a=remote-candidates:, RFC 8839, section 5.2
)

// A Field is an address on a line other than a candidate; a=remote-candidates has several.
type Field struct {
	Kind    Kind
	Line    int
	Section int  // index into Sections
	Whole   Span // the line with its end
	Host    Host
	Type    Span // IP4 or IP6; empty for RemoteCandidates
	Port    Span // of a=rtcp:
}

// LooksLikeDescription reports whether a reader could take s for a whole description: v=, whatever the
// version and the white space before it, and more lines.
func LooksLikeDescription(s string) bool {
	if s == "" || isAlnum(s[0]) && s[0]|' ' != 'v' { // as most strings begin
		return false
	}
	s = strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' })
	return hasPrefixFold(s, "v=") && strings.Contains(s, "\no=")
}

// Parse reads a description into memory of its own: see [Description.Parse].
func Parse(text string, fragment bool) (*Description, error) {
	d := new(Description)
	if err := d.Parse(text, fragment); err != nil {
		return nil, err
	}
	return d, nil
}

// Parse reads a description, which begins with v=0, or a fragment, which need not. It forgets what d
// held and reuses its memory, also that of slices taken from it. The error is an *[Error]; d then
// holds nothing of use.
func (d *Description) Parse(text string, fragment bool) error {
	d.reset()
	if text == "" {
		return &Error{1, "not SDP: it is empty"}
	}
	p := parser{text: text, desc: d}
	if plain, err := p.scan(fragment); plain {
		return err
	}
	d.reset()
	p.clean = false
	return p.careful(fragment)
}

// scan reads a text if it is plain, in the same way as careful does.
func (p *parser) scan(fragment bool) (plain bool, err error) {
	if !fragment && !strings.HasPrefix(p.text, "v=") {
		return false, nil
	}
	s := scanner{text: p.text}
	for s.next() {
		if p.text[s.content.Start] == 'v' {
			if s.line != 1 || s.content.Of(p.text) != "v=0" {
				return false, nil
			}
			p.desc.Whole = true
			continue
		}
		p.clean = !s.hides
		whole := Span{s.content.Start, s.at}
		if s.is && p.clean {
			err = p.candidateLine(s.line, whole, Span{s.content.Start + len("a="), s.content.End})
		} else {
			err = p.field(s.line, whole, s.content)
		}
		if err != nil {
			return true, err
		}
	}
	return !s.odd, nil
}

// careful reads a text line by line, and says what is wrong with it.
func (p *parser) careful(fragment bool) error {
	for at, line := 0, 1; at < len(p.text); line++ {
		whole, content := nextLine(p.text, at)
		if err := p.line(line, whole, content, fragment); err != nil {
			return err
		}
		at = whole.End
	}
	return nil
}

// reset leaves the session level and no more.
func (d *Description) reset() {
	*d = Description{
		Sections:   append(d.Sections[:0], Section{}),
		Candidates: d.Candidates[:0],
		Fields:     d.Fields[:0],
		Identities: d.Identities[:0],
		bundles:    d.bundles[:0],
	}
}

// nextLine returns the line at an offset, with its end and without.
func nextLine(text string, at int) (whole, content Span) {
	end := len(text)
	whole = Span{at, end}
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		end = at + i
		whole.End = end + 1
	}
	if end > at && text[end-1] == '\r' {
		end--
	}
	return whole, Span{at, end}
}

type parser struct {
	text string
	desc *Description
	done bool // nothing but empty lines may follow
	// clean says of the line being read that it is printable ASCII, in which neither a candidate nor a
	// key begins.
	clean bool
	// last is the last IPv6 address that was read: most candidates of a host have the same one or two.
	last Host
	// buf holds the words of a line: those of a candidate with every extension that is known.
	buf [40]Span
}

func (p *parser) line(n int, whole, content Span, fragment bool) error {
	s := content.Of(p.text)
	if s == "" {
		p.done = true
		return nil
	}
	switch {
	case p.done:
		return &Error{n, "not SDP: it stands after an empty line"}
	case len(s) < 2 || s[1] != '=' || s[0] < 'a' || s[0] > 'z':
		return &Error{n, "not SDP: want a lower-case letter and '=', as in v=0"}
	case strings.ContainsFunc(s, breaksLine):
		return &Error{n, "a control character or another kind of line end inside the line"}
	case n > 1 && s[0] == 'v':
		return &Error{n, "a second description: want v=0 in the first line alone"}
	case n == 1 && (!fragment || s[0] == 'v') && s != "v=0":
		return &Error{n, "not SDP: a description begins with v=0"}
	case !hasPrefixFold(s, "a="+candidatePrefix) && HidesCandidate(s):
		return &Error{n, "a candidate in a line that is not a=candidate:"}
	}
	if n == 1 {
		p.desc.Whole = s == "v=0"
	}
	return p.field(n, whole, content)
}

// Pwd returns the password that governs a section, empty if none does: RFC 8839, section 5.4.
func (d *Description) Pwd(text string, section int) string {
	if p := d.Sections[section].Pwd; !p.Empty() {
		return p.Of(text)
	}
	return d.Sections[0].Pwd.Of(text)
}

// Ufrag returns the user fragment that governs a section, empty if none does.
func (d *Description) Ufrag(text string, section int) string {
	if u := d.Sections[section].Ufrag; !u.Empty() {
		return u.Of(text)
	}
	return d.Sections[0].Ufrag.Of(text)
}

// number reads 1 or more decimal digits.
func number(s string, most uint64) (uint64, bool) {
	var v uint64
	if s == "" || len(s) > 10 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, v <= most
}
