package gateway

import (
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
		return s != "" && strings.IndexByte(`"\/bfnrt`, s[0]) >= 0
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
	var out strings.Builder
	out.Grow(len(written))
	for {
		i := strings.IndexByte(written, '\\')
		if i < 0 {
			out.WriteString(written)
			return out.String()
		}
		out.WriteString(written[:i])
		r, n := readEscape(written[i:])
		out.WriteRune(r)
		written = written[i+n:]
	}
}

// readEscape reads the escape that a text begins with, and returns its length. Half a surrogate pair is
// U+FFFD, and swallows nothing that follows it.
func readEscape(s string) (r rune, length int) {
	switch s[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
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
	return rune(s[1]), 2 // a quotation mark or a slash
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
