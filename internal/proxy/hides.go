package proxy

import (
	"errors"
	"strconv"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
)

var errHidden = errors.New("a candidate in what cannot be rewritten: send it in JSON, application/sdp or text")

// maxEscapes is how many times over a text may be escaped, as a URL in the query of another is.
const maxEscapes = 3

// hides returns an error for a text that is not rewritten, as a form or a URL, with a candidate in it. What is
// broken in its escapes is read as the most tolerant reader would.
func hides(s string) error {
	for range 1 + maxEscapes {
		if sdp.HidesCandidate(s) || sdp.HidesCandidate(unescaped(strings.ReplaceAll(s, "+", " "))) {
			return errHidden
		}
		plain := unescaped(s)
		if plain == s {
			break
		}
		s = plain
	}
	return nil
}

// unescaped undoes the escapes of a URL, and leaves those that are broken.
func unescaped(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
