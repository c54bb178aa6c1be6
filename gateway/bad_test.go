package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // never for strings
	}
	return string(text)
}

func TestRefusedBodies(t *testing.T) {
	good := host("10.77.1.2")
	change := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	large := offer(good, "a=x:"+strings.Repeat("x", MaxBody))
	type refusal struct {
		name   string
		format Format
		body   string
		err    error
		text   string
	}
	tests := []refusal{
		{"not SDP", SDP, "Hello 10.77.1.2", ErrMalformed, "line 1: not SDP"},
		{"nothing", SDP, "", ErrMalformed, "line 1: not SDP"},
		{"nothing, fragment", Fragment, "", ErrMalformed, "line 1: not SDP"},
		{"a fragment for SDP", SDP, good, ErrMalformed, "line 1: not SDP"},
		{"JSON for SDP", SDP, description(offer(good)), ErrMalformed, "line 1: not SDP"},
		{"SDP for JSON", JSON, offer(good), ErrMalformed, "not JSON"},
		{"nothing, JSON", JSON, "", ErrMalformed, "not JSON"},
		{"JSON cut short", JSON, `{"candidate":"` + good, ErrMalformed, "not JSON"},
		{"two values", JSON, `null null`, ErrMalformed, "not JSON"},
		{"large", SDP, large, ErrTooLarge, "256 KiB"},
		{"large, JSON", JSON, description(large), ErrTooLarge, "256 KiB"},
		{"candidate that is none", JSON, `{"candidate":"10.77.1.2"}`, ErrMalformed, "item 1 of the JSON: line 1: not a candidate"},
		{"sdp that is none", JSON, `{"sdp":"10.77.1.2"}`, ErrMalformed, "item 1 of the JSON: line 1: not SDP"},
		{"second of two", JSON, "[" + quoted(good) + "," + quoted(change("4000", "x")) + "]", ErrMalformed, "item 2 of the JSON: line 1"},
		{"candidates without a=", JSON, quoted(good[2:] + "\r\n" + good[2:]), ErrMalformed, "more than one line"},
		{"candidates without a=, in a member", JSON, `{"x":` + quoted(good[2:]+"\n"+good[2:]) + "}", ErrMalformed, "more than one line"},
		{"candidate in a text", JSON, quoted("take this: " + good[2:]), ErrMalformed, "longer text"},
		{"candidate in a name", JSON, `{` + quoted("x "+good[2:]) + `:1}`, ErrMalformed, "longer text"},
		{"candidate in the ufrag", JSON, `{"usernameFragment":` + quoted("x "+good[2:]) + `}`, ErrMalformed, "longer text"},
		{"lines that only Python sees", JSON, quoted("x\u2028" + good), ErrMalformed, "line 1"},
	}
	for what, line := range map[string]string{
		"a broken port":     change("4000", "99999"),
		"a broken priority": change("2122260223", "high"),
		"an address with":   change("10.77.1.2", "10.77.1"),
		"zone":              change("10.77.1.2", "fd12:3456:789a:1::2%eth0"),
		"another kind":      "s=\u2028" + good,
		"not a=candidate:":  "a=\u00a0candidate" + good[11:],
	} {
		tests = append(tests,
			refusal{what, SDP, offer(good, line), ErrMalformed, "line 10: "},
			refusal{what, SDP, offer(good, line), ErrMalformed, what},
			refusal{what, Fragment, good + "\n" + line, ErrMalformed, "line 2: "},
			refusal{what, JSON, description(offer(good, line)), ErrMalformed, "item 1 of the JSON: line 10: "},
		)
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.name, tt.format), func(t *testing.T) {
			s := newGateway(t, "")
			for what, call := range map[string]func(context.Context, Request) (*Result, error){"encrypt": s.Encrypt, "decrypt": s.Decrypt} {
				r, err := call(context.Background(), Request{Body: []byte(tt.body), Format: tt.format, Client: client})
				if r != nil || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.text) {
					t.Fatalf("%s: got %v, %v, want %q", what, r, err, tt.text)
				}
				checkNoAddress(t, err.Error())
			}
		})
	}
}

func TestRefusedCandidates(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, tt := range []struct{ name, body, reason string }{
		{"no credentials", strings.Replace(strings.Replace(offer(host("10.77.1.2")), "a=ice-pwd:"+pwd+"\r\n", "", 1), "a=ice-ufrag:XHiM\r\n", "", 1), "no ice-pwd governs it"},
		{"no password", strings.Replace(offer(host("10.77.1.2")), "a=ice-pwd:"+pwd+"\r\n", "", 1), "no session seen here"},
		{"short password", strings.Replace(offer(host("10.77.1.2")), pwd, pwd[:21], 1), "has 21 characters, want 22"},
		{"long password", strings.Replace(offer(host("10.77.1.2")), pwd, long, 1), "has 257 characters"},
		{"before the section's", "v=0\r\n" + host("10.77.1.2") + "\r\nm=audio 9 X\r\na=ice-ufrag:XHiM\r\na=ice-pwd:" + pwd + "\r\n", "no ice-pwd governs it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGateway(t, "")
			for format, body := range map[Format]string{SDP: tt.body, JSON: description(tt.body)} {
				got, report := s.encrypt(t, format, body)
				refused := report.Refused()
				if len(refused) != 1 || !strings.Contains(refused[0].Reason, tt.reason) || strings.Contains(got, "candidate:") {
					t.Errorf("report %+v, got %s", report, got)
				}
				checkConcealed(t, got)
			}
		})
	}
	// Session-level credentials serve a candidate at that level.
	body := "v=0\r\n" + host("10.77.1.2") + "\r\na=ice-ufrag:XHiM\r\na=ice-pwd:" + pwd + "\r\n"
	if _, report := newGateway(t, "").encrypt(t, SDP, body); report.Encrypted != 1 {
		t.Errorf("report %+v", report)
	}
	// A ufrag longer than the standard allows works within its description, and is not remembered.
	s := newGateway(t, "")
	if _, report := s.encrypt(t, SDP, strings.Replace(offer(host("10.77.1.2")), "XHiM", long, 1)); report.Encrypted != 1 {
		t.Errorf("report %+v", report)
	}
	if s.sessions.len() != 0 {
		t.Error("a long ufrag is remembered")
	}
}
