package sdp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// benchText is a description of Chromium with 12 candidates: its audio and its video, each with the
// first six.
func benchText(t testing.TB) string {
	var out strings.Builder
	candidates := 0
	for line := range strings.Lines(recorded(t)["chromium-raw.sdp"]) {
		switch {
		case strings.HasPrefix(line, "m=application"):
			return out.String()
		case strings.HasPrefix(line, "m="):
			candidates = 0
		case strings.HasPrefix(line, "a=candidate:"):
			if candidates++; candidates > 6 {
				continue
			}
		}
		out.WriteString(line)
	}
	t.Fatal("no data channel to leave out")
	return ""
}

func BenchmarkParse(b *testing.B) {
	text := benchText(b)
	var d Description
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Parse(text, false); err != nil || len(d.Candidates) != 12 {
			b.Fatal(err, len(d.Candidates))
		}
	}
}

// TestReuse reads into memory that held another description, and allocates nothing.
func TestReuse(t *testing.T) {
	texts := slices.Collect(maps.Values(recorded(t)))
	var d Description
	for _, text := range append(texts, good, "v=0\n", "v=1\n") {
		fresh, wantErr := Parse(text, false)
		err := d.Parse(text, false)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || err == nil && fmt.Sprintf("%+v", d) != fmt.Sprintf("%+v", *fresh) {
			t.Errorf("got %+v, %v; want %+v, %v", d, err, fresh, wantErr)
		}
	}
	for _, text := range texts {
		if n := testing.AllocsPerRun(10, func() {
			if err := d.Parse(text, false); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	for _, text := range trickled(t) {
		if n := testing.AllocsPerRun(10, func() {
			if err := d.ParseCandidate(text); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}
