package gateway

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// tricks are bodies that were made to get an address past the gateway.
var tricks = []string{
	offer(host("10.77.1.2"), "a=x:10.77.1.2:10.77.1.2", "c=IN IP4 10.77.1.2/1", "a=rtcp:1 IN IP4 10.77.1.2", "a=remote-candidates:1 10.77.1.2 1"),
	offer(host("0.0.0.0") + " ciphertext a cryptoparams keyid b csid c"),
	offer(host("nobody.local")+" raddr 10.77.1.2 rport 1", srflx, host("::ffff:10.77.1.2"), "s=::ffff:a4d:102"),
	`[{"candidate":"` + host("10.77.1.2") + `","a":"10.77.1.2"},{"x":"\u0061=\u0063andidate:1 1 udp 1 10.77.1.2 1 typ host"}]`,
	`{"10.77.1.2":"10.77.1.\u0032","candidate":"` + host("10.77.1.2") + `","usernameFragment":"XHiM"}`,
	`["candidate:1 1 udp 1 10.77.1.2 1 typ host\ncandidate:1 1 udp 1 10.77.1.2 1 typ host"]`,
	`"{\"candidate\":\"candidate:1 1 udp 1 10.77.1.2 1 typ host\"}"`,
}

// seed adds the recorded bodies, in all formats, and the tricks; it fails if there are none.
func seed(f *testing.F) {
	f.Helper()
	bodies := recordedBodies(f)
	if len(bodies) == 0 {
		f.Fatal("no seeds")
	}
	for _, r := range bodies {
		f.Add(uint8(r.Format), string(r.Body))
	}
	for _, name := range recordedTrickles {
		for _, raw := range recordedTrickle(f, name+".trickle.json").Candidates {
			f.Add(uint8(JSON), string(raw))
		}
	}
	for _, how := range wrapNames() {
		f.Add(uint8(Message), wrapped(f, how, description(offer(host("10.77.1.2"), "a=x:10.77.1.2"))))
		f.Add(uint8(Message), wrapped(f, how, `{"a":"10.77.1.2","candidate":"`+host("10.77.1.2")+`","foundation":"1"}`))
	}
	for _, body := range tricks {
		f.Add(uint8(Message), body)
		f.Add(uint8(SDP), body)
		f.Add(uint8(Fragment), body)
		f.Add(uint8(JSON), body)
		f.Add(uint8(JSON), description(body))
	}
}

// quiet is a NameResolver that remembers nothing.
type quiet map[string]string

func (q quiet) ResolveName(_ context.Context, name string, _ netip.Addr) (netip.Addr, error) {
	return netip.ParseAddr(q[name])
}

func formatOf(n uint8) Format { return Format(n%4) + SDP }

// FuzzKeepAll has a policy that keeps everything: what goes in comes out.
func FuzzKeepAll(f *testing.F) {
	seed(f)
	s := newGateway(f, keepAll)
	s.config.Names = quiet(browserNames)
	f.Fuzz(func(t *testing.T, format uint8, body string) {
		s.Gateway = New(s.config) // with no sessions
		r, err := s.Encrypt(context.Background(), Request{Body: []byte(body), Format: formatOf(format - 1), Client: client})
		if err != nil {
			checkNoLeakInError(t, body, err)
			return
		}
		checkReport(t, &r.Report)
		if r.Report.Dropped > 0 { // no policy allows loopback or a type that is not known
			return
		}
		if string(r.Body) != body || r.Report.Redacted+r.Report.Encrypted > 0 {
			t.Errorf("%+v: got %q, want %q", r.Report, r.Body, body)
		}
		if r, err = s.Decrypt(context.Background(), Request{Body: []byte(body), Format: formatOf(format - 1), Client: client}); err != nil || string(r.Body) != body {
			t.Errorf("decrypt: %v, %q", err, body)
		}
	})
}

// FuzzDefault wants that nobody finds the address of a host candidate in what comes out, and that
// what comes out goes through a second time as it is.
func FuzzDefault(f *testing.F) {
	seed(f)
	s := newGateway(f, "")
	s.config.Names = quiet(browserNames)
	f.Fuzz(func(t *testing.T, n uint8, body string) {
		format := formatOf(n - 1)
		s.Gateway = New(s.config) // with no sessions
		r, err := s.Encrypt(context.Background(), Request{Body: []byte(body), Format: format, Client: client})
		if err != nil {
			checkNoLeakInError(t, body, err)
			return
		}
		checkReport(t, &r.Report)
		before, after := stringsOf(t, format, body), stringsOf(t, format, string(r.Body))
		for _, text := range after {
			for _, c := range candidatesOf(text) {
				if addr, err := netip.ParseAddr(c.addr); err == nil && strings.EqualFold(c.typ, "host") && !addr.IsUnspecified() {
					t.Fatalf("%s is still a host candidate in %q", addr, text)
				}
				if addr, err := netip.ParseAddr(c.related); err == nil && !addr.IsUnspecified() {
					t.Fatalf("%s is still a related address in %q", addr, text)
				}
			}
		}
		for _, text := range before {
			for _, c := range candidatesOf(text) {
				addr, err := netip.ParseAddr(c.addr)
				if err != nil || !strings.EqualFold(c.typ, "host") || !policy.Reachable(addr.Unmap()) {
					continue
				}
				for _, out := range after {
					if holdsAddress(out, addr.Unmap()) {
						t.Fatalf("%s is still in %q", addr, out)
					}
				}
			}
		}
		s.Gateway = New(s.config)
		again, err := s.Encrypt(context.Background(), Request{Body: r.Body, Format: format, Client: client})
		if err != nil || string(again.Body) != string(r.Body) {
			t.Fatalf("a second time: %v, %+v, from %q", err, again, r.Body)
		}
		if _, err = s.Decrypt(context.Background(), Request{Body: r.Body, Format: format, Client: client}); err != nil {
			t.Fatalf("decrypt: %v", err)
		}
	})
}

// checkNoLeakInError wants no address of a body in an error.
func checkNoLeakInError(t *testing.T, body string, err error) {
	t.Helper()
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrNothingLeft) {
		t.Fatalf("got %v", err)
	}
	for _, word := range strings.Fields(body) {
		if _, e := netip.ParseAddr(word); e == nil && len(word) > 4 && strings.Contains(err.Error(), word) {
			t.Fatalf("%v tells %s", err, word)
		}
	}
}

// stringsOf returns the texts of a body as a reader of its format finds them.
func stringsOf(_ *testing.T, format Format, body string) (out []string) {
	if format != JSON && format != Message {
		return []string{body}
	}
	tokens, is := tokensOf(body, format)
	if !is {
		return []string{body}
	}
	for _, token := range tokens {
		if token.string {
			out = append(out, token.text)
		}
	}
	return out
}

type lenientCandidate struct{ addr, typ, related string }

// candidatesOf finds candidates anywhere in a text, as the most lenient reader would.
func candidatesOf(text string) (out []lenientCandidate) {
	lower := strings.ToLower(text)
	for at := 0; ; {
		i := strings.Index(lower[at:], "candidate:")
		if i < 0 || len(lower) != len(text) {
			return out
		}
		at += i + len("candidate:")
		line := text[at:]
		if i := strings.IndexAny(line, "\r\n"); i >= 0 {
			line = line[:i]
		}
		w := strings.Fields(line)
		if len(w) < 8 || !strings.EqualFold(w[6], "typ") {
			continue
		}
		c := lenientCandidate{addr: w[4], typ: w[7]}
		for i, word := range w[:len(w)-1] {
			if i > 7 && strings.EqualFold(word, "raddr") {
				c.related = w[i+1]
			}
		}
		out = append(out, c)
	}
}

// holdsAddress looks for an address, as it is written by default, that is no part of a longer one.
func holdsAddress(text string, addr netip.Addr) bool {
	text = strings.ToLower(text)
	want := addr.String()
	for at := 0; ; at++ {
		i := strings.Index(text[at:], want)
		if i < 0 {
			return false
		}
		at += i
		before := at > 0 && (isDigit(text[at-1]) || addr.Is6() && isAddressChar(text[at-1]))
		rest := text[at+len(want):]
		after := rest != "" && (isDigit(rest[0]) || addr.Is6() && isAddressChar(rest[0]))
		if !before && !after {
			return true
		}
	}
}

// TestFuzzHelpers: what looks for leaks must find them.
func TestFuzzHelpers(t *testing.T) {
	a4, a6 := netip.MustParseAddr("10.77.1.2"), netip.MustParseAddr("fd00::1")
	for text, want := range map[string]bool{
		"x10.77.1.2:1 fd00::1": true, "110.77.1.2 10.77.1.2 FD00::1,": true, "10.77.1.20 fd00::12 afd00::1": false,
	} {
		if holdsAddress(text, a4) != want || holdsAddress(text, a6) != want {
			t.Errorf("%q: got %v", text, !want)
		}
	}
	got := candidatesOf("{CANDIDATE:1\t1 udp 1  10.77.1.2 1 TYP host raddr 10.0.0.1 rport 1\n")
	if len(got) != 1 || got[0] != (lenientCandidate{"10.77.1.2", "host", "10.0.0.1"}) {
		t.Errorf("got %v", got)
	}
	if _, err := sdp.ParseCandidate(host("10.77.1.2")); err != nil {
		t.Error(err)
	}
}

// FuzzAugment has a policy that tells some addresses beside their names: the others are told nowhere, not in
// a copy either, and what comes out goes through a second time as it is.
func FuzzAugment(f *testing.F) {
	seed(f)
	f.Add(uint8(JSON), `[{"candidate":"candidate:1 1 udp 1 203.0.113.5 4000 typ srflx raddr 10.77.3.2 rport 4","relatedAddress":"10.77.3.2","foundation":"1"},{"candidate":"`+host("10.77.3.2")+`"}]`)
	f.Add(uint8(SDP), offer(host("10.77.3.2"), host("10.77.1.2")+" x-local 10.77.3.2", tcp(host("10.77.3.2"))))
	told := netip.MustParsePrefix("10.77.1.0/24")
	s := newGateway(f, hostPolicy("action = \"augment\"\naddresses = [\""+told.String()+"\"]", "candidate \"srflx\" {\n action = \"augment\"\n}"))
	s.config.Names = quiet(browserNames)
	f.Fuzz(func(t *testing.T, n uint8, body string) {
		format := formatOf(n - 1)
		s.Gateway = New(s.config) // with no sessions
		request := Request{Body: []byte(body), Format: format, Client: client}
		r, err := s.Encrypt(context.Background(), request)
		if err != nil {
			checkNoLeakInError(t, body, err)
			return
		}
		checkReport(t, &r.Report)
		after := stringsOf(t, format, string(r.Body))
		for _, text := range stringsOf(t, format, body) {
			for _, c := range candidatesOf(text) {
				addr, err := netip.ParseAddr(c.addr)
				if err != nil || !strings.EqualFold(c.typ, "host") || !policy.Reachable(addr.Unmap()) || told.Contains(addr.Unmap()) {
					continue
				}
				for _, out := range after {
					if holdsAddress(out, addr.Unmap()) {
						t.Fatalf("%s is still in %q", addr, out)
					}
				}
			}
		}
		request.Body = r.Body
		s.Gateway = New(s.config)
		if again, err := s.Encrypt(context.Background(), request); err != nil || string(again.Body) != string(r.Body) {
			t.Fatalf("a second time: %v, %+v, from %q", err, again, r.Body)
		}
	})
}
