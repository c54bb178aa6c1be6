package sdp

import (
	"math/bits"
	"strings"
)

// A scanner walks the lines of a text and stops at those that matter: the ones from which the parser
// takes something. It looks at every octet and goes on only as long as the text is plain: lines of
// printable ASCII that end with LF or CRLF, each a lower-case letter, '=' and a value, none of which
// hides a candidate. What is not plain it leaves to the careful way, which knows what is wrong.
type scanner struct {
	text    string
	content Span // the line that it stopped at, without its end
	line    int  // the number of that line, from 1
	at      int  // where the next line begins
	hides   bool // a candidate or a key may begin within that line
	is      bool // that line begins as every stack begins a candidate
	odd     bool // it stopped because the text is not plain
	empty   bool // there was an empty line: no other may follow
}

// next goes to the next line that matters. It returns false at the end, and where the text is not
// plain.
func (s *scanner) next() bool {
	text, next, line := s.text, s.at, s.line
	for next < len(text) {
		start, inner := next, next
		if rest := text[start:]; len(rest) >= len(candidateLine) && rest[:len(candidateLine)] == candidateLine {
			inner += len(candidateLine)
		}
		end, free := lineEnd(text, inner)
		line++
		next = end
		if next < len(text) && text[next] == '\r' {
			next++
		}
		if next < len(text) {
			if text[next] != '\n' {
				s.odd = true
				return false
			}
			next++
		}
		content := text[start:end]
		if len(content) < 2 || content[1] != '=' || content[0]-'a' > 'z'-'a' || s.empty {
			if content == "" {
				s.empty = true
				continue
			}
			s.odd = true
			return false
		}
		hides := !free && hidesPrefix(text[inner:end])
		if hides && inner == start && HidesCandidate(content) {
			s.odd = true
			return false
		}
		if inner > start || hides || matters(content) {
			s.content, s.at, s.line, s.hides, s.is = Span{start, end}, next, line, hides, inner > start
			return true
		}
	}
	s.at, s.line = next, line
	return false
}

// lineEnd returns where the first octet stands that is not printable ASCII, from an offset on, and
// whether none of candidate:, inline: and key-mgmt: can stand before it.
//
// It takes 8 octets at a time. Up to the first one that is not printable no sum leaves its octet, and
// what comes after that one is not asked for.
func lineEnd(text string, at int) (end int, free bool) {
	m := &masks
	space, one, letter, alike, colon, most := m.space, m.one, m.letter, m.alike, m.colon, m.most
	unmarked := uint64(high)
	for ; len(text)-at >= 13; at += 8 {
		b := text[at : at+13]
		x, later := load(b), load(b[5:])
		// The high bit stays clear where "idate:", "nline:" or "-mgmt:" may stand.
		unmarked &= ((x^letter)&alike | (later ^ colon)) + most
		// The high bit of what is below ' ' or above '~' gets set.
		if odd := ((x - space) | (x + one)) & high; odd != 0 {
			return at + bits.TrailingZeros64(odd)/8, unmarked&high == high
		}
	}
	for at < len(text) && ' ' <= text[at] && text[at] <= '~' {
		at++
	}
	return at, false
}

// masks are constants that lineEnd needs for each word. As variables they stay in registers, which
// saves a tenth of the scan.
var masks = struct{ space, one, letter, alike, colon, most uint64 }{
	space: ' ' * each,
	one:   each,
	// 5 octets before the colon stand i, n or '-', which are compared without the bits in which they
	// differ in any letter case. Little else in descriptions looks the same there.
	letter: 'i' * each,
	alike:  ^uint64((('i' ^ 'n') | ('i' ^ '-') | ' ') * each),
	colon:  ':' * each,
	most:   0x7f * each,
}

// hidesPrefix reports whether any of candidate:, inline: and key-mgmt: stands in s, which is ASCII.
func hidesPrefix(s string) bool {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], ':')
		if i < 0 {
			return false
		}
		if at += i + 1; at >= len(inlinePrefix) && endsPrefix(s[:at]) {
			return true
		}
	}
}

// endsPrefix reports whether a text that ends with a colon ends with one of these.
func endsPrefix(s string) bool {
	switch s[len(s)-2] | ' ' {
	case 'e':
		return hasSuffixFold(s, candidatePrefix) || hasSuffixFold(s, inlinePrefix)
	case 't':
		return hasSuffixFold(s, keyPrefix)
	}
	return false
}

// candidateLine is how every stack begins a candidate.
const candidateLine = "a=" + candidatePrefix

// matters reports, from its first letters, whether the parser may take something from a plain line. It
// errs on the side of yes.
func matters(line string) bool {
	if line[0] != 'a' {
		return lines>>(line[0]&31)&1 != 0
	}
	if len(line) < len("a=mid") {
		return true
	}
	if attributes[line[2]&31]>>(line[3]&31)&1 == 0 {
		return false
	}
	if line[2] == 'r' && line[3] == 't' { // of these rtpmap and rtcp-fb are many, and rtcp is one
		return line[4] != 'p' && (len(line) < 7 || line[6] != '-')
	}
	return true
}

// lines has a bit for each line that matters but a=.
const lines = 1<<('c'&31) | 1<<('k'&31) | 1<<('m'&31) | 1<<('o'&31) | 1<<('v'&31)

// attributes has, for each first letter of those that matter, the second ones.
var attributes = [32]uint32{
	'b' & 31: 1 << ('u' & 31),           // bundle-only
	'c' & 31: 1<<('a'&31) | 1<<('r'&31), // candidate, crypto
	'f' & 31: 1 << ('i' & 31),           // fingerprint
	'g' & 31: 1 << ('r' & 31),           // group
	'i' & 31: 1<<('c'&31) | 1<<('d'&31), // ice-ufrag, ice-pwd, identity
	'k' & 31: 1 << ('e' & 31),           // key-mgmt
	'm' & 31: 1 << ('i' & 31),           // mid
	'r' & 31: 1<<('e'&31) | 1<<('t'&31), // remote-candidates, rtcp
	' ' & 31: 1<<32 - 1,                 // white space
}

// The octets of a word of 64 bits, each in the same way.
const (
	each = 0x0101010101010101
	high = 0x80 * each
)

// load returns the first 8 octets of b. The compiler makes one load of it.
func load(b string) uint64 {
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// spaces returns the high bit of each space in the 8 octets of text from at on, up to end.
func spaces(text string, at, end int) (found uint64) {
	if len(text)-at < 8 {
		for i := at; i < end; i++ {
			if text[i] == ' ' {
				found |= 0x80 << (8 * (i - at))
			}
		}
		return found
	}
	x := load(text[at:]) ^ ' '*each
	found = ^((x&^high + 0x7f*each) | x) & high
	if end-at < 8 {
		found &= 1<<(8*(end-at)) - 1
	}
	return found
}
