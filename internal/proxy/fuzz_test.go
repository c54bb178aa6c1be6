package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// FuzzWebSocket sends one message through the proxy, and one more after it. What arrives is what was sent but for
// what stands in its strings and lines, or nothing does and the connection is closed; an address of a host
// candidate never arrives.
func FuzzWebSocket(f *testing.F) {
	came := make(chan []byte, 10)
	upstream := sockets(f, nil, func(c *websocket.Conn) {
		defer c.CloseNow()
		for {
			_, body, err := c.Read(context.Background())
			if err != nil {
				came <- nil
				return
			}
			came <- body
		}
	})
	s := new(setup).start(f, upstream)
	for _, text := range []string{
		"", "hello", `{"chat":"hello"}`, inJSON(fullOffer), trickled(raw), fullOffer, fragment, raw, "a=" + raw, trickled(broken),
		`42["candidate",` + trickled(raw) + `]`, `["` + strings.ReplaceAll(trickled(raw), `"`, `\"`) + `"]`, `{"a":` + inJSON(fullOffer) + `,"b":[` + trickled(raw) + `]}`,
		`{"candidate":"c\u0061ndidate:1 1 udp 1 10.77.1.2 1 typ host ufrag abcd"}`, "\x00" + raw, `{"candidate":""}`, `[` + trickled(raw) + `,` + trickled(raw) + `]`,
		"CANDIDATE:1 1 udp 1 10.77.1.2 1 TYP host", `{"sdp":"` + address + `"}`,
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, message string, isText bool) {
		c := s.dial(t, "/", nil)
		defer c.CloseNow()
		send(t, c, inJSON(offer))
		if got := <-came; string(got) != inJSON(offer) {
			t.Fatalf("got %q", got)
		}
		kind := websocket.MessageBinary
		if isText {
			kind = websocket.MessageText
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Write(ctx, kind, []byte(message)); err != nil {
			t.Fatal(err)
		}
		const last = "the message after it"
		send(t, c, last)
		go c.Read(ctx) // which answers a close
		var got []byte
		for passed := false; ; {
			body := next(t, came)
			if body == nil { // closed: the message was refused
				if passed {
					t.Fatalf("it passed, and the next did not: %q became %q", message, got)
				}
				return
			}
			if string(body) == last && (passed || message != last) {
				if !passed {
					c.Close(1000, "")
					next(t, came)
					return // it was left out
				}
				break
			}
			got, passed = body, true
		}
		c.CloseNow()
		for next(t, came) != nil {
		}
		if bytes.Equal(got, []byte(message)) {
			if tells(message) {
				t.Fatalf("it passed as it is: %q", message)
			}
			return
		}
		if !isText && !json.Valid([]byte(message)) {
			t.Fatalf("binary: %q became %q", message, got)
		}
		if tells(string(got)) {
			t.Fatalf("%q became %q, which tells", message, got)
		}
		if !utf8.ValidString(message) && isText {
			t.Fatalf("what is no text passed: %q", message)
		}
		if json.Valid([]byte(message)) != json.Valid(got) {
			t.Fatalf("%q became %q", message, got)
		}
	})
}

func next(t *testing.T, came chan []byte) []byte {
	t.Helper()
	select {
	case body := <-came:
		return body
	case <-time.After(patience):
		t.Fatal("nothing arrives")
		return nil
	}
}

// hostCandidate is a host candidate with an address that other hosts can reach, in plain text.
var hostCandidate = regexp.MustCompile(`(?i)candidate:[0-9a-z+/]{1,32} [0-9]{1,5} udp [0-9]{1,10} 10\.77\.1\.2 [0-9]{1,5} typ host`)

// tells reports whether the address of a host candidate can be read in a message, escapes undone.
func tells(message string) bool {
	plain := message
	for range 4 {
		if hostCandidate.MatchString(plain) {
			return true
		}
		var undone string
		if json.Unmarshal([]byte(`"`+plain+`"`), &undone) != nil || undone == plain {
			break
		}
		plain = undone
	}
	return false
}
