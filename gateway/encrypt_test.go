package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// TestOnlyEditsChange puts the original spans back into what comes out, and wants what went in.
func TestOnlyEditsChange(t *testing.T) {
	for name, r := range recordedBodies(t) {
		t.Run(name, func(t *testing.T) {
			s := newGateway(t, "")
			c, err := s.begin(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.encryptBody(context.Background()); err != nil {
				t.Fatal(err)
			}
			result, err := c.result()
			if err != nil {
				t.Fatal(err)
			}
			edits := c.edits
			if result.Report.Encrypted == 0 || len(edits) < result.Report.Encrypted {
				t.Fatalf("%d edits, report %+v", len(edits), result.Report)
			}
			var back []edit
			shift := 0
			for _, e := range edits {
				span := e.Span
				span.Start += shift
				shift += len(e.with) - (e.End - e.Start)
				span.End += shift
				back = append(back, edit{span, e.Of(string(r.Body))})
			}
			if got := string(apply(string(result.Body), back)); got != string(r.Body) {
				t.Errorf("got %q\nwant %q", got, r.Body)
			}
			checkConcealed(t, string(result.Body))
		})
	}
}

func TestKeepAllIsIdentity(t *testing.T) {
	for name, r := range recordedBodies(t) {
		t.Run(name, func(t *testing.T) {
			s := newGateway(t, keepAll)
			got, report := s.encrypt(t, r.Format, string(r.Body))
			if got != string(r.Body) {
				t.Errorf("got %q\nwant %q", got, r.Body)
			}
			if report.Kept != len(report.Candidates) || report.Kept == 0 || report.Redacted != 0 {
				t.Errorf("report %+v", report)
			}
		})
	}
}

func TestEncryptAgainIsStable(t *testing.T) {
	bodies := recordedBodies(t)
	bodies["srflx"] = Request{Format: SDP, Body: []byte(offer(host("10.77.1.2"),
		"a=candidate:2 1 udp 1 203.0.113.5 4000 typ srflx raddr 10.77.1.2 rport 4000",
		"a=candidate:3 1 udp 1 203.0.113.9 4000 typ relay raddr 203.0.113.5 rport 4000 generation 0"))}
	for name, r := range bodies {
		for _, suite := range cipher.Suites() {
			t.Run(name+" "+suite.String(), func(t *testing.T) {
				s := newGateway(t, "")
				once, _ := s.encryptUnder(t, suite, r.Format, string(r.Body))
				s.names.asked = nil
				twice, report := s.encryptUnder(t, suite, r.Format, once)
				for _, name := range s.names.asked {
					if browserNames[name] == "" {
						t.Errorf("asked the link for %s", name)
					}
				}
				if once != twice || report.Encrypted != 0 {
					t.Errorf("report %+v, got %s\nwant %s", report, twice, once)
				}
			})
		}
	}
}

func TestEncryptThenDecrypt(t *testing.T) {
	for name, r := range recordedBodies(t) {
		t.Run(name, func(t *testing.T) {
			s := newGateway(t, "")
			encrypted, report := s.encrypt(t, r.Format, string(r.Body))
			plain, back := s.decrypt(t, r.Format, encrypted)
			if back.Decrypted != report.Encrypted || back.Kept != 0 {
				t.Errorf("encrypted %+v, decrypted %+v", report, back)
			}
			for i := range report.Candidates {
				want := field(t, string(r.Body), i, 4)
				if addr, ok := browserNames[want]; ok {
					want = addr
				}
				if got := field(t, plain, i, 4); got != want {
					t.Errorf("candidate %d: got %s, want %s", i, got, want)
				}
			}
		})
	}
}

func TestChromiumRaw(t *testing.T) {
	s := newGateway(t, "")
	body := recorded(t, "chromium-raw.sdp")
	got, report := s.encrypt(t, SDP, body)
	if report.Encrypted != 24 || report.Redacted != 3 || report.Kept+report.Dropped+report.Unresolved != 0 {
		t.Errorf("report %+v", report)
	}
	checkConcealed(t, got)
	for _, line := range []string{"c=IN IP4 0.0.0.0\r\n", "m=audio 9 UDP", "m=video 9 UDP", "m=application 9 UDP"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in %s", line, got)
		}
	}
	// Equal addresses have equal names, other addresses others; so with foundations.
	byAddr, byFoundation := map[string]string{}, map[string]string{}
	for i := range report.Candidates {
		for word, seen := range map[int]map[string]string{4: byAddr, 0: byFoundation} {
			old, now := field(t, body, i, word), field(t, got, i, word)
			if was, ok := seen[old]; ok && was != now {
				t.Errorf("%q became %q and %q", old, was, now)
			}
			seen[old] = now
		}
		if addr := s.open(t, field(t, got, i, 4), ""); addr != field(t, body, i, 4) {
			t.Errorf("candidate %d opens to %s", i, addr)
		}
	}
	for what, m := range map[string]map[string]string{"addresses": byAddr, "foundations": byFoundation} {
		if values := slices.Sorted(maps.Values(m)); len(slices.Compact(values)) != len(m) {
			t.Errorf("unequal %s became equal: %v", what, m)
		}
	}
	for old, now := range byFoundation {
		if old == now || strings.Contains(got, "candidate:"+old+" ") {
			t.Errorf("foundation %s is still there", old)
		}
	}
}

// TestNoOracle has one guess encrypted twice: whoever sees the results must not be able to compare.
func TestNoOracle(t *testing.T) {
	s := newGateway(t, "")
	first, _ := s.encrypt(t, SDP, recorded(t, "chromium-raw.sdp"))
	second, _ := s.encrypt(t, SDP, recorded(t, "chromium-raw.sdp"))
	for i := range 24 {
		for _, word := range []int{0, 4} {
			if field(t, first, i, word) == field(t, second, i, word) {
				t.Errorf("candidate %d, word %d is the same in both", i, word)
			}
		}
	}
}

func TestRepeatedOfferRepeatsNames(t *testing.T) {
	for _, name := range []string{"chromium-mdns.sdp", "firefox-mdns.sdp"} {
		s := newGateway(t, "")
		first, report := s.encrypt(t, SDP, recorded(t, name))
		second, _ := s.encrypt(t, SDP, strings.ReplaceAll(recorded(t, name), ".local ", ".LOCAL. "))
		if first != second || report.Encrypted != len(report.Candidates) {
			t.Errorf("report %+v, first %s\nsecond %s", report, first, second)
		}
		for mdns := range browserNames {
			if strings.Contains(first, mdns) {
				t.Errorf("%s is still there", mdns)
			}
		}
	}
}

// TestNamesAreNoOracle puts guesses beside a name that the gateway knows the address of. What becomes
// of a guess must not depend on whether it is right.
func TestNamesAreNoOracle(t *testing.T) {
	const mdns = "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" // 10.77.1.2
	s := newGateway(t, "")
	encrypted, _ := s.encrypt(t, SDP, offer(host("10.77.1.2")))
	for _, name := range []string{mdns, field(t, encrypted, 0, 4)} {
		var bodies []string
		var reports []string
		for _, guess := range []string{"10.77.1.2", "10.77.1.3"} {
			got, report := s.encrypt(t, SDP, offer(host(name), "a=x:"+guess, "a=candidate:7 1 udp 1 "+guess+" 4000 typ srflx"))
			got = strings.ReplaceAll(got, guess, "GUESS")
			got = strings.ReplaceAll(got, field(t, got, 1, 0), "FOUNDATION") // random
			bodies = append(bodies, got)
			reports = append(reports, fmt.Sprint(report))
		}
		if bodies[0] != bodies[1] || reports[0] != reports[1] {
			t.Errorf("a right guess shows: %s %s\nand %s %s", bodies[0], reports[0], bodies[1], reports[1])
		}
	}
}

func TestNamesAreAskedInParallelWithinBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newGateway(t, "")
		s.names.ask = func(ctx context.Context, name string) {
			wait := time.Second
			if strings.HasPrefix(name, "edc0c956") {
				wait = time.Hour // nobody answers
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		start := time.Now()
		got, report := s.encrypt(t, SDP, recorded(t, "firefox-mdns.sdp"))
		if took := time.Since(start); took != defaultPatience {
			t.Errorf("took %v, want %v", took, defaultPatience)
		}
		if len(s.names.asked) != 2 {
			t.Errorf("asked for %d names, want each once", len(s.names.asked))
		}
		if report.Encrypted != 10 || report.Unresolved != 10 {
			t.Errorf("report %+v", report)
		}
		if n := strings.Count(got, "edc0c956-2771-47ad-bc18-b3a4d1a49d6a.local "); n != 10 {
			t.Errorf("the name that nobody answered for stands %d times", n)
		}
		// A request that ends takes its questions with it.
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		r, err := s.Encrypt(ctx, Request{Body: []byte(recorded(t, "firefox-mdns.sdp")), Format: SDP, Client: client})
		if err != nil || r.Report.Unresolved != 20 {
			t.Errorf("%v, report %+v", err, r)
		}
	})
}

func TestNoMoreNamesThanCandidates(t *testing.T) {
	s := newGateway(t, "")
	var lines []string
	for i := range 200 {
		lines = append(lines, host(fmt.Sprintf("name-%d.local", i)))
	}
	_, report := s.encrypt(t, SDP, offer(lines...))
	if len(s.names.asked) != MaxCandidates || report.Dropped != 200-MaxCandidates || report.Unresolved != MaxCandidates {
		t.Errorf("asked for %d, report dropped %d, unresolved %d", len(s.names.asked), report.Dropped, report.Unresolved)
	}
}

func TestWithoutNames(t *testing.T) {
	s := newGateway(t, "")
	s.config.Names = nil
	body := recorded(t, "chromium-mdns.sdp")
	got, report := s.encrypt(t, SDP, body)
	if got != body || report.Unresolved != 6 {
		t.Errorf("report %+v, got %s", report, got)
	}
}

func TestFates(t *testing.T) {
	const srflx = "a=candidate:2 1 udp 1 203.0.113.5 4000 typ srflx raddr 10.77.1.2 rport 4000"
	for _, tt := range []struct {
		name, line string
		want       Fate
		reason     string
		refused    bool
	}{
		{"host", host("10.77.1.2"), FateEncrypted, "", false},
		{"host, IPv6", host("FD12:3456:789A:1::2"), FateEncrypted, "", false},
		{"host, IPv4-mapped", host("::ffff:10.77.1.2"), FateEncrypted, "", false},
		{"host, upper case", strings.Replace(host("10.77.1.2"), "host", "HOST", 1), FateEncrypted, "", false},
		{"host, ufrag of its own", host("10.77.1.2") + " ufrag none", FateEncrypted, "", false},
		{"loopback", host("127.0.0.1"), FateDropped, "no other host", false},
		{"loopback, IPv6", host("::1"), FateDropped, "no other host", false},
		{"loopback, IPv4-mapped", host("::ffff:127.0.0.1"), FateDropped, "no other host", false},
		{"link-local", host("169.254.3.4"), FateDropped, "no other host", false},
		{"link-local, IPv6", host("fe80::1"), FateDropped, "no other host", false},
		{"unspecified", host("0.0.0.0"), FateDropped, "no other host", false},
		{"unspecified, IPv6", host("::"), FateDropped, "no other host", false},
		{"multicast", host("224.0.0.251"), FateDropped, "no other host", false},
		{"multicast, IPv6", host("ff02::fb"), FateDropped, "no other host", false},
		{"broadcast", host("255.255.255.255"), FateDropped, "no other host", false},
		{"srflx", srflx, FateKept, `kept by policy "default", candidate "srflx"`, false},
		{"unknown type", strings.Replace(srflx, "srflx", "teapot", 1), FateDropped, "type is not known", false},
		{"unknown type, name", strings.Replace(host("nobody.local"), "host", "teapot", 1), FateDropped, "type is not known", false},
		{"browser's name", host("884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local"), FateEncrypted, "", false},
		{"name nobody knows", host("nobody.local"), FateUnresolved, "nobody", false},
		{"name of another kind", host("host.example.com"), FateDropped, "neither", false},
		{"encrypted under no key here", host("00112233-4455-4677-8899-aabbccddeeff.encrypted"), FateDropped, "neither", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, report := newGateway(t, "").encrypt(t, SDP, offer(tt.line))
			c := report.Candidates[0]
			if c.Result != tt.want || !strings.Contains(c.Reason, tt.reason) || c.Refused != tt.refused || c.Line != 9 {
				t.Errorf("got %+v", c)
			}
			if strings.Contains(got, "candidate:") == (tt.want == FateDropped) {
				t.Errorf("got %s", got)
			}
			if tt.want == FateDropped && got != offer() {
				t.Errorf("got %q, want %q", got, offer())
			}
			checkConcealed(t, got)
		})
	}
}

func TestPolicyDecides(t *testing.T) {
	const text = `policy "p" {
		clients = ["192.0.2.0/24"]
		candidate "host" {
			action = "encrypt"
			addresses = ["10.77.1.0/24"]
			otherwise = "keep"
		}
		candidate "srflx" { action = "drop" }
		name { suite = "aes-gcm" }
	}`
	s := newGateway(t, text)
	body := offer(host("10.77.1.2"), host("10.77.3.2"), "a=candidate:2 1 udp 1 203.0.113.5 4000 typ srflx")
	got, report := s.encrypt(t, SDP, body)
	if report.Encrypted != 1 || report.Kept != 1 || report.Dropped != 1 {
		t.Errorf("report %+v", report)
	}
	if name := field(t, got, 0, 4); strings.Count(name, ".") != 2 || s.open(t, name, pwd) != "10.77.1.2" {
		t.Errorf("name %s is not of the policy's suite", name)
	}
	if field(t, got, 1, 4) != "10.77.3.2" || strings.Contains(got, "203.0.113.5") {
		t.Errorf("got %s", got)
	}
	// A client that no policy is for.
	r, err := s.Encrypt(context.Background(), Request{Body: []byte(body), Format: SDP})
	if err != nil || r.Report.Dropped != 2 || r.Report.Kept != 1 || r.Report.Candidates[0].Reason != "dropped: no policy matches" {
		t.Errorf("%v, %+v", err, r)
	}
	// The client's address as a dual-stack socket tells it.
	mapped := Request{Body: []byte(body), Format: SDP, Client: netip.AddrFrom16(client.As16())}
	if r, err = s.Encrypt(context.Background(), mapped); err != nil || r.Report.Encrypted != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestSixtyFour(t *testing.T) {
	var lines []string
	for i := range 70 {
		lines = append(lines, host(fmt.Sprintf("10.77.1.%d", i+1)))
	}
	lines = append(lines, "a=x-note:10.77.1.70") // what is dropped is not told elsewhere either
	withoutUfrag := strings.Replace(offer(lines...), "a=ice-ufrag:XHiM\r\n", "", 1)
	for name, body := range map[string]string{"session": offer(lines...), "no ufrag": withoutUfrag} {
		s := newGateway(t, "")
		for range 2 { // a whole description begins anew
			got, report := s.encrypt(t, SDP, body)
			if report.Encrypted != 64 || len(report.Refused()) != 6 || strings.Contains(got, "10.77.") {
				t.Errorf("%s: report %d encrypted, %d refused", name, report.Encrypted, len(report.Refused()))
			}
		}
		if name != "session" {
			continue
		}
		candidate := `{"candidate":"candidate:1 1 udp 1 10.77.1.2 4000 typ host","usernameFragment":"XHiM"}`
		_, err := s.Encrypt(context.Background(), Request{Body: []byte(candidate), Format: JSON, Client: client})
		if !errors.Is(err, ErrNothingLeft) {
			t.Errorf("a trickled candidate beyond the 64th: %v", err)
		}
	}
}

// The address of a candidate of a type that nobody knows is told nowhere else.
func TestUnknownTypeIsConcealed(t *testing.T) {
	got, report := newGateway(t, "").encrypt(t, SDP, offer("a=candidate:1 1 udp 1 10.77.1.2 4000 typ teapot", "a=x-note:10.77.1.2"))
	if report.Dropped != 1 || strings.Contains(got, "10.77.") || !strings.Contains(got, "a=x-note:0.0.0.0") {
		t.Errorf("%d dropped of\n%s", report.Dropped, got)
	}
}

func TestNoActiveKey(t *testing.T) {
	s := newGateway(t, "")
	s.ring = new(keyring.Ring)
	for _, body := range []string{offer(host("10.77.1.2")), offer("a=candidate:2 1 udp 1 203.0.113.5 4000 typ srflx")} {
		r, err := s.Encrypt(context.Background(), Request{Body: []byte(body), Format: SDP, Client: client})
		if r != nil || !errors.Is(err, keyring.ErrNoActiveKey) {
			t.Errorf("got %v, %v", r, err)
		}
	}
}

func TestNoPolicyPassesNothing(t *testing.T) {
	s := newGateway(t, "")
	s.config.Policy = func() *policy.Set { return &policy.Set{} }
	got, report := s.encrypt(t, SDP, recorded(t, "chromium-raw.sdp"))
	if report.Dropped != 24 {
		t.Errorf("report %+v", report)
	}
	checkConcealed(t, got)
}
