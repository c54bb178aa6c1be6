package sdp

import (
	"math/bits"
	"strings"
	"unicode"
)

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
	host, err := p.host(addr)
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
		return p.candidateLine(n, whole, value)
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

// candidateLine reads a=candidate.
func (p *parser) candidateLine(n int, whole, value Span) error {
	c, err := p.candidate(n, value)
	if err != nil {
		return err
	}
	c.Whole, c.Section = whole, len(p.desc.Sections)-1
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
