package sdp

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
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

// BenchmarkScan reads a description, and beside it does no more than walk its lines with
// bytes.IndexByte, by turns in one run. It reports how many times as long as that walk each takes, by
// the fastest turn of each, which other work of the machine disturbs least: the scan alone, which looks
// at every octet and finds the lines that matter, and the whole of Parse, with the fields of all
// candidates.
func BenchmarkScan(b *testing.B) {
	text := benchText(b)
	octets := []byte(text)
	var d Description
	walk, scan, parse := time.Hour, time.Hour, time.Hour
	const turns = 20 // so that the clock counts for nothing
	lines, candidates := 0, 0
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		begin := time.Now()
		for range turns {
			lines = walkLines(octets)
		}
		walked := time.Now()
		for range turns {
			s := scanner{text: text}
			for s.next() {
			}
			if s.odd || s.line != lines {
				b.Fatalf("stopped in line %d of %d", s.line, lines)
			}
		}
		scanned := time.Now()
		for range turns {
			if err := d.Parse(text, false); err != nil {
				b.Fatal(err)
			}
			candidates = len(d.Candidates)
		}
		walk = min(walk, walked.Sub(begin)/turns)
		scan = min(scan, scanned.Sub(walked)/turns)
		parse = min(parse, time.Since(scanned)/turns)
	}
	if candidates != 12 {
		b.Fatalf("got %d candidates, want 12", candidates)
	}
	b.ReportMetric(0, "ns/op") // of all three
	b.ReportMetric(float64(walk.Nanoseconds()), "walk-ns")
	b.ReportMetric(float64(scan.Nanoseconds()), "scan-ns")
	b.ReportMetric(float64(parse.Nanoseconds()), "parse-ns")
	b.ReportMetric(scan.Seconds()/walk.Seconds(), "scan/walk")
	b.ReportMetric(parse.Seconds()/walk.Seconds(), "parse/walk")
}

// BenchmarkOrdinary asks of strings as they stand in other JSON whether they are or hide a candidate.
func BenchmarkOrdinary(b *testing.B) {
	for name, s := range map[string]string{
		"word": "answer",
		"URL":  "https://meet.example.com:8443/room/0b9eb1c9?token=" + strings.Repeat("x", 64) + "#a:b",
		"text": strings.Repeat("At 10:30 we meet: candidates are listed in the state: see there. ", 16),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				if LooksLikeCandidate(s) || LooksLikeDescription(s) || HidesCandidate(s) {
					b.Fatal("it does not")
				}
			}
		})
	}
}

func walkLines(text []byte) (lines int) {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return lines + 1
		}
		text = text[i+1:]
		lines++
	}
	return lines
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
