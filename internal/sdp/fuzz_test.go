package sdp

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A found is what a lenient reader takes for a candidate.
type found struct{ addr, related string }

// lenient reads candidates as forgivingly as readers do: any letter case, any white space anywhere,
// a colon or none.
func lenient(lines []string) (out []found) {
	for _, line := range lines {
		s, ok := strings.TrimSpace(line), true
		for _, word := range []string{"a", "=", "candidate"} {
			if ok = ok && len(s) > len(word) && strings.EqualFold(s[:len(word)], word); ok {
				s = s[len(word):]
			}
			if word != "candidate" {
				s = strings.TrimSpace(s)
			}
		}
		if !ok || s[0] != ':' && strings.TrimSpace(s) == s { // another attribute, whose name begins alike
			continue
		}
		w := strings.Fields(strings.TrimPrefix(strings.TrimSpace(s), ":"))
		if len(w) < 8 || !strings.EqualFold(w[6], "typ") {
			continue
		}
		f := found{addr: w[4]}
		for i := 8; i+1 < len(w); i++ {
			if strings.EqualFold(w[i], "raddr") {
				f.related = w[i+1]
			}
		}
		out = append(out, f)
	}
	return out
}

// readers are the ways to split lines that are in use: at LF, at CR as well, and as Python does.
var readers = map[string]func(string) []string{
	"LF": func(s string) []string { return strings.Split(s, "\n") },
	"CR": func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == '\r' || r == '\n' })
	},
	"Python": func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029", r) })
	},
}

// checkSeen wants every candidate of a lenient reader among those of the parser.
func checkSeen(t *testing.T, text string, d *Description) {
	t.Helper()
	seen := map[found]bool{}
	for _, c := range d.Candidates {
		seen[found{c.Host.Of(text), c.Related.Of(text)}] = true
	}
	for name, split := range readers {
		for _, f := range lenient(split(text)) {
			if !seen[f] {
				t.Errorf("a reader by %s finds %+v in %q", name, f, text)
			}
		}
	}
}

// checkSpans wants spans that lie in the text and do not overlap those that others may replace.
func checkSpans(t *testing.T, text string, d *Description) {
	t.Helper()
	taken := make([]bool, len(text))
	take := func(s Span) {
		if s.Start < 0 || s.Start > s.End || s.End > len(text) {
			t.Fatalf("span %v of %d octets", s, len(text))
		}
		for i := s.Start; i < s.End; i++ {
			if taken[i] {
				t.Fatalf("octet %d is in two spans", i)
			}
			taken[i] = true
		}
	}
	for _, c := range d.Candidates {
		for _, s := range []Span{c.Foundation, c.Transport, c.Host.Span, c.Port, c.Type, c.Related.Span, c.RelatedPort, c.Ufrag, c.Ciphertext, c.AddrType, c.KeyID} {
			take(s)
			if !s.Empty() && (!within(s, c.Text) || !within(s, c.Whole)) {
				t.Fatalf("span %v is not in its candidate %v", s, c.Text)
			}
		}
		checkExtensions(t, text, &c)
	}
	for _, f := range d.Fields {
		take(f.Host.Span)
		take(f.Type)
		take(f.Port)
	}
	for _, s := range d.Sections {
		take(s.Port)
		take(s.Pwd)
		take(s.Ufrag)
	}
	for _, id := range d.Identities {
		take(id.Value)
		if id.Value.Empty() || !within(id.Value, id.Whole) || strings.Contains(id.Value.Of(text), " ") {
			t.Fatalf("assertion %v of the line %v", id.Value, id.Whole)
		}
	}
}

func within(s, outer Span) bool { return outer.Start <= s.Start && s.End <= outer.End }

// checkExtensions takes addrtype or keyid out of a candidate, and wants the same candidate without it.
func checkExtensions(t *testing.T, text string, c *Candidate) {
	t.Helper()
	parts := func(text string, c *Candidate) (out [11]string) {
		for i, s := range []Span{c.AddrType, c.KeyID, c.Foundation, c.Transport, c.Host.Span, c.Port, c.Type,
			c.Related.Span, c.RelatedPort, c.Ufrag, c.Ciphertext} {
			out[i] = s.Of(text)
		}
		return out
	}
	for i, name := range []string{" addrtype ", " keyid "} {
		want, span := parts(text, c), []Span{c.AddrType, c.KeyID}[i]
		if want[i] == "" {
			continue
		}
		if !hasPrefixFold(want[i], name) || strings.Count(want[i], " ") != 2 || len(want[i]) == len(name) {
			t.Fatalf("extension %q, want%sand a value", want[i], name)
		}
		want[i] = ""
		without := text[c.Text.Start:span.Start] + text[span.End:c.Text.End]
		d, err := ParseCandidate(without)
		if err != nil {
			t.Fatalf("%q: %v", without, err)
		}
		if got := parts(without, &d.Candidates[0]); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// checkLines wants every key and every assertion that a lenient reader finds to be known, fingerprints
// only where a strict one finds them, and lines that are in the text.
func checkLines(t *testing.T, text string, d *Description) {
	t.Helper()
	lines := strings.Split(text, "\n")
	var crypto, identities int
	var media []int // lines of m=
	for i, line := range lines {
		line = strings.Map(func(r rune) rune { // the letters of ASCII in lower case, as readers do
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, line)
		s, isAttribute := strings.CutPrefix(line, "a=")
		name := s
		if end := strings.IndexFunc(s, func(r rune) bool { return r == ':' || unicode.IsSpace(r) }); end >= 0 {
			name = s[:end]
		}
		isKey := isAttribute && (name == "crypto" || strings.Contains(s, "inline:")) || strings.HasPrefix(line, "k=")
		if isKey && crypto == 0 {
			crypto = i + 1
		}
		if isAttribute && name == "identity" {
			identities++
		}
		if strings.HasPrefix(line, "m=") {
			media = append(media, i+1)
		}
	}
	if d.CryptoLine != crypto || len(d.Identities) != identities || len(d.Sections) != len(media)+1 {
		t.Fatalf("a key in line %d, %d assertions, %d sections; want %d, %d, %d in %q",
			d.CryptoLine, len(d.Identities), len(d.Sections), crypto, identities, len(media)+1, text)
	}
	for i, s := range d.Sections[1:] {
		if s.Line != media[i] {
			t.Fatalf("section %d is in line %d, want %d", i+1, s.Line, media[i])
		}
	}
	for i, s := range d.Sections {
		first, last := s.Line, len(lines)
		if i+1 < len(d.Sections) {
			last = d.Sections[i+1].Line - 1
		}
		if s.Fingerprint && !strings.Contains(strings.Join(lines[first:last], "\n"), "a=fingerprint:") {
			t.Fatalf("no fingerprint stands in section %d of %q", i, text)
		}
	}
	if d.Whole != (strings.TrimSuffix(lines[0], "\r") == "v=0") {
		t.Fatalf("whole: %v", d.Whole)
	}
	line := d.Unprotected(text)
	if line != 0 && !slices.Contains(media, line) {
		t.Fatalf("unprotected line %d, want one of %d", line, media)
	}
}

// tricks are candidates in forms that some readers take.
var tricks = []string{
	"v=0\na=candidate:1 1 udp 1 10.77.1.2 1 typ host raddr 10.0.0.1 rport 1\r\n",
	"v=0\rA=CANDIDATE:1 1 udp 1 10.77.1.2 1 TYP host",
	"v=0\ns=\u2028a=candidate:1 1 udp 1 10.77.1.2 1 typ host",
	"v=0\na=candidate:1 1 udp\v1\v10.77.1.3\v1\vtyp\vhost 1 10.77.1.2 1 typ srflx",
	"v=0\na=\tcandidate\t: 1 1 udp 1 10.77.1.2 1 typ host",
	"v=0\na=candidate 1 1 udp 1 10.77.1.2 1 typ host",
	"v=0\na=candidate:1 1 udp 1 0.0.0.0 1 typ host ciphertext a raddr 10.77.1.2",
	"v=0\na=candidate:1 1 udp 1 10.77.1.2 1 typ host x y raddr 10.77.1.2 rport 1",
	"candidate:1 1 udp 1 x.local 1 typ host addrtype dnsipv4 keyid 0123456789abcdef ufrag a",
	"candidate:1 1 udp 1 0.0.0.0 1 typ host KeyID 0 AddrType inipv6 ciphertext QQ== cryptoparams keyid 00 csid aes-gcm",
	"candidate:1 1 udp 1 10.77.1.2 1 typ host x candidate:1 addrtype y 2 3 4 5 6 typ z a",
	"v=0\nk=clear:x\na=identity:QUJD a=b\nm=audio 9 X\na=crypto :1\na=fingerprint:sha-256 AB:CD\nm=audio 0 X\na=bundle-only\n",
}

func FuzzParse(f *testing.F) {
	n := 0
	for _, text := range recorded(f) {
		f.Add(text)
		n++
	}
	for _, s := range append(trickled(f), tricks...) {
		f.Add(s)
	}
	if n == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, fragment := range []bool{false, true} {
			d, err := Parse(text, fragment)
			if err != nil {
				checkLine(t, text, err)
				continue
			}
			checkSpans(t, text, d)
			checkSeen(t, text, d)
			checkLines(t, text, d)
			for i := range d.Sections {
				d.Pwd(text, i)
				d.Ufrag(text, i)
			}
		}
		d, err := ParseCandidate(text)
		if err != nil {
			checkLine(t, text, err)
			return
		}
		checkSpans(t, text, d)
		checkSeen(t, "a="+strings.TrimPrefix(text, "a="), &Description{Candidates: shifted(text, d)})
		if !LooksLikeCandidate(text) || !HidesCandidate(text) {
			t.Errorf("%q is a candidate and does not look like one", text)
		}
	})
}

// shifted returns the candidates of d as they stand in a text that begins with "a=".
func shifted(text string, d *Description) []Candidate {
	c := d.Candidates[0]
	if !strings.HasPrefix(text, "a=") {
		for _, s := range []*Span{&c.Host.Span, &c.Related.Span} {
			s.Start += 2
			s.End += 2
		}
	}
	return []Candidate{c}
}

func checkLine(t *testing.T, text string, err error) {
	t.Helper()
	e, ok := err.(*Error)
	if !ok || e.Line < 1 || e.Line > strings.Count(text, "\n")+1 {
		t.Errorf("%v is not at a line of %q", err, text)
	}
}
