package sdp

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// checkFast wants the same of a text from the scanner's way and from the careful one.
func checkFast(t *testing.T, text string) {
	t.Helper()
	same := func(how string, fast *Description, err error, careful *Description, carefulErr error) {
		t.Helper()
		if fmt.Sprint(err) != fmt.Sprint(carefulErr) {
			t.Errorf("%s: got %v, want %v for %q", how, err, carefulErr, text)
		} else if err == nil && !reflect.DeepEqual(fast, careful) {
			t.Errorf("%s: got %+v\nwant %+v for %q", how, fast, careful, text)
		}
	}
	for _, fragment := range []bool{false, true} {
		fast, err := Parse(text, fragment)
		careful := new(Description)
		careful.reset()
		var carefulErr error = &Error{1, "not SDP: it is empty"}
		if text != "" {
			carefulErr = (&parser{text: text, desc: careful}).careful(fragment)
		}
		same(fmt.Sprintf("fragment: %v", fragment), fast, err, careful, carefulErr)
	}
	fast, err := ParseCandidate(text)
	careful := new(Description)
	careful.reset()
	same("candidate", fast, err, careful, (&parser{text: text, desc: careful}).single())
}

func FuzzFastIsCareful(f *testing.F) {
	n := 0
	for _, text := range recorded(f) {
		f.Add(text)
		n++
	}
	for _, s := range append(trickled(f), tricks...) {
		f.Add(s)
		f.Add("v=0\r\nm=audio 9 X\r\na=" + s + "\r\n")
	}
	for _, s := range hidden {
		f.Add("v=0\r\na=x:" + s + "\r\n")
		f.Add("v=0\r\na=" + good + " x " + s + " y\r\ns=-\r\n")
	}
	if n == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(checkFast)
}

// hidden is what a line is searched for.
var hidden = []string{"inline:", "InLine:", "key-mgmt:", "KEY-MGMT:", good, strings.ToUpper(good), "x" + good, "inlin:", "inlinf:", "Inlihe:"}

// TestEveryPlace puts each octet, and what can hide in a line, at each place of a word in lines of
// each kind.
func TestEveryPlace(t *testing.T) {
	var odd []string
	for c := range 256 {
		odd = append(odd, string([]byte{byte(c)}))
	}
	odd = append(odd, "\r\n", "\u0085", "\u2028", "\u00a0", "\ue03a", "\r\n\r\n", "\r\r\n", "\nv=0\n", "\na= x", "\nA=x", "\n\n\n")
	for _, what := range append(odd, hidden...) {
		for n := range 41 {
			before, after := strings.Repeat("x", n), strings.Repeat("y", 40-n)
			for _, line := range []string{"a=rtpmap:", "a=mid:", "a=" + good + " x ", "i=", "a=", ""} {
				checkFast(t, "v=0\r\n"+line+before+what+after+"\r\ns=-\r\na=mid:1\r\n")
			}
			checkFast(t, "v=0\na="+good+" x "+before+what)
			checkFast(t, good+" x "+before+what+after)
		}
	}
}

// TestPlain wants what browsers write to be read the fast way.
func TestPlain(t *testing.T) {
	for name, text := range recorded(t) {
		s := scanner{text: text}
		stops := 0
		for s.next() {
			stops++
		}
		if s.odd || s.line != strings.Count(text, "\n") {
			t.Errorf("%s: stopped after line %d", name, s.line)
		}
		if lines := strings.Count(text, "a=candidate:"); stops > lines+s.line/3 {
			t.Errorf("%s: stopped at %d lines of %d", name, stops, s.line)
		}
	}
}
