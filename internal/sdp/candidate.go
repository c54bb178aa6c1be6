package sdp

import (
	"net/netip"
	"strings"
)

// A Candidate is a candidate-attribute, RFC 8839, section 5.1:
//
//	candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type>
//	    [raddr <address>] [rport <port>] *(<name> <value>)
type Candidate struct {
	Line    int
	Section int  // index into Description.Sections
	Whole   Span // the line with its end
	Text    Span // from "candidate:" to the last word

	Foundation, Transport, Type Span
	Host                        Host
	Port                        Span
	Related                     Host // its Span is empty if there is none
	RelatedPort                 Span
	Ufrag                       Span // the value of the extension "ufrag"
	// Ciphertext is the draft's extension, from the word "ciphertext" to the end of the candidate.
	// The connection-address is then 0.0.0.0 or ::.
	Ciphertext Span
	// AddrType and KeyID are the extensions "addrtype" and "keyid", whatever their values, from the space
	// before the name to the end of the value: what is left without either is still a candidate. The
	// keyid inside Ciphertext is not meant.
	AddrType, KeyID Span
}

// A Host is a connection-address: an address or a name.
type Host struct {
	Span
	// Addr is not valid for a name. An IPv4-mapped IPv6 address is unmapped.
	Addr netip.Addr
}

// ParseCandidate reads a single candidate into memory of its own: see [Description.ParseCandidate].
func ParseCandidate(text string) (*Description, error) {
	d := new(Description)
	if err := d.ParseCandidate(text); err != nil {
		return nil, err
	}
	return d, nil
}

// ParseCandidate reads the text of a single candidate, "candidate:…" or "a=candidate:…", as it stands
// in the JSON of browsers. It forgets what d held and reuses its memory, also that of slices taken from
// it. The error is an *[Error] at line 1; d then holds nothing of use.
func (d *Description) ParseCandidate(text string) error {
	d.reset()
	p := parser{text: text, desc: d}
	fields := strings.TrimPrefix(strings.TrimPrefix(text, "a="), candidatePrefix)
	end, free := lineEnd(fields, 0)
	switch fields[end:] {
	case "", "\n", "\r\n":
		p.clean = free || !hidesPrefix(fields[:end])
	}
	return p.single()
}

// single reads a text that is one candidate.
func (p *parser) single() error {
	whole, content := nextLine(p.text, 0)
	if whole.End != len(p.text) {
		return &Error{1, "a candidate of more than one line"}
	}
	if strings.HasPrefix(p.text, "a=") {
		content.Start += 2
	}
	c, err := p.candidate(1, content)
	if err != nil {
		return err
	}
	c.Whole = whole
	return nil
}

const (
	candidatePrefix = "candidate:"
	// ciphertextWords is how long the draft's extension is: ciphertext <base64> cryptoparams keyid
	// <id> csid <suite>.
	ciphertextWords = 7
)

// LooksLikeCandidate reports whether a reader could take s for a candidate.
func LooksLikeCandidate(s string) bool {
	if s == "" || isAlnum(s[0]) && s[0]|' ' != 'a' && s[0]|' ' != 'c' { // as most strings begin
		return false
	}
	s = strings.TrimLeft(s, " \t\r\n")
	if hasPrefixFold(s, "a=") {
		s = strings.TrimLeft(s[2:], " \t")
	}
	return hasPrefixFold(s, candidatePrefix)
}

// HidesCandidate reports whether some reader could find a candidate anywhere in s: of the words from
// "candidate:" on the seventh, or the eighth if a space follows the colon, is "typ".
func HidesCandidate(s string) bool {
	if !containsPrefix(s, candidatePrefix) {
		return false
	}
	// Bit i says that "candidate:" stands in the word i before this one.
	var found uint
	for word := range strings.FieldsSeq(s) {
		found <<= 1
		if found&(1<<6|1<<7) != 0 && strings.EqualFold(word, "typ") {
			return true
		}
		if containsPrefix(word, candidatePrefix) {
			found |= 1
		}
	}
	return false
}

// containsPrefix looks for a prefix, which ends with a letter of ASCII and its only colon, anywhere in s
// and in either letter case.
func containsPrefix(s, prefix string) bool {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], ':')
		if i < 0 {
			return false
		}
		at += i + 1
		if at >= len(prefix) && s[at-2]|' ' == prefix[len(prefix)-2] && hasSuffixFold(s[:at], prefix) {
			return true
		}
	}
}

// candidate reads a candidate and adds it to the description.
func (p *parser) candidate(n int, text Span) (*Candidate, error) {
	broken := func(what string) (*Candidate, error) { return nil, &Error{n, "the candidate has " + what} }
	if !hasPrefixFold(text.Of(p.text), candidatePrefix) {
		return nil, &Error{n, "not a candidate: want candidate: and its fields"}
	}
	if !p.clean && strings.ContainsFunc(text.Of(p.text), func(r rune) bool { return r < ' ' || r > '~' }) {
		return broken("a character other than the printable ones of ASCII")
	}
	fields := Span{text.Start + len(candidatePrefix), text.End}
	if !p.clean && HidesCandidate(fields.Of(p.text)) {
		return broken("another candidate inside it")
	}
	if p.clean {
		if c, rest, ok := p.plainCandidate(n, text); ok {
			return c, p.extensions(c, rest, fields)
		}
	}
	w := p.words(fields, len(p.text))
	if len(w) < 8 {
		return broken("too few fields, or two spaces between them")
	}
	word := func(i int) string { return w[i].Of(p.text) }
	p.desc.Candidates = append(p.desc.Candidates, Candidate{Line: n, Text: Span{text.Start, w[len(w)-1].End},
		Foundation: w[0], Transport: w[2], Port: w[5], Type: w[7]})
	c := &p.desc.Candidates[len(p.desc.Candidates)-1]
	var wrong string
	c.Host, wrong = p.host(w[4])
	switch component, ok := number(word(1), 256); {
	case !isFoundation(word(0)):
		return broken("a broken foundation: want 1 to 32 letters, digits, '+' or '/'")
	case !ok || component == 0:
		return broken("a broken component: want 1 to 256")
	case wrong != "":
		return broken("an address with " + wrong)
	case !strings.EqualFold(word(6), "typ"):
		return broken("no typ after its port")
	}
	if _, ok := number(word(3), 1<<32-1); !ok {
		return broken("a broken priority: want a number of 32 bits")
	}
	if _, ok := number(word(5), 65535); !ok {
		return broken("a broken port: want 0 to 65535")
	}
	return c, p.extensions(c, w[8:], fields)
}

// extensions reads what stands behind the type of a candidate, and the related address among it.
func (p *parser) extensions(c *Candidate, w []Span, fields Span) error {
	broken := func(what string) error { return &Error{c.Line, "the candidate has " + what} }
	word := func(i int) string { return w[i].Of(p.text) }
	for i := 0; i < len(w); i += 2 {
		name := word(i)
		switch name[0] | ' ' {
		case 'r', 'u', 'a', 'k', 'c': // as those do that are known
			if !isLower(name) {
				name = strings.ToLower(name)
			}
		}
		if name == "ciphertext" {
			switch {
			case !c.Host.Addr.IsValid() || !c.Host.Addr.IsUnspecified():
				return broken("both a ciphertext and a connection-address: want the unspecified one")
			case len(w) != i+ciphertextWords:
				return broken("a broken ciphertext: want it and its cryptoparams at the end")
			}
			c.Ciphertext = Span{w[i].Start, w[len(w)-1].End}
			break
		}
		if i+1 == len(w) {
			return broken("an extension without a value")
		}
		if next := word(i + 1); (next[0]|' ' == 'r' || next[0]|' ' == 'c') && isAny(next, "raddr", "rport", "ciphertext") {
			return broken(strings.ToLower(next) + " out of place, as the value of another extension")
		}
		var slot *Span
		value := w[i+1]
		switch name {
		case "raddr":
			if !c.Related.Empty() {
				return broken("two related addresses")
			}
			var wrong string
			if c.Related, wrong = p.host(w[i+1]); wrong != "" {
				return broken("a related address with " + wrong)
			}
			continue
		case "rport":
			if _, ok := number(word(i+1), 65535); !ok {
				return broken("a broken related port: want 0 to 65535")
			}
			slot = &c.RelatedPort
		case "ufrag":
			slot = &c.Ufrag
		case "addrtype", "keyid":
			if !p.clean && containsPrefix(fields.Of(p.text), candidatePrefix) { // which may be one once these words go
				return broken("another candidate inside it")
			}
			slot, value.Start = &c.AddrType, w[i].Start-1
			if name == "keyid" {
				slot = &c.KeyID
			}
		default:
			continue
		}
		if !slot.Empty() {
			return broken("two extensions " + name)
		}
		*slot = value
	}
	return nil
}

// plainCandidate reads the fields up to the type of a candidate that is clean and written as nearly all are: with
// nothing wrong and typ in lower case. It returns the words after them. Of others it returns false, and
// they are left to be read word by word.
func (p *parser) plainCandidate(n int, text Span) (c *Candidate, rest []Span, ok bool) {
	s := p.text[:text.End]
	foundation := wordAt(s, text.Start+len(candidatePrefix))
	component, at := numberAt(s, foundation.End+1)
	transport := wordAt(s, at+1)
	priority, after := numberAt(s, transport.End+1)
	address := wordAt(s, after+1)
	port := wordAt(s, address.End+1)
	const typ = " typ "
	if len(s)-port.End <= len(typ) || s[port.End:port.End+len(typ)] != typ || s[at] != ' ' || s[after] != ' ' {
		return nil, nil, false
	}
	kind := wordAt(s, port.End+len(typ))
	portNumber, portEnd := numberAt(s, port.Start)
	if component == 0 || component > 256 || priority > 1<<32-1 || portNumber > 65535 || portEnd != port.End ||
		transport.Empty() || address.Empty() || kind.Empty() || !isFoundation(foundation.Of(s)) {
		return nil, nil, false
	}
	host, wrong := p.host(address)
	if wrong != "" {
		return nil, nil, false
	}
	last := kind
	if kind.End+1 < len(s) {
		if rest = p.words(Span{kind.End + 1, len(s)}, len(s)); len(rest) == 0 {
			return nil, nil, false
		}
		last = rest[len(rest)-1]
	}
	p.desc.Candidates = append(p.desc.Candidates, Candidate{})
	c = &p.desc.Candidates[len(p.desc.Candidates)-1]
	c.Line, c.Text = n, Span{text.Start, last.End}
	c.Foundation, c.Transport, c.Host, c.Port, c.Type = foundation, transport, host, port, kind
	return c, rest, true
}

// wordAt returns the octets from an offset on up to a space or the end of s, beyond which it may lie.
func wordAt(s string, at int) Span {
	end := at
	for end < len(s) && s[end] != ' ' {
		end++
	}
	return Span{at, end}
}

// numberAt reads the digits from an offset on, and returns where they end. It takes none, and more than 10, for a number
// beyond all bounds.
func numberAt(s string, at int) (v uint64, end int) {
	for end = at; end < len(s) && s[end]-'0' <= 9; end++ {
		v = v*10 + uint64(s[end]-'0')
	}
	if end == at || end-at > 10 {
		v = 1<<64 - 1
	}
	return v, end
}

// isFoundation checks for 1 to 32 ice-chars, RFC 8839, section 5.1.
func isFoundation(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '+' && c != '/' {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 32
}

// isAlnum reports whether c is a letter of ASCII or a digit.
func isAlnum(c byte) bool { return c-'0' <= 9 || c|' '-'a' <= 'z'-'a' }

// host reads an address or a name. What is wrong with it is said in words that fit after "with".
func (p *parser) host(at Span) (h Host, wrong string) {
	h.Span = at
	s := at.Of(p.text)
	if addr, ok := parseIPv4(s); ok {
		h.Addr = addr
		return h, ""
	}
	if p.last.Addr.IsValid() && s == p.last.Of(p.text) {
		h.Addr = p.last.Addr
		return h, ""
	}
	if strings.IndexByte(s, '%') >= 0 {
		return h, "a zone, which means nothing to another host: remove it"
	}
	if isNumeric(s) {
		addr, err := netip.ParseAddr(s)
		if err == nil {
			h.Addr = addr.Unmap()
			p.last = h
			return h, ""
		}
	} else if isName(s) {
		return h, ""
	}
	return h, "broken syntax: want IPv4, IPv6 or a name"
}

// parseIPv4 is netip.ParseAddr of IPv4 addresses, in a third of the time.
func parseIPv4(s string) (netip.Addr, bool) {
	var a [4]byte
	n, field, digits := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c-'0' <= 9 && (field > 0 || digits == 0): // with no zero before others
			field = field*10 + int(c-'0')
			digits++
			if field > 255 {
				return netip.Addr{}, false
			}
		case c == '.' && digits > 0 && n < 3:
			a[n] = byte(field)
			n, field, digits = n+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	a[3] = byte(field)
	return netip.AddrFrom4(a), n == 3 && digits > 0
}

// isNumeric reports whether s can only be an address: a name has no colon, and its last label begins
// with no digit.
func isNumeric(s string) bool {
	digits := true
	for _, c := range []byte(s) {
		if c == ':' {
			return true
		}
		digits = digits && ('0' <= c && c <= '9' || c == '.')
	}
	return digits
}

// isName takes a host name whose last label does not begin with a digit, as no top-level domain does:
// what looks like a number there is a mistyped IPv4 address.
func isName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	start := 0 // of a label
	for i, c := range []byte(s) {
		if c == '.' && i > start && i-start <= 63 {
			start = i + 1
		} else if !isAlnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return start < len(s) && len(s)-start <= 63 && s[start]-'0' > 9
}
