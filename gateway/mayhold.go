package gateway

import (
	"strings"
	"unsafe"
)

// MayHold reports whether a body may hold a description or a candidate in any format. Where it reports false,
// which it does at near the speed of memory, [Gateway.Encrypt] and [Gateway.Decrypt] change nothing in a
// [Message] and refuse nothing.
func MayHold(body []byte) bool {
	return mayHold(view(body))
}

// view returns b as a string without a copy: b is not to change as long as the string is in use.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// escapedASCII begins the escape of any character of ASCII in JSON, however deep in strings.
const escapedASCII = `\u00`

// mayHold looks for what stands in every text that classify would take or refuse: the word candidate, in
// either letter case; the name of a member sdp; the second line of a description; and escapes that could
// stand for letters of these.
func mayHold(s string) bool {
	// In this order few are looked for in what holds one, as a rule.
	return strings.Contains(s, "sdp") || candidateWord.in(s) || strings.Contains(s, escapedASCII) || hasOriginLine(s)
}

// hasOriginLine reports whether a line may begin with o=, be the end of the line before it an octet or an
// escape.
func hasOriginLine(s string) bool {
	for at := 0; ; at++ {
		i := strings.IndexByte(s[at:], '=')
		if i < 0 {
			return false
		}
		at += i
		if at > 1 && s[at-1] == 'o' && (s[at-2] == 'n' || s[at-2] == '\n') {
			return true
		}
	}
}

var (
	candidateWord = newWord("candidate")
	candidateLine = newWord("a=candidate")
)

// A word is looked for in either letter case.
type word struct {
	lower string
	// skip says how far from an octet the end of the word is at least: 0 if the octet can be the end itself.
	skip [256]uint8
}

// newWord takes a word of ASCII in lower case.
func newWord(lower string) *word {
	w := &word{lower: lower}
	for b := range w.skip {
		w.skip[b] = uint8(len(lower))
	}
	for i, b := range []byte(lower) {
		w.skip[b] = uint8(len(lower) - 1 - i)
		if 'a' <= b && b <= 'z' {
			w.skip[b-'a'+'A'] = w.skip[b]
		}
	}
	return w
}

// in reports whether the word stands in s. It looks at few octets of s.
func (w *word) in(s string) bool {
	for at := len(w.lower) - 1; at < len(s); {
		n := int(w.skip[s[at]])
		if n == 0 {
			if strings.EqualFold(s[at-len(w.lower)+1:at+1], w.lower) {
				return true
			}
			n = 1
		}
		at += n
	}
	return false
}
