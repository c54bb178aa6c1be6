package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// The model is another reader of messages, on encoding/json: slow, and plain.

// A modelToken is one of a message, in the order in which they stand there: a string in which no message is found, or
// anything else as it is written.
type modelToken struct {
	text   string
	string bool
}

var modelHead = regexp.MustCompile(`^([0-9]+-?/[!-+\--~]*,[0-9]*|[0-9]+-[0-9]*|[0-9]*)[ \t\r\n]*["{[]`)

// modelTokens returns the tokens of a message, and whether it is one.
func modelTokens(body string, whole bool, level int) ([]modelToken, bool) {
	if whole {
		if packets := modelPackets(body); packets != nil {
			return modelRecords(packets, level)
		}
	}
	return modelRecords(strings.Split(body, "\x1e"), level)
}

func modelRecords(records []string, level int) (out []modelToken, is bool) {
	for _, r := range records {
		r = strings.TrimLeft(strings.TrimPrefix(r, "\ufeff"), " \t\r\n")
		head := 0
		if strings.HasPrefix(r, "a[") {
			head = 1
		} else if m := modelHead.FindStringSubmatchIndex(r); m != nil {
			head = m[3]
		}
		tokens, ok := modelValues(r[head:], level)
		if ok && strings.ContainsAny(r[head:min(len(r), head+1)]+strings.TrimLeft(r[head:], " \t\r\n")[:1], `["{`) {
			is = true
			out = append(append(out, modelToken{r[:head], true}), tokens...)
		} else {
			out = append(out, modelToken{r, true})
		}
	}
	return out, is
}

// modelValues reads one value of JSON or several.
func modelValues(text string, level int) (out []modelToken, ok bool) {
	if strings.TrimSpace(text) == "" || strings.ContainsAny(strings.TrimSpace(text)[:1], "-0123456789tfn") {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		var v json.RawMessage
		switch err := d.Decode(&v); err {
		case io.EOF:
			return out, true
		case nil:
		default:
			return nil, false
		}
		inner := json.NewDecoder(bytes.NewReader(v))
		inner.UseNumber()
		for {
			next, err := inner.Token()
			if err != nil {
				break
			}
			switch next := next.(type) {
			case string:
				if nested, is := modelTokens(next, false, level+1); is && level < maxLevels {
					out = append(append(append(out, modelToken{text: "open"}), nested...), modelToken{text: "close"})
				} else {
					out = append(out, modelToken{next, true})
				}
			case json.Delim:
				out = append(out, modelToken{text: next.String()})
			default:
				b, err := json.Marshal(next)
				if err != nil {
					return nil, false
				}
				out = append(out, modelToken{text: string(b)})
			}
		}
	}
}

// modelPackets cuts an engine.io 3 payload, nil if it is none.
func modelPackets(body string) (out []string) {
	for body != "" {
		digits, rest, ok := strings.Cut(body, ":")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || strconv.Itoa(n) != digits || n < 1 {
			return nil
		}
		units := 0
		end := len(rest)
		for i, r := range rest + "." {
			if units >= n {
				end = i
				break
			}
			units += len(utf16.Encode([]rune{r}))
		}
		if units != n || end > len(rest) {
			return nil
		}
		out, body = append(out, rest[:end]), rest[end:]
	}
	return out
}

// wraps are the ways in which applications send what browsers make; BODY is that, in one or more strings of JSON if
// it is quoted so often.
var wraps = map[string]string{
	"bare":                  `BODY`,
	"indented":              " {\r\n\t\"to\" : \"bob\" ,\n \"message\" : BODY }\n",
	"string":                `"BODY1"`,
	"member":                `{"type":"ice","candidate":"BODY1","n":[1,-2.5e+3,true,null]}`,
	"string in string":      `{"a":{"b":"{\"c\":\"BODY2\"}"}}`,
	"string in two":         `["x","{\"y\":\"[\\\"z\\\",\\\"BODY3\\\"]\"}"]`,
	"socket.io":             `42["message",BODY]`,
	"socket.io, string":     `42["message","BODY1"]`,
	"socket.io, ack":        `4217["message",BODY]`,
	"socket.io, name space": `42/rooms?token=a.b:c:d,17["message",BODY]`,
	"socket.io, binary":     `451-["message",{"_placeholder":true,"num":0},BODY]`,
	"socket.io, all":        `451-/a,9["message",BODY]`,
	"engine.io":             `4BODY`,
	"engine.io 4 payload":   "42[\"a\",\"\u00e9\"]\x1e2\x1e42[\"message\",BODY]\x1ebAAECAw==\x1e3probe",
	"engine.io 3 payload":   "LENGTH:42[\"a\",\"\U0001F600\"]1:2LENGTH:42[\"message\",BODY]6:3probe",
	"SockJS":                `a["BODY1","h"]`,
	"SockJS, sent":          `["BODY1"]`,
	"SignalR":               `{"type":1,"target":"signal","arguments":["BODY1"]}` + "\x1e",
	"lines":                 "{\"hello\":1}\nBODY\n{}\n",
	"values":                `{"hello":1}BODY[]`,
	"mark":                  "\ufeffBODY",
	"Phoenix":               `["1","2","room:1","ice",{"data":BODY,"at":"2026-01-02T03:04:05Z"}]`,
}

// wrapped returns a message as an application would send it.
func wrapped(t testing.TB, how, body string) string {
	t.Helper()
	form, ok := wraps[how]
	if !ok {
		t.Fatalf("no such way: %s", how)
	}
	inside := body
	quotes := []string{body}
	for range 3 {
		inside = strings.TrimSuffix(strings.TrimPrefix(quoted(inside), `"`), `"`)
		quotes = append(quotes, inside)
	}
	out := strings.NewReplacer("BODY1", quotes[1], "BODY2", quotes[2], "BODY3", quotes[3], "BODY", body).Replace(form)
	if parts := strings.Split(out, "LENGTH:"); len(parts) > 1 { // each length is that of what follows, up to the next one
		out = ""
		for _, p := range parts[1:] {
			packet := p
			for _, next := range []string{"1:2", "6:3probe"} {
				packet = strings.TrimSuffix(packet, next)
			}
			out += strconv.Itoa(len(utf16.Encode([]rune(packet)))) + ":" + p
		}
	}
	return out
}
