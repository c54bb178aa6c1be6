package proxy

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/candgw/candgw/gateway"
)

// A kind is what is done with a body.
type kind uint8

const (
	// through is a body that is passed on as it comes, looked through for candidates that hide in it.
	through kind = iota
	// whole is a body that is rewritten, of one format.
	whole
	// lines is a body of JSON, a value a line.
	lines
	// form is a text whose candidates could be found but not rewritten.
	form
	// events is text/event-stream.
	events
)

// kindOf returns what is done with a body of a Content-Type.
func kindOf(h http.Header) (kind, gateway.Format, error) {
	values := h.Values("Content-Type")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return whole, gateway.Message, nil // as polling clients send it
	}
	if len(values) > 1 {
		return 0, 0, errors.New("more than one Content-Type")
	}
	t, parameters, err := mime.ParseMediaType(values[0])
	if t == "" || err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return whole, gateway.Message, nil
	}
	k, format := kindOfType(t)
	if k != through {
		if charset := strings.ToLower(parameters["charset"]); charset != "" && charset != "utf-8" && charset != "utf8" && charset != "us-ascii" {
			return 0, 0, errors.New("a character set other than UTF-8")
		}
	}
	return k, format, nil
}

func kindOfType(t string) (kind, gateway.Format) {
	switch t {
	case "application/sdp":
		return whole, gateway.SDP
	case "application/trickle-ice-sdpfrag":
		return whole, gateway.Fragment
	case "application/json", "text/json":
		return whole, gateway.JSON
	case "text/plain":
		return whole, gateway.Message
	case "application/x-ndjson", "application/jsonl", "application/jsonlines":
		return lines, gateway.JSON
	case "text/event-stream":
		return events, gateway.Message
	case "application/x-www-form-urlencoded", "application/xml", "text/xml":
		return form, 0
	}
	switch {
	case strings.HasSuffix(t, "+json"):
		return whole, gateway.JSON
	case strings.HasSuffix(t, "+xml") && t != "image/svg+xml" && t != "application/xhtml+xml":
		return form, 0
	}
	return through, 0
}

// readBody reads a body of gateway.MaxBody at most. What was read comes with [gateway.ErrTooLarge] too.
func readBody(r io.Reader, length int64) ([]byte, error) {
	if length > gateway.MaxBody {
		return nil, gateway.ErrTooLarge
	}
	var b bytes.Buffer
	b.Grow(int(max(length, 0)) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(r, gateway.MaxBody+1)); err != nil {
		return b.Bytes(), err
	}
	if b.Len() > gateway.MaxBody {
		return b.Bytes(), gateway.ErrTooLarge
	}
	return b.Bytes(), nil
}

var errEncoding = errors.New("a Content-Encoding other than gzip and deflate")

// encodings returns the Content-Encodings of a body, in lower case.
func encodings(h http.Header) (names []string) {
	for _, name := range tokens(h, "Content-Encoding") {
		if name = strings.ToLower(name); name != "identity" {
			names = append(names, name)
		}
	}
	return names
}

// decoded undoes the Content-Encoding of a body.
func decoded(h http.Header, body []byte) ([]byte, error) {
	names := encodings(h)
	if len(names) == 0 {
		return body, nil
	}
	if len(names) > 1 {
		return nil, errEncoding
	}
	var r io.Reader
	var err error
	switch names[0] {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return nil, errEncoding
	}
	if err != nil {
		return nil, err
	}
	return readBody(r, -1)
}

// digests are the headers that speak of the octets of a body: RFC 9530, RFC 3230, RFC 1864.
var digests = []string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest"}

func dropDigests(h http.Header) {
	for _, name := range digests {
		h.Del(name)
	}
}
