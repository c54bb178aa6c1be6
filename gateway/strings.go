package gateway

import (
	"math/bits"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/candgw/candgw/internal/sdp"
)

// isEscape reports whether what follows a backslash makes an escape of JSON with it.
func isEscape(s string) bool {
	if s == "" || s[0] != 'u' {
		return s != "" && escapes[s[0]] != 0
	}
	_, ok := hex4(s[1:])
	return ok
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	r, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(r), err == nil
}

// unescape returns what a string of JSON says, whose content is written like this.
func unescape(written string) string {
	if strings.IndexByte(written, '\\') < 0 {
		return written
	}
	return view(appendUnescaped(make([]byte, 0, len(written)), written))
}

// appendUnescaped appends what unescape returns.
func appendUnescaped(dst []byte, written string) []byte {
	for {
		i := strings.IndexByte(written, '\\')
		if i < 0 {
			return append(dst, written...)
		}
		dst, written = append(dst, written[:i]...), written[i:]
		for len(written) > 0 && written[0] == '\\' { // a line has two at its end
			if b := escapes[written[1]]; b != 0 {
				dst, written = append(dst, b), written[2:]
				continue
			}
			r, n := readEscape(written)
			dst, written = utf8.AppendRune(dst, r), written[n:]
		}
	}
}

// escapes are the characters that stand for what follows a backslash; 0 for what is not one octet.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// plain returns where the next quotation mark, backslash or control character stands in s from an offset on, or
// the length of s.
func plain(s string, at int) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for ; at+8 <= len(s); at += 8 { // octets at a time, because all of a body goes through here
		x := eight(s[at : at+8])
		quote, backslash := x^each*'"', x^each*'\\'
		// The lowest bit that is set is right, whatever was borrowed above it.
		if found := ((quote-each)&^quote | (backslash-each)&^backslash | (x-each*' ')&^x) & high; found != 0 {
			return at + bits.TrailingZeros64(found)/8
		}
	}
	for at < len(s) && s[at] != '"' && s[at] != '\\' && s[at] >= ' ' {
		at++
	}
	return at
}

// eight returns the 8 octets of s, the first one lowest.
func eight(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// readEscape reads the escape that a text begins with, and returns its length. Half a surrogate pair is
// U+FFFD, and swallows nothing that follows it.
func readEscape(s string) (r rune, length int) {
	if s[1] != 'u' {
		return rune(escapes[s[1]]), 2
	}
	r, _ = hex4(s[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if rest, ok := strings.CutPrefix(s[6:], `\u`); ok {
		other, _ := hex4(rest)
		if pair := utf16.DecodeRune(r, other); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// A place is one offset in a text, and the offset in what is written of it.
type place struct{ s, written int }

// reach goes on from a place to the character at offset i.
func (t *text) reach(p place, i int) place {
	for p.s < i {
		rest := t.written[p.written:]
		if plain := strings.IndexByte(rest, '\\'); plain != 0 {
			n := i - p.s
			if plain > 0 {
				n = min(n, plain)
			}
			p.s, p.written = p.s+n, p.written+n
			continue
		}
		r, length := readEscape(rest)
		if p.s+utf8.RuneLen(r) > i {
			break // in the midst of it
		}
		p.s, p.written = p.s+utf8.RuneLen(r), p.written+length
	}
	return p
}

// markEach is how many octets of a text lie between two of its marks.
const markEach = 128

// place returns the place of an offset. Offsets in order cost one pass of the text. With the first that goes back it
// begins to leave marks, from which any other is near: else a body of many arrays, one in another, inside a string of
// many escapes, would cost a pass each.
func (t *text) place(i int) place {
	p := t.reached
	if i < p.s {
		t.marked, p = true, place{}
	}
	if n := sort.Search(len(t.marks), func(j int) bool { return t.marks[j].s > i }); n > 0 && t.marks[n-1].s > p.s {
		p = t.marks[n-1]
	}
	for t.marked && p.s+markEach < i {
		p = t.reach(p, p.s+markEach)
		t.mark(p)
	}
	t.reached = t.reach(p, i)
	t.mark(t.reached)
	return t.reached
}

func (t *text) mark(p place) {
	last := 0
	if n := len(t.marks); n > 0 {
		last = t.marks[n-1].s
	}
	if t.marked && p.s >= last+markEach {
		t.marks = append(t.marks, p)
	}
}

// inBody returns the span of the body that a span of the text is; t may be nil for the body itself.
func (t *text) inBody(s sdp.Span) sdp.Span {
	for ; t != nil; t = t.outer {
		if t.quoted && len(t.written) != len(t.s) {
			s = sdp.Span{Start: t.place(s.Start).written, End: t.place(s.End).written}
		}
		s.Start, s.End = s.Start+t.start, s.End+t.start
	}
	return s
}

// escaped returns what stands for a text in the body, in place of a part of t.
func (t *text) escaped(with string) string {
	for ; t != nil && with != ""; t = t.outer {
		if t.quoted {
			with = escape(with)
		}
	}
	return with
}
