package gateway

import (
	"errors"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/sdp"
)

// TestOtherReadersDiffer has a line that pion/ice reads as another candidate. There is none that the
// parser takes, so it is put together by hand.
func TestOtherReadersDiffer(t *testing.T) {
	const line = "candidate:1 1 udp 1 10.77.1.2 4000 typ host"
	d, err := sdp.ParseCandidate(line)
	if err != nil {
		t.Fatal(err)
	}
	cand := d.Candidates[0]
	if err := agreeWithPion(line, &cand); err != nil {
		t.Errorf("the two readers agree: %v", err)
	}
	for what, other := range map[string]func(*sdp.Candidate){
		"address": func(c *sdp.Candidate) { c.Host.Addr = client },
		"name":    func(c *sdp.Candidate) { c.Host = sdp.Host{Span: c.Type} },
		"port":    func(c *sdp.Candidate) { c.Port = c.Foundation },
		"type":    func(c *sdp.Candidate) { c.Type = c.Transport },
	} {
		cand := d.Candidates[0]
		other(&cand)
		if err := agreeWithPion(line, &cand); !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "10.77") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestPlainCandidates: those of browsers are plain, which spares pion/ice's reading; odd ones are not.
func TestPlainCandidates(t *testing.T) {
	plain := 0
	for name, r := range recordedBodies(t) {
		if r.Format != SDP {
			continue
		}
		d, err := sdp.Parse(string(r.Body), false)
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.Candidates {
			plain++
			if !isPlain(string(r.Body), &d.Candidates[i]) {
				t.Errorf("%s, line %d is not plain", name, d.Candidates[i].Line)
			}
		}
	}
	if plain < 20 {
		t.Errorf("%d candidates", plain)
	}
	for _, odd := range []string{
		"Candidate:1 1 udp 1 10.77.1.2 4000 typ host", "candidate:1 1 udp 1 10.77.1.2 04000 typ host",
		"candidate:1 1 udp 1 10.77.1.2 4000 typ HOST", "candidate:1 1 udp 1 10.77.1.2 4000 typ other",
	} {
		d, err := sdp.ParseCandidate(odd)
		if err != nil {
			t.Fatal(err)
		}
		if isPlain(odd, &d.Candidates[0]) {
			t.Errorf("%q is plain", odd)
		}
	}
}

// FuzzPlain has pion/ice read the candidates that it is spared for.
func FuzzPlain(f *testing.F) {
	for _, r := range recordedBodies(f) {
		for line := range strings.Lines(string(r.Body)) {
			if strings.HasPrefix(line, "a=candidate:") {
				f.Add(strings.TrimSpace(line)[len("a="):])
			}
		}
	}
	for _, line := range []string{srflx, tcp(host("fd00::1")), host("nobody.local") + " raddr ::1 rport 1", host("::ffff:10.77.1.2"), host("x.example") + " ufrag x"} {
		f.Add(strings.TrimPrefix(line, "a="))
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := sdp.ParseCandidate(text)
		if err != nil || !isPlain(text, &d.Candidates[0]) {
			return
		}
		if err := agreeWithPion(text, &d.Candidates[0]); err != nil {
			t.Errorf("%v: %q", err, text)
		}
	})
}
