package sdp

import (
	"math/bits"
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
	odd     bool // it stopped because the text is not plain
	empty   bool // there was an empty line: no other may follow
}

// next goes to the next line that matters. It returns false at the end, and where the text is not
// plain.
func (s *scanner) next() bool {
	text, at, line := s.text, s.at, s.line
	for at < len(text) {
		start := at
		inner := start // where something may hide
		if rest := text[start:]; len(rest) > len(candidateLine) && rest[2] == 'c' && rest[:len(candidateLine)] == candidateLine {
			inner += len(candidateLine)
		}
		end, next, colon := lineEnd(text, inner)
		line++
		content := text[start:end]
		at = next
		if next < 0 || s.empty || len(content) < 2 || content[1] != '=' || content[0] < 'a' || content[0] > 'z' {
			if content == "" && next > 0 {
				s.empty = true
				continue
			}
			s.odd = true
			return false
		}
		hides := colon && hidesPrefix(text[inner:end])
		if hides && inner == start && HidesCandidate(content) {
			s.odd = true
			return false
		}
		if inner > start || hides || matters(content) {
			s.content, s.at, s.line, s.hides = Span{start, end}, at, line, hides
			return true
		}
	}
	s.at, s.line = at, line
	return false
}

// hidesPrefix reports whether any of candidate:, inline: and key-mgmt: stands in s.
func hidesPrefix(s string) bool {
	for i := len("inline"); i < len(s); i++ {
		if s[i] != ':' {
			continue
		}
		switch to := s[:i+1]; s[i-1] | 0x20 {
		case 'e':
			if hasSuffixFold(to, candidatePrefix) || hasSuffixFold(to, inlinePrefix) {
				return true
			}
		case 't':
			if hasSuffixFold(to, keyPrefix) {
				return true
			}
		}
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

// lineEnd returns where a line ends and where the next one begins, which is negative if an octet of it
// is not plain. Without colon, nothing in the line is any of candidate:, inline: and key-mgmt:, in
// whatever letter case.
//
// It takes 16 octets at a time. Sums stay within their octets up to the first one beyond ASCII, and
// what comes after that one is not asked for.
func lineEnd(text string, at int) (end, next int, colon bool) {
	free := uint64(high)
	for ; at+20 <= len(text); at += 16 {
		b := text[at : at+20]
		x, y := load(b), load(b[8:])
		free &= free4(x, load(b[4:])) & free4(y, load(b[12:]))
		oddX, oddY := odd(x), odd(y)
		if oddX|oddY != 0 {
			if oddX != 0 {
				at += bits.TrailingZeros64(oddX) / 8
			} else {
				at += 8 + bits.TrailingZeros64(oddY)/8
			}
			return at, afterEnd(text, at), free != high
		}
	}
	for at < len(text) && ' ' <= text[at] && text[at] <= '~' {
		at++
	}
	return at, afterEnd(text, at), true
}

// odd returns the high bit of each octet above '~' or below ' '.
func odd(x uint64) uint64 { return (x | (x + each) | ^(x + (0x80-' ')*each)) & high }

// free4 returns the high bit of each octet of x that cannot be the d of candidate:, the l of inline: or
// the m of key-mgmt: since there is no colon 4 octets later, as after holds them, or since it is none
// of these letters; e is the one more that looks the same without the bits in which these differ.
func free4(x, after uint64) uint64 {
	return (((x^'d'*each)&^(0x29*each) | (after ^ ':'*each)) + 0x7f*each) & high
}

// afterEnd returns where the next line begins after one whose first octet that is not printable is
// given, or -1 if that is no end of a line.
func afterEnd(text string, at int) int {
	switch rest := text[at:]; {
	case rest == "", rest == "\r":
		return len(text)
	case rest[0] == '\n':
		return at + 1
	case rest[0] == '\r' && rest[1] == '\n':
		return at + 2
	}
	return -1
}
