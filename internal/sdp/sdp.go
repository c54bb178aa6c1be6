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
	"math/bits"
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
		if err := p.field(s.line, Span{s.content.Start, s.at}, s.content); err != nil {
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

// field reads a line.
func (p *parser) field(n int, whole, content Span) error {
	value := Span{content.Start + 2, content.End}
	switch p.text[content.Start] {
	case 'k':
		p.crypto(n)
	case 'm':
		return p.media(n, value)
	case 'o':
		return p.origin(n, whole, value)
	case 'c':
		return p.connection(n, whole, value)
	case 'a':
		return p.attribute(n, whole, value)
	}
	return nil
}

// breaksLine reports whether some reader may take a character for the end of a line; Python's
// splitlines, for one, does so with all of these but a few control characters.
func breaksLine(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029'
}

// words returns the first words of a span that is split at single spaces. It returns nil if two stand
// together, or if there is white space of another kind: readers differ on those. The result is good
// until the next call.
func (p *parser) words(s Span, most int) []Span {
	odd := func(r rune) bool { return unicode.IsSpace(r) && r != ' ' }
	if !p.clean && strings.ContainsFunc(s.Of(p.text), odd) {
		return nil
	}
	out, start := p.buf[:0], s.Start
	for at := s.Start; at < s.End; at += 8 {
		for found := spaces(p.text, at, s.End); found != 0; found &= found - 1 {
			end := at + bits.TrailingZeros64(found)/8
			if end == start {
				return nil
			}
			if len(out) < most {
				out = append(out, Span{start, end})
			}
			start = end + 1
		}
	}
	if start < s.End && len(out) < most { // a space at the very end is nothing
		out = append(out, Span{start, s.End})
	}
	return out
}

func (p *parser) media(n int, value Span) error {
	words := p.words(value, 3)
	if len(words) < 3 {
		return &Error{n, "m= wants media, port and protocol"}
	}
	port := words[1]
	if i := strings.IndexByte(port.Of(p.text), '/'); i >= 0 { // "/" and a number of ports
		port.End = port.Start + i
	}
	if _, ok := number(port.Of(p.text), 65535); !ok {
		return &Error{n, "m= has a broken port"}
	}
	p.desc.Sections = append(p.desc.Sections, Section{Line: n, Port: port})
	return nil
}

func (p *parser) origin(n int, whole, value Span) error {
	words := p.words(value, 7)
	if len(words) != 6 {
		return &Error{n, "o= wants six fields"}
	}
	return p.address(Field{Kind: Origin, Line: n, Whole: whole, Type: words[4]}, words[5])
}

func (p *parser) connection(n int, whole, value Span) error {
	words := p.words(value, 4)
	if len(words) != 3 {
		return &Error{n, "c= wants network type, address type and address"}
	}
	addr := words[2]
	if i := strings.IndexByte(addr.Of(p.text), '/'); i >= 0 { // the time to live of a multicast address
		addr.End = addr.Start + i
	}
	return p.address(Field{Kind: Connection, Line: n, Whole: whole, Type: words[1]}, addr)
}

func (p *parser) address(f Field, addr Span) error {
	host, err := parseHost(addr, addr.Of(p.text))
	if err != "" {
		return &Error{f.Line, "the address has " + err}
	}
	if !f.Type.Empty() && !strings.EqualFold(f.Type.Of(p.text), "IP4") && !strings.EqualFold(f.Type.Of(p.text), "IP6") {
		return &Error{f.Line, "the address type is neither IP4 nor IP6"}
	}
	f.Host, f.Section = host, len(p.desc.Sections)-1
	p.desc.Fields = append(p.desc.Fields, f)
	return nil
}

func (p *parser) attribute(n int, whole, value Span) error {
	s := value.Of(p.text)
	name, _, hasValue := strings.Cut(s, ":")
	arg := Span{min(value.Start+len(name)+1, value.End), value.End}
	section := &p.desc.Sections[len(p.desc.Sections)-1]
	bare := name // what a reader may take for the name
	if i := indexSpace(name); i == 0 {
		return &Error{n, "white space after a="}
	} else if i > 0 {
		bare = name[:i]
	}
	known := knownAttribute(bare)
	if known == "crypto" || known == "key-mgmt" || !p.clean && tellsKey(s) {
		p.crypto(n)
	}
	switch known {
	case "fingerprint": // a form that only some readers take protects nobody from the others
		section.Fingerprint = section.Fingerprint || name == known && isFingerprint(arg.Of(p.text))
		return nil
	case "bundle-only":
		section.BundleOnly = true
		return nil
	case "mid":
		if name == known {
			section.mid = arg
		}
		return nil
	case "group":
		if name == known && len(p.desc.Sections) == 1 && strings.HasPrefix(arg.Of(p.text), bundlePrefix) {
			p.desc.bundles = append(p.desc.bundles, Span{arg.Start + len(bundlePrefix), arg.End})
		}
		return nil
	case "candidate", "remote-candidates", "rtcp", "ice-ufrag", "ice-pwd", "identity":
		if bare != name || !hasValue {
			return &Error{n, "a=" + strings.ToLower(bare) + " wants a colon and a value"}
		}
	}
	switch known {
	case "candidate":
		c, err := p.candidate(n, value)
		if err != nil {
			return err
		}
		c.Whole, c.Section = whole, len(p.desc.Sections)-1
	case "remote-candidates":
		words := p.words(arg, len(p.text))
		if len(words) == 0 || len(words)%3 != 0 {
			return &Error{n, "a=remote-candidates wants component, address and port, repeated"}
		}
		for i := 1; i < len(words); i += 3 {
			if err := p.address(Field{Kind: RemoteCandidates, Line: n, Whole: whole}, words[i]); err != nil {
				return err
			}
		}
	case "rtcp":
		words := p.words(arg, 5)
		if len(words) != 1 && len(words) != 4 {
			return &Error{n, "a=rtcp wants a port, or port, network type, address type and address"}
		}
		if _, ok := number(words[0].Of(p.text), 65535); !ok {
			return &Error{n, "a=rtcp has a broken port"}
		}
		if len(words) == 4 {
			return p.address(Field{Kind: RTCP, Line: n, Whole: whole, Type: words[2], Port: words[0]}, words[3])
		}
	case "ice-ufrag":
		return credential(n, "ice-ufrag", &section.Ufrag, arg)
	case "ice-pwd":
		return credential(n, "ice-pwd", &section.Pwd, arg)
	case "identity":
		return p.identity(n, whole, arg)
	}
	return nil
}

// knownAttribute returns the attribute that some reader may take a name for, of those that matter here.
// Another name may come back as it is.
func knownAttribute(name string) string {
	if isLower(name) {
		return name
	}
	for _, known := range [...]string{"candidate", "remote-candidates", "rtcp", "ice-ufrag", "ice-pwd", "identity",
		"crypto", "key-mgmt", "fingerprint", "bundle-only", "mid", "group"} {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return ""
}

// isLower reports whether s is ASCII without capital letters.
func isLower(s string) bool {
	for _, c := range []byte(s) {
		if 'A' <= c && c <= 'Z' || c >= 0x80 {
			return false
		}
	}
	return true
}

// indexSpace returns where the first white space of s stands, of whatever kind, or -1.
func indexSpace(s string) int {
	for i, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f { // white space, or else to be looked at closely
			if at := strings.IndexFunc(s[i:], unicode.IsSpace); at >= 0 {
				return i + at
			}
			return -1
		}
	}
	return -1
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isAny(s string, names ...string) bool {
	for _, n := range names {
		if strings.EqualFold(s, n) {
			return true
		}
	}
	return false
}

func credential(n int, name string, at *Span, value Span) error {
	if !at.Empty() {
		return &Error{n, "a second " + name + " in one section"}
	}
	if value.Empty() {
		return &Error{n, "an empty " + name}
	}
	*at = value
	return nil
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
