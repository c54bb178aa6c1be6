package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWraps: whatever an application wraps around what browsers make, it is found, and all else stays.
func TestWraps(t *testing.T) {
	const addr = "10.77.1.2"
	inits := map[string]string{
		"candidate":   candidateInit(addr),
		"description": description(offer(host(addr))),
		"escaped":     strings.NewReplacer("candidate:1", `c\u0061ndidate:1`, "10.77", `1\u0030.77`).Replace(candidateInit(addr)),
	}
	for how := range wraps {
		for what, init := range inits {
			t.Run(how+", "+what, func(t *testing.T) {
				body := wrapped(t, how, init)
				s := withSession(t)
				got, report := s.encrypt(t, Message, body)
				if report.Encrypted != 1 || len(report.Candidates) != 1 {
					t.Fatalf("report %+v of %s", report, body)
				}
				checkConcealed(t, got)
				want, is := modelTokens(body, true, 0)
				have, still := modelTokens(got, true, 0)
				if !is || !still || len(want) != len(have) {
					t.Fatalf("got %s of %s", got, body)
				}
				changed := 0
				for i := range want {
					if want[i] != have[i] {
						changed++
						if name := field(t, have[i].text, 0, 4); s.open(t, name, pwd) != addr {
							t.Errorf("%s is no name of the address", name)
						}
					}
				}
				if changed != 1 {
					t.Errorf("%d strings changed: got %s of %s", changed, got, body)
				}
				// And back, where nothing else changes either.
				back, report := s.decrypt(t, Message, got)
				if report.Decrypted != 1 || !strings.Contains(strings.ReplaceAll(back, `\u0030`, "0"), addr) {
					t.Errorf("report %+v, got %s", report, back)
				}
			})
		}
	}
}

// TestMessages has texts that are no JSON, and such as look like it.
func TestMessages(t *testing.T) {
	good := host("10.77.1.2")
	for _, tt := range []struct {
		name, body string
		encrypted  int
		wrong      string // of the error
	}{
		{"nothing", "", 0, ""},
		{"text", "Our candidate: Jo. See a=b, 10.77.1.2", 0, ""},
		{"ping", "2probe", 0, ""},
		{"number", "-1.5e3", 0, ""},
		{"text that begins like JSON", `{"candidate" is what I said`, 0, ""},
		{"an event without arguments", `40/rooms,`, 0, ""},
		{"a binary packet", "bAAECAwQ=", 0, ""},
		{"description", offer(good), 1, ""},
		{"candidate", good + " ufrag XHiM", 1, ""},
		{"candidate without a=", good[2:] + " ufrag XHiM\r\n", 1, ""},
		{"candidates", good + " ufrag XHiM\r\n" + good + " ufrag XHiM\r\n", 2, ""},
		{"fragment", "a=ice-ufrag:XHiM\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + good + "\r\n", 1, ""},
		{"in a text", "take this: " + good[2:], 0, "longer text"},
		{"in SIP", "INVITE sip:bob@example.com SIP/2.0\r\nContent-Length: 9\r\n\r\n" + offer(good), 0, "not SDP"},
		{"in broken JSON", `{"candidate":"` + good + `"`, 0, "want"},
		{"in a packet that is no JSON", `42["a"]` + "\x1e4take " + good, 0, "packet"},
		{"in a form", "d=" + url.QueryEscape(`42["`+good[2:]+`"]`), 0, "longer text"},
		{"a line in a form", "d=" + url.PathEscape(good), 0, "longer text"},
		{"in STOMP", "SEND\ncontent-length:9\n\n" + candidateInit("10.77.1.2") + "\x00", 0, "want"},
		{"a name space that never ends", `42/rooms["message",` + candidateInit("10.77.1.2") + `]`, 0, "longer text"},
		{"a length that is too short", `9:42["message",` + candidateInit("10.77.1.2") + `]`, 0, "longer text"},
		{"a candidate of two lines", `"` + good[2:] + `\r\n` + good[2:] + `"`, 0, "more than one line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := withSession(t)
			r, err := s.Encrypt(context.Background(), Request{Body: []byte(tt.body), Format: Message, Client: client})
			if tt.wrong != "" {
				if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("got %v, %+v", err, r)
				}
				checkNoAddress(t, err.Error())
				return
			}
			if err != nil || r.Report.Encrypted != tt.encrypted {
				t.Fatalf("%v, %+v", err, r)
			}
			if tt.encrypted == 0 && string(r.Body) != tt.body {
				t.Errorf("got %s", r.Body)
			}
			if tt.encrypted > 0 {
				checkConcealed(t, string(r.Body))
			}
		})
	}
}

// TestLevels: strings in strings are read to a depth, and not passed beyond it.
func TestLevels(t *testing.T) {
	body := candidateInit("10.77.1.2")
	for level := range maxLevels + 2 {
		r, err := withSession(t).Encrypt(context.Background(), Request{Body: []byte(body), Format: Message, Client: client})
		if level <= maxLevels {
			if err != nil || r.Report.Encrypted != 1 {
				t.Fatalf("level %d: %v, %+v", level, err, r)
			}
		} else if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "deep") {
			t.Errorf("level %d: %v, %+v", level, err, r)
		}
		body = quoted(body)
	}
}

// TestArgumentsStay: what stands beside other things in an array keeps its place when it is dropped.
func TestArgumentsStay(t *testing.T) {
	d := candidateInit("127.0.0.1")
	empty := strings.Replace(d, host("127.0.0.1")[2:], "", 1)
	for in, want := range map[string]string{
		`42["ice",D]`:              `42["ice",E]`,
		`["1","2","room",{"x":D}]`: `["1","2","room",{"x":E}]`,
		`[1,D]`:                    `[1,E]`,
		`[D,null]`:                 `[null]`,
		`[[D,D],"x"]`:              `[[],"x"]`,
	} {
		body := strings.ReplaceAll(in, "D", d)
		if got, report := withSession(t).encrypt(t, Message, body); got != strings.ReplaceAll(want, "E", empty) || report.Dropped == 0 {
			t.Errorf("%s: got %s", in, got)
		}
	}
	// A string of JSON in an array of such leaves like any other element.
	body := "[" + quoted(d) + "," + quoted(candidateInit("10.77.1.2")) + "]"
	got, report := withSession(t).encrypt(t, Message, body)
	var left []string
	if err := json.Unmarshal([]byte(got), &left); err != nil || len(left) != 1 || report.Encrypted != 1 {
		t.Errorf("%v: got %s", err, got)
	}
}

// TestSweepInStrings: what a body conceals is concealed in its other strings too, however they are written.
func TestSweepInStrings(t *testing.T) {
	const addr = "10.77.1.2"
	for name, other := range map[string]string{
		"member":           `"a":"x 10.77.1.2:5000"`,
		"escaped":          `"a":"1\u0030.77.1.2"`,
		"name":             `"10.77.1.2":0`,
		"string in string": `"a":"{\"ip\":\"10.77.1.2\"}"`,
		"escaped there":    `"a":"{\"ip\":\"1\\u0030.77\\u002e1.2\"}"`,
		"mapped":           `"a":"::ffff:a4d:102"`,
		"not JSON":         `"a":"{10.77.1.2"`,
		"short":            `"a":"[\"\\u0031\\u0030.77.1.2\"]"`,
	} {
		t.Run(name, func(t *testing.T) {
			body := `42["x",{` + other + `,"b":` + candidateInit(addr) + `}]`
			got, report := withSession(t).encrypt(t, Message, body)
			if report.Encrypted != 1 || report.Redacted != 1 {
				t.Errorf("report %+v, got %s", report, got)
			}
			tokens, _ := modelTokens(got, true, 0)
			for _, token := range tokens {
				if strings.Contains(token.text, addr) || strings.Contains(token.text, "a4d:102") {
					t.Errorf("it is in %q", token.text)
				}
			}
		})
	}
	// In what frames say, too.
	body := `42/x?ip=10.77.1.2,["x",` + candidateInit(addr) + "]\x1e4 10.77.1.2"
	if got, _ := withSession(t).encrypt(t, Message, body); strings.Contains(got, addr) || !strings.HasPrefix(got, `42/x?ip=0.0.0.0,["x",`) || !strings.HasSuffix(got, "\x1e4 0.0.0.0") {
		t.Errorf("got %s", got)
	}
}

// TestLengthsAreCorrected: a packet that became longer says so, in the units of JavaScript.
func TestLengthsAreCorrected(t *testing.T) {
	body := wrapped(t, "engine.io 3 payload", candidateInit("10.77.1.2"))
	got, _ := withSession(t).encrypt(t, Message, body)
	before, after := modelPackets(body), modelPackets(got)
	if len(before) != 4 || len(after) != 4 || len(after[2]) <= len(before[2]) {
		t.Fatalf("got %s of %s", got, body)
	}
	for i := range before {
		if i != 2 && after[i] != before[i] {
			t.Errorf("packet %d: got %s", i, after[i])
		}
	}
	// What goes counts in the same units: here a pair of surrogates.
	element := strings.Replace(candidateInit("127.0.0.1"), "{", `{"x":"`+"\U0001F600"+`",`, 1)
	packet := `42[` + element + "]"
	if got, _ := withSession(t).encrypt(t, Message, strconv.Itoa(len(packet)-2)+":"+packet); got != "4:42[]" {
		t.Errorf("got %s", got)
	}
}

func TestMayHold(t *testing.T) {
	for body, want := range map[string]bool{
		"":                                   false,
		`{"chat":"hello","at":"2026-01-02"}`: false,
		`42["move",{"x":1,"y":2}]`:           false,
		"no=":                                true, // as in a string that ends a line before
		"video=1 foo=2":                      false,
		"o=":                                 false,
		"candidat":                           false,
		"xcanDidate":                         true,
		"acandidatcandidate":                 true,
		`c\u0061ndidate`:                     true,
		`{"sdp":""}`:                         true,
		offer():                              true,
		quoted(quoted(offer())):              true,
	} {
		if MayHold([]byte(body)) != want {
			t.Errorf("%q: got %v", body, !want)
		}
	}
	body := []byte(`{"chat":"` + strings.Repeat("It is a long way to go. ", 1000) + `"}`)
	if n := testing.AllocsPerRun(10, func() { MayHold(body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHostileMessagesEnd: bodies made to take long take no longer than long ones.
func TestHostileMessagesEnd(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, MaxBody/len(s)-1) }
	remote := "v=0\\r\\nm=audio 9 X\\r\\na=remote-candidates:" + strings.Repeat("1 10.0.0.1 1 ", 16_000) + "1 10.0.0.1 1"
	for name, body := range map[string]string{
		"brackets":          fill("["),
		"brackets in names": fill(`{"":`),
		"quotation marks":   fill(`"`),
		"backslashes":       `"candidate` + fill(`\\`) + `"`,
		"separators":        fill("\x1e"),
		"packets":           fill("1:2"),
		"lengths":           fill("1:"),
		"heads":             fill("4[\"candidate\"\x1e"),
		"long names":        fill(`"candidate:`),
		"candidates":        `{"sdp":"` + fill(`a=candidate:1 1 udp 1 10.77.1.2 1 typ host\n`) + `"}`,
		"inits":             "[" + fill(candidateInit("127.0.0.1")+",") + "null]",
		"one line often":    `{"sdp":"` + remote + `"}`,
		"mapped addresses":  `["` + fill("::ffff:") + `"]`,
		"colons":            `["` + strings.Repeat(":", 200_000) + `",` + candidateInit("10.77.1.2") + "]",
		// Each of these took more than ten seconds while each end of an array cost a pass of the string.
		"arrays after escapes":    `"` + strings.Repeat(`\n`, 60_000) + "[" + strings.Repeat("[1],", 32_000) + `\"candidate\"]"`,
		"deep after escapes":      `"` + strings.Repeat(`\n`, 100_000) + strings.Repeat("[", 9_000) + `\"sdp\"` + strings.Repeat("]", 9_000) + `"`,
		"deep and many":           strings.Repeat(`{"":`, 9_000) + "{" + strings.Repeat(`"sdp":"a=",`, 18_000) + `"":1}` + strings.Repeat("}", 9_000),
		"deep, named, and many":   strings.Repeat(`{"usernameFragment":"a","":`, 4_000) + "{" + strings.Repeat(`"sdp":"a=",`, 12_000) + `"":1}` + strings.Repeat("}", 4_000),
		"heads inside of strings": `"` + strings.Repeat(`\n`, 40_000) + "[" + strings.Repeat(`\"42/10.77.1.2,[]\",`, 7_000) + `\"candidate\"]"`,
	} {
		for _, format := range []Format{JSON, Message} {
			start := time.Now()
			withSession(t).Encrypt(context.Background(), Request{Body: []byte(body), Format: format, Client: client})
			t.Logf("%s: %v", name, time.Since(start))
		}
	}
}

// TestOtherMeanings has members with the names of ours that hold something else pass, unless they tell an address.
func TestOtherMeanings(t *testing.T) {
	for body, passes := range map[string]bool{
		`{"candidate":"John Doe","job":7}`:                  true,
		`{"candidate":"https://jobs.example/a?b=c"}`:        true,
		`{"sdp":"sales department"}`:                        true,
		`{"candidate":"1 1 udp 1 10.0.0.1 5"}`:              false,
		`{"candidate":"1 1 udp 1 10.0.0.1 5 typ host"}`:     false,
		`{"candidate":"1 1 udp 1 a.example 5 Typ host"}`:    false,
		`{"candidate":"x a=candidate:1 1 udp 1 a.example"}`: false,
		`{"candidate":"candidate:1 1 udp"}`:                 false,
		`{"sdp":"a=b"}`:                                     true,
		`{"sdp":"sales at 10.0.0.1"}`:                       false,
	} {
		for _, format := range []Format{JSON, Message} {
			_, err := newGateway(t, "").Encrypt(t.Context(), Request{Body: []byte(body), Format: format, Client: client})
			if (err == nil) != passes {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
}
