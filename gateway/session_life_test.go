package gateway

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestSessionsByName has what clients do over the life of a call.
func TestSessionsByName(t *testing.T) {
	type step struct {
		format Format
		body   string
		client string // the client's address, if it is another than that of the table
		later  time.Duration
	}
	const raw, browsers = "10.77.1.2", "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local"
	long, other := strings.Repeat("p", 256), strings.Repeat("q", 24)
	describe := func(ufrag, p string, lines ...string) string {
		return strings.NewReplacer("XHiM", ufrag, pwd, p).Replace(offer(lines...))
	}
	trickle := func(ufrag, addr string) string { return strings.Replace(candidateInit(addr), "XHiM", ufrag, 1) }
	for _, tt := range []struct {
		name    string
		steps   []step
		dropped bool // the candidate of the last step
		repeats bool // its name is that of the first candidate before
	}{
		{"trickled over HTTP", []step{{format: SDP, body: describe("a", pwd)}, {format: JSON, body: trickle("a", raw)}}, false, false},
		{"trickled over a WebSocket", []step{{format: Message, body: `42["sdp",` + description(describe("a", pwd)) + `]`},
			{format: Message, body: `42["ice",` + trickle("a", raw) + `]`}}, false, false},
		{"described in one, trickled in the other", []step{{format: JSON, body: description(describe("a", pwd))},
			{format: Message, body: quoted(trickle("a", raw))}}, false, false},
		{"another client's ufrag", []step{{format: SDP, body: describe("a", pwd), client: "192.0.2.9"}, {format: JSON, body: trickle("a", raw)}}, true, false},
		{"the same client as IPv6", []step{{format: SDP, body: describe("a", pwd), client: "::ffff:192.0.2.1"}, {format: JSON, body: trickle("a", raw)}}, false, false},
		{"another ufrag", []step{{format: SDP, body: describe("a", pwd)}, {format: JSON, body: trickle("b", raw)}}, true, false},
		{"a long ufrag and password", []step{{format: SDP, body: describe(long, long)}, {format: JSON, body: trickle(long, raw)}}, false, false},
		{"a ufrag that is too long", []step{{format: SDP, body: describe(long+"p", pwd)}, {format: JSON, body: trickle(long+"p", raw)}}, true, false},
		{"a restart", []step{{format: SDP, body: describe("a", pwd, host(raw))}, {format: SDP, body: describe("b", other)}, {format: JSON, body: trickle("b", raw)}}, false, false},
		{"the session before a restart", []step{{format: SDP, body: describe("a", pwd, host(raw))}, {format: SDP, body: describe("b", other)},
			{format: JSON, body: trickle("a", raw)}}, false, true},
		{"a restart of a browser's name", []step{{format: SDP, body: describe("a", pwd, host(browsers))}, {format: SDP, body: describe("b", other)},
			{format: JSON, body: trickle("b", browsers)}}, false, false},
		{"the same ufrag with another password", []step{{format: SDP, body: describe("a", pwd, host(raw))}, {format: SDP, body: describe("a", long)},
			{format: JSON, body: trickle("a", raw)}}, false, false},
		{"renegotiation, raw", []step{{format: SDP, body: describe("a", pwd, host(raw))}, {format: SDP, body: describe("a", pwd, host(raw))}}, false, true},
		{"renegotiation, a browser's name", []step{{format: SDP, body: describe("a", pwd, host(browsers))}, {format: SDP, body: describe("a", pwd, host(browsers))}}, false, true},
		{"trickled, then described", []step{{format: SDP, body: describe("a", pwd)}, {format: JSON, body: trickle("a", raw)}, {format: SDP, body: describe("a", pwd, host(raw))}}, false, true},
		{"unused for a day", []step{{format: SDP, body: describe("a", pwd)}, {format: JSON, body: trickle("a", raw), later: sessionExpires}}, true, false},
		{"used within a day", []step{{format: SDP, body: describe("a", pwd)}, {format: JSON, body: trickle("a", raw), later: sessionExpires - 1},
			{format: JSON, body: trickle("a", raw), later: sessionExpires - 1}}, false, true},
		{"a fragment goes on", []step{{format: SDP, body: describe("a", pwd)},
			{format: Fragment, body: "a=ice-ufrag:a\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + host(raw) + "\r\n"}}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGateway(t, "")
			var names []string
			for i, step := range tt.steps {
				s.now = s.now.Add(step.later)
				from := client
				if step.client != "" {
					from = netip.MustParseAddr(step.client)
				}
				r, err := s.Encrypt(context.Background(), Request{Body: []byte(step.body), Format: step.format, Client: from, Secret: []byte("0123456789abcdef")})
				if r == nil {
					t.Fatal(err)
				}
				if tt.dropped && i == len(tt.steps)-1 {
					if r.Report.Dropped != 1 || len(r.Report.Refused()) != 1 {
						t.Errorf("report %+v", r.Report)
					}
					return
				}
				if r.Report.Encrypted != len(r.Report.Candidates) {
					t.Fatalf("step %d: report %+v", i, r.Report)
				}
				if r.Report.Encrypted > 0 {
					names = append(names, field(t, string(r.Body), 0, 4))
				}
			}
			last := names[len(names)-1]
			if repeats := len(names) > 1 && names[0] == last; repeats != tt.repeats {
				t.Errorf("names %q", names)
			}
			if s.open(t, last, "") != raw {
				t.Errorf("%s opens to another address", last)
			}
		})
	}
}
