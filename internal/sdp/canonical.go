package sdp

import "strings"

// Canonical reports whether a candidate is written as browsers do, in the one form that every ICE stack
// reads alike, so that no second reader need be asked: single spaces, the words of the grammar in lower
// case, plain decimal numbers, addresses as RFC 5952 writes them or a lower-case name, raddr and rport
// first, and no extension but those below, each once. text is what the candidate was found in. A
// candidate that is not canonical may be as good.
func (c *Candidate) Canonical(text string) bool {
	return c.plain && isCanonicalHost(c.Host, text) &&
		(c.Related.Empty() || c.Related.Addr.IsValid() && isCanonicalHost(c.Related, text))
}

// isPlain reports whether the words of a candidate, which is well-formed, are canonical but for its
// hosts.
func (p *parser) isPlain(text Span, words []Span) bool {
	word := func(i int) string { return words[i].Of(p.text) }
	if !strings.HasPrefix(text.Of(p.text), candidatePrefix) || words[len(words)-1].End != text.End ||
		!isPlainNumber(word(1)) || !isPlainNumber(word(3)) || !isPlainNumber(word(5)) || word(6) != "typ" {
		return false
	}
	switch word(2) {
	case "udp", "tcp", "UDP", "TCP": // Firefox writes capitals
	default:
		return false
	}
	switch word(7) {
	case "host", "srflx", "prflx", "relay":
	default:
		return false
	}
	const tcptype, generation, ufrag, networkID, networkCost = 1, 2, 4, 8, 16
	seen := 0
	for i := 8; i < len(words); i += 2 {
		if i+1 == len(words) {
			return false
		}
		var extension int
		value := word(i + 1)
		switch word(i) {
		case "raddr":
			if i != 8 || len(words) < 12 || word(10) != "rport" {
				return false
			}
			continue
		case "rport":
			if i != 10 || word(8) != "raddr" || !isPlainNumber(value) {
				return false
			}
			continue
		case "tcptype":
			if value != "active" && value != "passive" && value != "so" {
				return false
			}
			extension = tcptype
		case "ufrag":
			extension = ufrag
		case "generation":
			extension = generation
		case "network-id":
			extension = networkID
		case "network-cost":
			extension = networkCost
		}
		if extension == 0 || seen&extension != 0 || extension&(generation|networkID|networkCost) != 0 && !isPlainNumber(value) {
			return false
		}
		seen |= extension
	}
	return true
}

// isPlainNumber reports whether s is a number of 32 bits without a zero before it.
func isPlainNumber(s string) bool {
	_, ok := number(s, 1<<32-1)
	return ok && (s[0] != '0' || len(s) == 1)
}

func isCanonicalHost(h Host, text string) bool {
	s := h.Of(text)
	switch {
	case h.Addr.Is4(): // netip takes it in no other form; an IPv4-mapped address has colons
		return strings.IndexByte(s, ':') < 0
	case h.Addr.Is6():
		var buf [64]byte
		return string(h.Addr.AppendTo(buf[:0])) == s
	}
	return isLower(s) && !strings.HasSuffix(s, ".") && strings.IndexByte(s, '_') < 0
}
