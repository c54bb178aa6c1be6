package proxy

import (
	"bytes"
	"io"
	"net/http"

	"github.com/candgw/candgw/internal/sdp"
)

const (
	// marker begins every candidate, in either letter case.
	marker = "candidate:"
	// longestCandidate is how much after a marker is looked at, in octets: what comes before the word typ of a
	// candidate whose fields are as long as RFC 8839 and the longest names allow.
	longestCandidate = 1024
)

// A scanner passes octets on as they come, but for candidates: at the first one it fails, before the address
// in it has passed. It holds back no more than could be the beginning of one.
type scanner struct {
	in   io.Reader
	held []byte // read, and not passed on yet
	safe int    // so much of it may pass
	err  error  // of in, once it has ended
	// found is called with the first candidate, and returns the error to fail with.
	found func() error
}

func (s *scanner) Read(to []byte) (int, error) {
	for s.safe == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	n := copy(to, s.held[:s.safe])
	s.held, s.safe = s.held[n:], s.safe-n
	return n, nil
}

// fill reads on, and finds out how much may pass.
func (s *scanner) fill() {
	var chunk [16 << 10]byte
	n, err := s.in.Read(chunk[:])
	s.held = append(s.held, chunk[:n]...)
	s.safe, s.err = passable(s.held, err != nil), err
	if s.safe < 0 {
		s.held, s.safe, s.err = nil, 0, s.found()
	}
}

// passable returns how many octets of a text may pass whatever follows it, or, if it is all of it, whatever;
// -1 if a candidate is in it.
func passable(text []byte, all bool) int {
	for at := 0; ; {
		i := indexMarker(text[at:])
		if i < 0 {
			break
		}
		at += i
		rest := text[at:]
		if len(rest) < longestCandidate && !all {
			return at
		}
		if sdp.HidesCandidate(string(rest[:min(len(rest), longestCandidate)])) {
			return -1
		}
		at += len(marker)
	}
	if all {
		return len(text)
	}
	// The end may be the beginning of a marker.
	for keep := min(len(marker)-1, len(text)); keep > 0; keep-- {
		if end := text[len(text)-keep:]; bytes.EqualFold(end, []byte(marker[:keep])) {
			return len(text) - keep
		}
	}
	return len(text)
}

// indexMarker returns where the marker is, -1 if it is nowhere.
func indexMarker(text []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], ':')
		if i < 0 {
			return -1
		}
		at += i + 1
		if at >= len(marker) && bytes.EqualFold(text[at-len(marker):at], []byte(marker)) {
			return at - len(marker)
		}
	}
}

// looksThrough passes on a body of a type that cannot be rewritten.
func (f *flow) looksThrough(in io.Reader, x *exchange) io.Reader {
	return &scanner{in: in, found: func() error {
		why := &refusal{http.StatusUnsupportedMediaType, errHidden.Error(), errHidden}
		if f.to == ToClient {
			why.status = http.StatusBadGateway
		}
		x.hidden.Store(why)
		return f.refuse(why)
	}}
}
