package proxy

import (
	"errors"
	"io"
	"net/http"
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

// hidesInHeader does so for the values of headers or trailers.
func hidesInHeader(h http.Header) error {
	for _, values := range h {
		for _, v := range values {
			if err := hides(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuseHead returns why a message is not passed on for what is in its headers or trailers, or, with a request, in
// its URL; nil if nothing is wrong.
func (f *flow) refuseHead(uri string, h http.Header) *refusal {
	err := hides(uri)
	if err == nil {
		err = hidesInHeader(h)
	}
	if err == nil {
		return nil
	}
	why := &refusal{http.StatusBadRequest, "a candidate in the URL, a header or a trailer, where it cannot be rewritten: send it in a body", err}
	if f.to == ToClient {
		why.status = http.StatusBadGateway
	}
	f.refuse(why)
	return why
}

// A trailed is a body that fails at its end if its trailers are not to be passed on.
type trailed struct {
	io.Reader
	flow    *flow
	trailer func() http.Header
	x       *exchange
}

func (t *trailed) Read(to []byte) (int, error) {
	n, err := t.Reader.Read(to)
	if err == io.EOF {
		if why := t.flow.refuseHead("", t.trailer()); why != nil {
			t.x.hidden.Store(why)
			err = why
		}
	}
	return n, err
}
