package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/candgw/candgw/internal/sdp"
)

// candidateInit returns an RTCIceCandidateInit.
func candidateInit(addr string) string {
	return `{"candidate":"` + host(addr)[2:] + `","sdpMid":"0","usernameFragment":"XHiM"}`
}

// withSession returns a gateway that knows the session of offer.
func withSession(t testing.TB) *setup {
	t.Helper()
	s := newGateway(t, "")
	s.encrypt(t, SDP, offer())
	return s
}

// TestArraySubsets drops every subset of the elements of arrays of up to five.
func TestArraySubsets(t *testing.T) {
	kinds := map[string]func(addr string) string{
		"objects": candidateInit,
		"strings": func(addr string) string { return quoted(host(addr)) },
		"spaced":  func(addr string) string { return " \n\t" + candidateInit(addr) + " \r" },
		"nested": func(addr string) string {
			return `{"candidate":` + quoted(host(addr)) + `,"more":[` + quoted(host(addr)) + `],"a":"` + addr + `"}`
		},
		"deeper": func(addr string) string { return `[` + quoted(host(addr)) + `]` },
	}
	for name, element := range kinds {
		for n := range 6 {
			for subset := range 1 << n {
				var in []string
				var want int
				for i := range n {
					addr := "10.77.1.2"
					if subset>>i&1 == 1 {
						addr = "fe80::1"
					} else {
						want++
					}
					in = append(in, element(addr))
				}
				s := withSession(t)
				body := `{"list":[` + strings.Join(in, ",") + ` ] }`
				body = strings.ReplaceAll(body, "typ host", "typ host ufrag XHiM")
				got, _ := s.encrypt(t, JSON, body)
				var v struct{ List []any }
				if err := json.Unmarshal([]byte(got), &v); err != nil {
					t.Fatalf("%s %d %b: %v in %s", name, n, subset, err, got)
				}
				if name == "nested" || name == "deeper" { // which have more in them than a candidate
					want = n
				}
				if len(v.List) != want || strings.Contains(got, "10.77") || strings.Contains(got, "fe80::") {
					t.Fatalf("%s %d %b: %d elements left, want %d: %s", name, n, subset, len(v.List), want, got)
				}
			}
		}
	}
}

func TestArrayGaps(t *testing.T) {
	d, k := candidateInit("127.0.0.1"), "null"
	for in, want := range map[string]string{
		"[ D ]":                               "[  ]",
		"[ D , D ]":                           "[  ]",
		"[ D , K ]":                           "[ K ]",
		"[ K , D ]":                           "[ K ]",
		"[ K , D , D ]":                       "[ K ]",
		"[ D , D , K ]":                       "[ K ]",
		"[ D,K , D ]":                         "[ K ]",
		"[K , D, K]":                          "[K, K]",
		"[K , D,D ,D, K]":                     "[K, K]",
		"[[D],K,[D,K]]":                       "[[],K,[K]]",
		`[{"x":D},{"x":D,"y":D},{"x":[D]},K]`: `[{"x":[]},K]`,
		`{"x":[[{"y":D},K],{"x":{}}]}`:        `{"x":[[K],{"x":{}}]}`,
		"{\"a\":[D,D]}":                       "{\"a\":[]}",
	} {
		fill := strings.NewReplacer("D", d, "K", k).Replace
		if got, _ := withSession(t).encrypt(t, JSON, fill(in)); got != fill(want) {
			t.Errorf("%s: got %s, want %s", in, got, fill(want))
		}
	}
}

// TestElementWithMore: an element goes only if the candidates that are dropped are all of its worth.
func TestElementWithMore(t *testing.T) {
	s := withSession(t)
	in := `[{"sdp":` + quoted(offer(host("10.77.1.2"))) + `,"candidate":` + quoted(host("127.0.0.1")) + `}]`
	got, report := s.encrypt(t, JSON, in)
	if report.Encrypted != 1 || report.Dropped != 1 || !strings.Contains(got, `"candidate":""}]`) || !strings.Contains(got, "v=0") {
		t.Errorf("report %+v, got %s", report, got)
	}
}

func TestNothingLeft(t *testing.T) {
	dropped := candidateInit("127.0.0.1")
	for body, nothing := range map[string]bool{
		dropped:                              true,
		" " + dropped + "\n":                 true,
		quoted(host("127.0.0.1")):            true,
		"[" + dropped + "]":                  false,
		`{"type":"ice","x":` + dropped + `}`: false,
		`{"a":[` + dropped + `]}`:            false,
		`{"candidate":` + quoted(host("127.0.0.1")) + `,"candidate":` + quoted(host("127.0.0.1")) + `}`: false,
	} {
		r, err := withSession(t).Encrypt(context.Background(), Request{Body: []byte(body), Format: JSON, Client: client})
		if nothing != errors.Is(err, ErrNothingLeft) || r == nil || nothing != (r.Body == nil) || r.Report.Dropped == 0 {
			t.Errorf("%s: %v, %+v", body, err, r)
		}
		if !nothing && !json.Valid(r.Body) {
			t.Errorf("%s: got %s", body, r.Body)
		}
	}
	r, err := newGateway(t, "").Encrypt(context.Background(), Request{Body: []byte(host("127.0.0.1") + "\r\n"), Format: Fragment, Client: client})
	if !errors.Is(err, ErrNothingLeft) || r.Report.Dropped != 1 {
		t.Errorf("a fragment of one candidate: %v, %+v", err, r)
	}
}

func TestPassedUnchanged(t *testing.T) {
	for _, body := range []string{
		"null", " null\n", "[]", "{}", `""`, "3.14e-2", "true", "[null, null]", `{"candidate":null}`, `{"candidate":""}`,
		` { "candidate" : "" , "sdpMid":"0","usernameFragment" : "XHiM" } `, `{"sdp":""}`, `{"type":"rollback","sdp":null}`,
		`{"chat":"our candidate: Jo","n":[1,{"a":[]},"\u0041\ud83d\ude00\\\"\/\b\f\n\r\t"]}`, `{"sdp":{"type":"offer"}}`,
		`{"lone":"\ud800","pair":"\ud800\u0041","other":"\udc00\ud800\udc00"}`,
	} {
		for _, call := range []func(testing.TB, Format, string) (string, Report){newGateway(t, "").encrypt, newGateway(t, "").decrypt} {
			if got, report := call(t, JSON, body); got != body || len(report.Candidates) != 0 {
				t.Errorf("%s: report %+v, got %s", body, report, got)
			}
		}
	}
}

func TestEscapes(t *testing.T) {
	init := candidateInit("10.77.1.2")
	var all strings.Builder
	for _, c := range host("10.77.1.2") {
		fmt.Fprintf(&all, `\u%04X`, c)
	}
	for name, body := range map[string]string{
		"key":                    strings.Replace(init, `"candidate":`, `"\u0063andidate":`, 1),
		"ufrag's key":            strings.Replace(init, `"usernameFragment"`, `"username\u0046ragment"`, 1),
		"ufrag":                  strings.Replace(init, `"XHiM"`, `"\u0058HiM"`, 1),
		"word":                   strings.Replace(init, "candidate:", `c\u0061ndidate\u003A`, 1),
		"address":                strings.Replace(init, "10.77.1.2", `1\u0030.77\u002e1.2`, 1),
		"space":                  strings.Replace(init, " udp ", `\u0020udp\u0020`, 1),
		"all of it":              `{"candidate":"` + all.String() + `","usernameFragment":"XHiM"}`,
		"sibling":                strings.Replace(init, "{", `{"address":"10.\u00377.1.2",`, 1),
		"sibling's name":         strings.Replace(init, "{", `{"10.\u00377.1.2":0,`, 1),
		"after a lone surrogate": strings.Replace(init, "{", `{"x":"\ud800\u0031\u0030.77.1.2 \udc0010.77.1.2",`, 1),
		"after a pair":           strings.Replace(init, "{", `{"x":"\ud83d\ude0010.77.1.2",`, 1),
		"a=candidate":            `{"x":"a=mid:0\u000d\u000a\u0061\u003dcandidate` + host("10.77.1.2")[11:] + ` ufrag XHiM"}`,
	} {
		got, report := withSession(t).encrypt(t, JSON, body)
		var v any
		if err := json.Unmarshal([]byte(got), &v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if report.Encrypted != 1 || strings.Contains(fmt.Sprint(v), "10.77.1.2") {
			t.Errorf("%s: report %+v, got %s", name, report, got)
		}
	}
	// A candidate that only half a surrogate pair keeps from being read is refused.
	_, err := withSession(t).Encrypt(context.Background(), Request{Format: JSON, Client: client,
		Body: []byte(strings.Replace(init, " udp ", ` u\ud800dp `, 1))})
	if !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

// TestNestedMessages has what applications make of the browsers' objects.
func TestNestedMessages(t *testing.T) {
	const addr = "10.77.1.2"
	for name, body := range map[string]string{
		"envelope":       `{"to":"bob","payload":{"type":"candidate","candidate":` + candidateInit(addr) + `}}`,
		"siblings":       `{"address":"` + addr + `","foundation":"1","port":4000,"relatedAddress":"10.77.1.2","candidate":` + candidateInit(addr) + `,"also":["x ` + addr + `"]}`,
		"duplicate keys": `{"candidate":` + quoted(host(addr)) + `,"candidate":` + quoted(host(addr)) + `,"usernameFragment":"none","usernameFragment":"XHiM"}`,
		"ufrag first":    `{"usernameFragment":"XHiM","x":[{"candidate":` + quoted(host(addr)) + `}]}`,
		"map":            `{"0":` + quoted(host(addr)+" ufrag XHiM") + `}`,
		"upper case":     `{"CANDIDATE":` + quoted("CANDIDATE:"+host(addr)[12:]+" UFRAG XHiM") + `}`,
		"fragment":       `{"lines":` + quoted(host(addr)+" ufrag XHiM\r\na=end-of-candidates\r\n") + `}`,
		"two lines":      `[` + quoted(host(addr)+" ufrag XHiM\n"+host(addr)+" ufrag XHiM") + `]`,
	} {
		got, report := withSession(t).encrypt(t, JSON, body)
		if report.Encrypted == 0 || report.Encrypted != len(report.Candidates) || strings.Contains(got, addr) {
			t.Errorf("%s: report %+v, got %s", name, report, got)
		}
		if strings.Contains(got, `"foundation":"1"`) {
			t.Errorf("%s: the foundation is still there: %s", name, got)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: got %s", name, got)
		}
		for i, c := range report.Candidates {
			if c.Item == 0 || name == "two lines" && c.Line != i+1 {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
	// A related address that is told in a sibling, of a candidate whose host came in another call.
	in := `{"candidate":` + quoted(srflx) + `,"relatedAddress":"10.77.1.2","address":"203.0.113.5"}`
	got, _ := newGateway(t, "").encrypt(t, JSON, in)
	if !strings.HasSuffix(got, `"relatedAddress":"0.0.0.0","address":"203.0.113.5"}`) {
		t.Errorf("got %s", got)
	}
}

// TestStringsAreReadAsJSONSays compares with encoding/json.
func TestStringsAreReadAsJSONSays(t *testing.T) {
	for _, in := range []string{`""`, `"abc"`, `"\u0041\ud83d\ude00\\\"\/\b\f\n\r\t"`, `"é\ud800x\ud800\u0041\udc00"`, `"\ud800\ud83d\ude00"`} {
		w := walker{s: in}
		at, _, err := w.scan()
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal([]byte(in), &want); err != nil {
			t.Fatal(err)
		}
		x := &text{written: at.Of(in), start: at.Start, quoted: true}
		x.s = unescape(x.written)
		whole := x.inBody(sdp.Span{End: len(x.s)})
		if x.s != want || w.at != len(in) || whole != (sdp.Span{Start: 1, End: len(in) - 1}) {
			t.Errorf("%s: got %q, want %q, at %v", in, x.s, want, whole)
		}
		for i := range len(x.s) { // each part, cut out of what is written, reads as the same
			if !utf8.RuneStart(x.s[i]) || strings.ContainsRune(x.s, utf8.RuneError) {
				continue
			}
			_, n := utf8.DecodeRuneInString(x.s[i:])
			if part := x.inBody(sdp.Span{Start: i, End: i + n}); unescape(part.Of(in)) != x.s[i:i+n] {
				t.Errorf("%s: octet %d is at %v", in, i, part)
			}
		}
	}
}

func TestDeepJSON(t *testing.T) {
	const depth = 9_000 // encoding/json takes no more than 10,000
	body := strings.Repeat("[", depth) + quoted(host("127.0.0.1")) + strings.Repeat("]", depth)
	got, _ := newGateway(t, "").encrypt(t, JSON, body)
	if want := strings.Repeat("[", depth) + strings.Repeat("]", depth); got != want {
		t.Errorf("got %d octets", len(got))
	}
}

func TestRequestIsNotChanged(t *testing.T) {
	for name, r := range recordedBodies(t) {
		before := string(r.Body)
		s := newGateway(t, "")
		result, err := s.Encrypt(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Body) != before || &r.Body[0] == &result.Body[0] {
			t.Errorf("%s: the request's body changed or was handed back", name)
		}
		if r.Format == JSON {
			var in, out any
			if err := errors.Join(json.Unmarshal(r.Body, &in), json.Unmarshal(result.Body, &out)); err != nil {
				t.Fatal(err)
			}
			if reflect.DeepEqual(in, out) {
				t.Errorf("%s: nothing changed", name)
			}
		}
	}
}

// TestPlaces asks for the places of offsets in any order, and wants those that one pass from the start gives.
func TestPlaces(t *testing.T) {
	var written strings.Builder
	for written.Len() < 5000 {
		written.WriteString([]string{"a", "bcdefgh", `\n`, `\u0041`, `\ud83d\ude00`, `\ud83d`, "\u00e9", `\u20ac`}[rand.IntN(8)])
	}
	t.Run("", func(t *testing.T) {
		made := func() *text { return &text{s: unescape(written.String()), written: written.String(), quoted: true} }
		x := made()
		at := 0
		for range 2_000 {
			if at += rand.IntN(200); rand.IntN(20) == 0 || at > len(x.s) {
				at = rand.IntN(len(x.s) + 1)
			}
			fresh := made()
			if got, want := x.place(at), fresh.reach(place{}, at); got != want {
				t.Fatalf("offset %d: got %+v, want %+v", at, got, want)
			}
			if n := len(x.marks); n > len(x.s)/markEach {
				t.Fatalf("%d marks in %d octets", n, len(x.s))
			}
		}
		if len(x.marks) < len(x.s)/(2*markEach) {
			t.Errorf("%d marks in %d octets", len(x.marks), len(x.s))
		}
	})
}
