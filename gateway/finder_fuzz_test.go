package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/sdp"
)

// marker stands for what the finder found; it needs escapes, and is no message.
const marker = "\"found\\\r\n"

// FuzzFinder puts a marker in place of all that is found in a body, and reads what comes out with encoding/json:
// the same as went in, but for whole strings of which each is a marker now. Without edits the body stays the same.
func FuzzFinder(f *testing.F) {
	seed(f)
	for _, how := range wrapNames() {
		f.Add(uint8(JSON), wrapped(f, how, candidateInit("10.77.1.2")))
		f.Add(uint8(Message), wrapped(f, how, description(offer(host("10.77.1.2")))))
		for _, raw := range recordedTrickle(f, "chromium-mdns.trickle.json").Candidates {
			f.Add(uint8(Message), wrapped(f, how, string(raw)))
		}
	}
	f.Add(uint8(Message), strings.Repeat("[", maxNesting)+strings.Repeat("]", maxNesting))
	f.Add(uint8(JSON), strings.Repeat("[", maxNesting+1)+strings.Repeat("]", maxNesting+1))
	f.Fuzz(func(t *testing.T, n uint8, body string) {
		format := JSON
		if n%2 == uint8(Message)%2 {
			format = Message
		}
		d := new(document)
		err := d.find(body, format)
		if format == JSON {
			valid := json.Valid([]byte(strings.TrimPrefix(body, "\ufeff")))
			if err == nil && !valid || errors.Is(err, errNotJSON) && valid {
				t.Fatalf("%v, valid: %v: %q", err, valid, body)
			}
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("got %v", err)
			}
			if !MayHold([]byte(body)) && !errors.Is(err, errNotJSON) {
				t.Fatalf("%v in what can hold nothing: %q", err, body)
			}
			return
		}
		if len(d.texts) > 0 && !MayHold([]byte(body)) {
			t.Fatalf("found in what can hold nothing: %q", body)
		}
		if edits := d.editsOfBody(nil); len(edits) != 0 {
			t.Fatalf("edits without any: %v", edits)
		}
		if len(d.texts) == 1 && !d.texts[0].quoted { // it is the whole body
			return
		}
		for _, found := range d.texts {
			found.edits = []edit{{sdp.Span{End: len(found.s)}, marker}}
		}
		out := string(apply(body, d.editsOfBody(nil)))
		before, is := tokensOf(body, format)
		after, still := tokensOf(out, format)
		if is != still || len(before) != len(after) {
			t.Fatalf("got %q of %q", out, body)
		}
		found := 0
		for i, b := range before {
			a := after[i]
			if a.string && a.text == marker {
				if string([]rune(d.texts[found].s)) != string([]rune(b.text)) { // in which what is no UTF-8 is U+FFFD
					t.Fatalf("found %q, which reads %q", d.texts[found].s, b.text)
				}
				found++
			} else if a != b {
				t.Fatalf("%+v became %+v: got %q of %q", b, a, out, body)
			}
		}
		if found != len(d.texts) {
			t.Fatalf("%d of %d found are in %q", found, len(d.texts), out)
		}
	})
}

// tokensOf reads a body as the model does.
func tokensOf(body string, format Format) ([]modelToken, bool) {
	if format == JSON {
		return modelValues(strings.TrimPrefix(body, "\ufeff"), 0)
	}
	return modelTokens(body, true, 0)
}

func wrapNames() (names []string) {
	for how := range wraps {
		names = append(names, how)
	}
	slices.Sort(names)
	return names
}

// TestModel: the model must tell apart what is not the same.
func TestModel(t *testing.T) {
	for body, want := range map[string]string{
		`["a",{"b":1.50}]`:             `[[ "a" { "b" 1.50 } ]] true`,
		`"[\"a\"]"`:                    `["" open "" [ "a" ] close] true`,
		"42[1]\x1e2":                   `["42" [ 1 ] "2"] true`,
		`4:2["a`:                       `["2[\"a"] false`,
		"\ufeff{}[]":                   `["" { } [ ]] true`,
		"4:42[]1:2":                    `["42" [ ] "2"] true`,
		`451-/a?b=c,7["\ud83d\ude00"]`: "[\"451-/a?b=c,7\" [ \"\U0001F600\" ]] true",
	} {
		tokens, is := modelTokens(body, true, 0)
		var words []string
		for _, token := range tokens {
			if token.string {
				token.text = fmt.Sprintf("%q", token.text)
			}
			words = append(words, token.text)
		}
		if got := fmt.Sprintf("[%s] %v", strings.Join(words, " "), is); got != strings.Replace(want, "[[", "[\"\" [", 1) {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}
