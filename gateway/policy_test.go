package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/policy"
)

const (
	browserName = "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" // 10.77.1.2
	srflxLine   = "a=candidate:2 1 udp 1 203.0.113.5 4000 typ srflx raddr 10.77.1.2 rport 4000"
	relayLine   = "a=candidate:3 1 udp 1 198.51.100.9 4000 typ relay raddr 203.0.113.5 rport 4000"
)

// hostPolicy returns a policy with attributes in its block for hosts, and other blocks.
func hostPolicy(attributes string, blocks ...string) string {
	return "policy \"p\" {\n clients = [\"192.0.2.0/24\"]\n candidate \"host\" {\n" + attributes + "\n}\n" + strings.Join(blocks, "\n") + "\n}"
}

func tcp(line string) string { return strings.Replace(line, " udp ", " TCP ", 1) + " tcptype passive" }

// Each action and what bounds it, on host candidates with an address and with a browser's name.
func TestHostActions(t *testing.T) {
	for _, tt := range []struct {
		name, policy string
		line         string
		want         Fate
		by           string   // the block that decides
		addresses    []string // of the candidates that come out: an address, a name, or the address that one opens to after "="
	}{
		{"encrypt", `action = "encrypt"`, host("10.77.1.2"), FateEncrypted, `candidate "host", action`, []string{"=10.77.1.2"}},
		{"by default", ``, host("10.77.1.2"), FateEncrypted, `candidate "host"`, []string{"=10.77.1.2"}},
		{"drop", `action = "drop"`, host("10.77.1.2"), FateDropped, `candidate "host", action`, nil},
		{"drop a name", `action = "drop"`, host(browserName), FateDropped, `candidate "host", action`, nil},
		{"drop a name that nobody knows", `action = "drop"`, host("nobody.local"), FateDropped, `candidate "host", action`, nil},
		{"keep", `action = "keep"`, host("10.77.1.2"), FateKept, `candidate "host", action`, []string{"10.77.1.2"}},
		{"keep a name", `action = "keep"`, host(browserName), FateKept, `candidate "host", action`, []string{browserName}},
		{"augment", `action = "augment"`, host("10.77.1.2"), FateAugmented, `candidate "host", action`, []string{"=10.77.1.2", "10.77.1.2"}},
		{"augment a name", `action = "augment"`, host(browserName), FateAugmented, `candidate "host", action`, []string{"=10.77.1.2", browserName}},
		{"reveal a name", `action = "reveal"`, host(browserName), FateRevealed, `candidate "host", action`, []string{"10.77.1.2"}},
		{"reveal an address", `action = "reveal"`, host("10.77.1.2"), FateKept, `candidate "host", action`, []string{"10.77.1.2"}},
		{"reveal a name that nobody knows", `action = "reveal"`, host("nobody.local"), FateUnresolved, `candidate "host", action`, []string{"nobody.local"}},

		{"in addresses", `addresses = ["10.77.1.0/24"]`, host("10.77.1.2"), FateEncrypted, `candidate "host"`, []string{"=10.77.1.2"}},
		{"not in addresses", `addresses = ["10.77.1.0/24"]`, host("10.77.3.2"), FateDropped, `candidate "host", addresses`, nil},
		{"no addresses", `addresses = []`, host("10.77.1.2"), FateDropped, `candidate "host", addresses`, nil},
		{"otherwise keep", "addresses = [\"10.77.1.0/24\"]\notherwise = \"keep\"", host("10.77.3.2"), FateKept, `candidate "host", otherwise`, []string{"10.77.3.2"}},
		{"otherwise encrypt", "action = \"drop\"\naddresses = [\"10.77.1.0/24\"]\notherwise = \"encrypt\"", host("10.77.3.2"), FateEncrypted, `candidate "host", otherwise`, []string{"=10.77.3.2"}},
		{"otherwise reveal", "addresses = []\notherwise = \"reveal\"", host(browserName), FateRevealed, `candidate "host", otherwise`, []string{"10.77.1.2"}},
		{"a name, not in addresses", `addresses = ["10.77.3.0/24"]`, host(browserName), FateDropped, `candidate "host", addresses`, nil},
		{"a name that nobody knows may be in addresses", `addresses = ["10.77.3.0/24"]`, host("nobody.local"), FateUnresolved, `candidate "host"`, []string{"nobody.local"}},
		{"or not in them", "action = \"drop\"\naddresses = [\"10.77.3.0/24\"]\notherwise = \"encrypt\"", host(browserName), FateEncrypted, `candidate "host", otherwise`, []string{"=10.77.1.2"}},

		{"udp", `transports = ["udp"]`, host("10.77.1.2"), FateEncrypted, `candidate "host"`, []string{"=10.77.1.2"}},
		{"tcp, of which there is none", `transports = ["udp"]`, tcp(host("10.77.1.2")), FateDropped, `candidate "host", transports`, nil},
		{"tcp, otherwise", "transports = [\"udp\"]\notherwise = \"keep\"", tcp(host("10.77.1.2")), FateKept, `candidate "host", otherwise`, []string{"10.77.1.2"}},
		{"a name by tcp", `transports = ["udp"]`, tcp(host("nobody.local")), FateDropped, `candidate "host", transports`, nil},
		{"none at most", `max = 0`, host("10.77.1.2"), FateDropped, `candidate "host", max`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGateway(t, hostPolicy(tt.policy))
			got, report := s.encrypt(t, SDP, offer(tt.line))
			c := report.Candidates[0]
			if c.Result != tt.want || c.By == nil || c.By.Policy != "p" || c.By.Block != tt.by || c.Type != "host" {
				t.Errorf("got %+v", c)
			}
			if n := strings.Count(got, "a=candidate:"); n != len(tt.addresses) {
				t.Fatalf("%d candidates in %s", n, got)
			}
			for i, want := range tt.addresses {
				addr := field(t, got, i, 4)
				if opened, ok := strings.CutPrefix(want, "="); ok {
					want, addr = opened, s.open(t, addr, pwd)
				}
				if addr != want {
					t.Errorf("candidate %d is of %s, want %s", i, addr, want)
				}
			}
			if again, _ := s.encrypt(t, SDP, got); tt.want != FateAugmented && again != got {
				t.Errorf("a second pass made\n%s of\n%s", again, got)
			}
		})
	}
}

// An augmented candidate is the original one but for its foundation, and an encrypted one before it with
// the line's end and all else that the original has.
func TestAugment(t *testing.T) {
	s := newGateway(t, hostPolicy(`action = "augment"`))
	for _, end := range []string{"\r\n", "\n", ""} {
		body := strings.TrimSuffix(offer(host("10.77.1.2")+" generation 0"), "\r\n")
		if end == "\n" {
			body = strings.ReplaceAll(body, "\r\n", "\n")
		}
		body += end
		got, report := s.encrypt(t, SDP, body)
		if report.Augmented != 1 || report.Encrypted != 0 {
			t.Errorf("report %+v", report)
		}
		lines := strings.SplitAfter(got, "\n")
		i := strings.Count(body[:strings.Index(body, "a=candidate:")], "\n")
		if end == "" {
			end = "\r\n"
		}
		if want := strings.Replace(lines[i+1], " 10.77.1.2 ", " "+field(t, got, 0, 4)+" ", 1); strings.TrimRight(lines[i], "\r\n") != strings.TrimRight(want, "\r\n") || !strings.HasSuffix(lines[i], "0"+end) {
			t.Errorf("got %q, want %q", lines[i], want)
		}
		if field(t, got, 1, 0) == "1" || field(t, got, 1, 0) != field(t, got, 0, 0) {
			t.Errorf("the foundations are %s and %s", field(t, got, 0, 0), field(t, got, 1, 0))
		}
	}
}

func TestAugmentJSON(t *testing.T) {
	const candidate = `{"candidate":"candidate:1 1 udp 2122260223 10.77.1.2 4000 typ host ufrag XHiM","sdpMid":"0"}`
	for _, tt := range []struct {
		name, body string
		want       Fate
		count      int // of candidates that come out
	}{
		{"in an array", "[ " + candidate + " ]", FateAugmented, 2},
		{"in the array of an event", "[\"ice-candidate\", " + candidate + "]", FateEncrypted, 1},
		{"as a text in an array", `["candidate:1 1 udp 2122260223 10.77.1.2 4000 typ host ufrag XHiM"]`, FateAugmented, 2},
		{"two in an array", "[" + candidate + "," + strings.Replace(candidate, "10.77.1.2", "10.77.3.2", 1) + "]", FateAugmented, 4},
		{"alone", candidate, FateEncrypted, 1},
		{"in a message", `{"to":"bob","ice":` + candidate + `}`, FateEncrypted, 1},
		{"two in one element", "[[" + candidate + "],{\"a\":" + candidate + ",\"b\":" + candidate + "}]", FateAugmented, 4},
		{"in a description", `{"type":"offer","sdp":` + quote(t, offer(host("10.77.1.2"))) + `}`, FateAugmented, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGateway(t, hostPolicy(`action = "augment"`))
			s.encrypt(t, SDP, offer())
			got, report := s.encrypt(t, JSON, tt.body)
			if c := report.Candidates[0]; c.Result != tt.want {
				t.Errorf("got %+v", c)
			}
			if !json.Valid([]byte(got)) || strings.Count(got, "candidate:1 ") != 0 || strings.Count(got, " typ host") != tt.count {
				t.Errorf("got %s", got)
			}
			if tt.want == FateEncrypted && strings.Contains(got, "10.77.") {
				t.Errorf("it tells the address: %s", got)
			}
		})
	}
}

func quote(t *testing.T, s string) string {
	t.Helper()
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A bound holds for one type in one session, over all that is signaled for it, and counts what passes.
func TestMax(t *testing.T) {
	s := newGateway(t, hostPolicy("max = 2\naddresses = [\"10.77.0.0/16\"]", "candidate \"srflx\" {\n max = 1\n}"))
	body := offer(host("10.99.1.1"), host("10.77.1.1"), host("nobody.local"), host("10.77.1.3"), srflxLine, srflxLine, relayLine, relayLine)
	_, report := s.encrypt(t, SDP, body)
	want := []Fate{FateDropped, FateEncrypted, FateUnresolved, FateDropped, FateKept, FateDropped, FateKept, FateKept}
	for i, c := range report.Candidates {
		if c.Result != want[i] {
			t.Errorf("candidate %d: %+v, want %s", i, c, want[i])
		}
	}
	if r := report.Candidates[3].Reason; !strings.Contains(r, "2 of its type") {
		t.Errorf("reason %q", r)
	}
	trickled := `{"candidate":"candidate:1 1 udp 1 10.77.1.9 4000 typ host","usernameFragment":"XHiM"}`
	if _, err := s.Encrypt(context.Background(), Request{Body: []byte(trickled), Format: JSON, Client: client}); !errors.Is(err, ErrNothingLeft) {
		t.Errorf("a third one, trickled: %v", err)
	}
	if _, report = s.encrypt(t, SDP, body); report.Encrypted != 1 {
		t.Errorf("a new description of the session: %+v", report)
	}
}

func TestOriginDecides(t *testing.T) {
	s := newGateway(t, "policy \"meet\" {\n origins = [\"https://meet.example.com\"]\n candidate \"host\" {}\n}")
	for origin, want := range map[policy.Origin]Fate{"https://meet.example.com": FateEncrypted, "https://other.example.com": FateDropped, "": FateDropped} {
		r, err := s.Encrypt(context.Background(), Request{Body: []byte(offer(host("10.77.1.2"))), Format: SDP, Client: client, Origin: origin})
		if err != nil || r.Report.Candidates[0].Result != want {
			t.Errorf("%q: %v, %+v", origin, err, r)
		}
	}
}

// What a policy keeps of related addresses stays, even if it is that of a concealed host.
func TestKeepRelated(t *testing.T) {
	for value, want := range map[string]string{"keep": "raddr 10.77.1.2 rport 4000", "redact": "raddr 0.0.0.0 rport 9"} {
		s := newGateway(t, hostPolicy("", "candidate \"srflx\" {\n related_address = \""+value+"\"\n}"))
		got, _ := s.encrypt(t, SDP, offer(host("10.77.1.2"), srflxLine))
		if !strings.Contains(got, want) || strings.Contains(got, "candidate:2 ") != (value == "keep") {
			t.Errorf("%s: %s", value, got)
		}
	}
}

// A transport that is dropped does not take with it what another one tells.
func TestDroppedTransportConcealsNothingTold(t *testing.T) {
	s := newGateway(t, hostPolicy("action = \"keep\"\ntransports = [\"udp\"]"))
	_, report := s.encrypt(t, SDP, offer(tcp(host("10.77.1.2")), host("10.77.1.2")))
	if report.Dropped != 1 || report.Kept != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestRelayOnly(t *testing.T) {
	s := newGateway(t, hostPolicy("", "candidate \"relay\" {\n related_address = \"keep\"\n}\nsession {\n relay_only = true\n}"))
	encrypted, _ := newGateway(t, "").encrypt(t, SDP, offer(host("10.77.1.2")))
	name := field(t, encrypted, 0, 4)
	got, report := s.encrypt(t, SDP, offer(host("10.77.1.2"), host(browserName), host("nobody.local"), host(name), srflxLine, relayLine, "a=x-note:203.0.113.5 10.77.1.2"))
	if report.Kept != 1 || report.Dropped != 5 {
		t.Errorf("report %+v", report)
	}
	for _, told := range []string{"10.77.", "203.0.113.5", ".local"} {
		if strings.Contains(got, told) {
			t.Errorf("%s is in %s", told, got)
		}
	}
	if len(s.names.asked) != 0 {
		t.Errorf("asked for %v, whatever it is dropped", s.names.asked)
	}
	if c := report.Candidates[0]; c.By.Block != "session, relay_only" {
		t.Errorf("got %+v", c)
	}
}

// An own name of the ring is subject to the policy as well, as far as its address does not matter.
func TestOwnNamesUnderDrop(t *testing.T) {
	s := newGateway(t, "policy \"a\" {\n candidate \"host\" {}\n clients = [\"192.0.2.1/32\"]\n}\npolicy \"guests\" {}")
	encrypted, _ := s.encrypt(t, SDP, offer(host("10.77.1.2")))
	for addr, want := range map[string]Fate{"192.0.2.1": FateKept, "192.0.2.9": FateDropped} {
		r, err := s.Encrypt(context.Background(), Request{Body: []byte(encrypted), Format: SDP, Client: netip.MustParseAddr(addr)})
		if err != nil || r.Report.Candidates[0].Result != want {
			t.Errorf("%s: %v, %+v", addr, err, r)
		}
	}
}

func TestNameForms(t *testing.T) {
	keyID := func(s *setup, suite cipher.Suite) string {
		k, err := s.ring.Active(suite)
		if err != nil {
			t.Fatal(err)
		}
		return k.ID().String()
	}
	for _, tt := range []struct {
		name, form, addr string
		suite            cipher.Suite
		want             string // the candidate, with NAME, TEXT and KEYID for what is encrypted
	}{
		{"default", "", "10.77.1.2", cipher.AESUUID, "NAME.local 4000 typ host generation 0"},
		{"suffix", `suffix = "ice.example.com"`, "10.77.1.2", cipher.AESUUID, "NAME.ice.example.com 4000 typ host generation 0"},
		{"suffix of the draft", "suite = \"aes-gcm\"\nsuffix = \"encrypted\"", "10.77.1.2", cipher.AESGCM, "NAME.encrypted 4000 typ host generation 0"},
		{"addrtype", `extensions = ["addrtype"]`, "10.77.1.2", cipher.AESUUID, "NAME.local 4000 typ host generation 0 addrtype dnsipv4"},
		{"addrtype, IPv6", `extensions = ["addrtype"]`, "fd00::1", cipher.AESUUID, "NAME.local 4000 typ host generation 0 addrtype dnsipv6"},
		{"keyid", `extensions = ["keyid"]`, "10.77.1.2", cipher.AESUUID, "NAME.local 4000 typ host generation 0 keyid KEYID"},
		{"both", `extensions = ["keyid", "addrtype"]`, "fd00::1", cipher.AESUUID, "NAME.local 4000 typ host generation 0 addrtype dnsipv6 keyid KEYID"},
		{"form name", "suite = \"aes-gcm\"\nform = \"name\"", "10.77.1.2", cipher.AESGCM, "NAME.local 4000 typ host generation 0"},
		{"form extension", "suite = \"aes-gcm\"\nform = \"extension\"", "10.77.1.2", cipher.AESGCM, "0.0.0.0 4000 typ host generation 0 ciphertext TEXT cryptoparams keyid KEYID csid aes-gcm"},
		{"form extension, IPv6 and both", "suite = \"aes-ctr-hmac\"\nform = \"extension\"\nextensions = [\"addrtype\", \"keyid\"]", "fd00::1", cipher.AESCTRHMAC,
			"0.0.0.0 4000 typ host generation 0 addrtype inipv6 ciphertext TEXT cryptoparams keyid KEYID csid aes-ctr-hmac"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGateway(t, hostPolicy("", "name {\n"+tt.form+"\n}", "inbound {\n action = \"decrypt\"\n}"))
			// What the client says of its address no longer holds.
			body := offer(strings.Replace(host(tt.addr), " typ host", " typ host addrtype inipv4 keyid 0 generation 0", 1))
			got, report := s.encrypt(t, SDP, body)
			if report.Encrypted != 1 {
				t.Fatalf("report %+v", report)
			}
			_, line, _ := strings.Cut(got, "2122260223 ")
			line, _, _ = strings.Cut(line, "\r\n")
			want := strings.ReplaceAll(tt.want, "KEYID", keyID(s, tt.suite))
			words, wantWords := strings.Fields(line), strings.Fields(want)
			if len(words) != len(wantWords) {
				t.Fatalf("got %q, want %q", line, want)
			}
			for i, w := range wantWords {
				if suffix, ok := strings.CutPrefix(w, "NAME"); ok {
					if s.open(t, strings.TrimSuffix(words[i], suffix)+".local", pwd) != tt.addr || !strings.HasSuffix(words[i], suffix) {
						t.Errorf("got name %q", words[i])
					}
				} else if w != words[i] && w != "TEXT" {
					t.Errorf("got %q, want %q", line, want)
				}
			}
			// Again, nothing changes; and back, all that was written goes.
			if again, report := s.encrypt(t, SDP, got); again != got || report.Kept != 1 {
				t.Errorf("a second pass made\n%s of\n%s: %+v", again, got, report)
			}
			back, err := s.Decrypt(context.Background(), Request{Body: []byte(got), Format: SDP, Client: client})
			if err != nil || back.Report.Decrypted != 1 {
				t.Fatalf("%v, %+v", err, back)
			}
			plain := strings.Replace(body, " addrtype inipv4 keyid 0", "", 1)
			if want := strings.Replace(plain, "candidate:1 ", "candidate:"+field(t, got, 0, 0)+" ", 1); string(back.Body) != want {
				t.Errorf("got\n%s, want\n%s", back.Body, want)
			}
		})
	}
}

// A suite that the request asks for takes the form along only if it has it.
func TestSuiteOfRequestAndForm(t *testing.T) {
	s := newGateway(t, hostPolicy("", "name {\n suite = \"aes-gcm\"\n form = \"extension\"\n}"))
	got, _ := s.encryptUnder(t, cipher.AESUUID, SDP, offer(host("10.77.1.2")))
	if s.open(t, field(t, got, 0, 4), pwd) != "10.77.1.2" {
		t.Errorf("got %s", got)
	}
}

func TestInbound(t *testing.T) {
	for name, tt := range map[string]struct {
		block  string
		client string
		want   Fate
	}{
		"unset":   {"", "192.0.2.1", FateKept},
		"keep":    {"inbound {\n action = \"keep\"\n}", "192.0.2.1", FateKept},
		"decrypt": {"inbound {\n action = \"decrypt\"\n}", "192.0.2.1", FateDecrypted},
		"nobody":  {"inbound {\n action = \"decrypt\"\n}", "198.51.100.1", FateKept},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGateway(t, hostPolicy("", tt.block))
			sent, _ := s.encrypt(t, SDP, offer(host("10.77.1.2")))
			r, err := s.Decrypt(context.Background(), Request{Body: []byte(sent), Format: SDP, Client: netip.MustParseAddr(tt.client)})
			if err != nil || r.Report.Candidates[0].Result != tt.want || strings.Contains(string(r.Body), "10.77.1.2") != (tt.want == FateDecrypted) {
				t.Errorf("%v, %+v", err, r)
			}
		})
	}
}

// A copy tells nothing that the original does not.
func TestAugmentTellsNothingElse(t *testing.T) {
	const only = "action = \"augment\"\naddresses = [\"10.77.1.0/24\"]"
	s := newGateway(t, hostPolicy(only, "candidate \"srflx\" {\n action = \"augment\"\n}"))
	got, _ := s.encrypt(t, SDP, offer(host("10.77.3.2"), host("10.77.1.2")+" x-local 10.77.3.2"))
	if strings.Contains(got, "10.77.3.2") || strings.Count(got, "x-local 0.0.0.0") != 2 {
		t.Errorf("got %s", got)
	}
	const inJSON = `[{"candidate":"candidate:1 1 udp 1 203.0.113.5 4000 typ srflx raddr 10.77.3.2 rport 4000","relatedAddress":"10.77.3.2","foundation":"1"}]`
	fragment := "a=ice-ufrag:XHiM\r\na=ice-pwd:" + pwd + "\r\n"
	body := `[` + quote(t, fragment) + `,` + inJSON + `]`
	s.encrypt(t, SDP, offer())
	got, _ = s.encrypt(t, JSON, strings.Replace(body, `"candidate":"`, `"usernameFragment":"XHiM","candidate":"`, 1))
	if strings.Contains(got, "10.77.3.2") || strings.Contains(got, `"foundation":"1"`) || strings.Count(got, "typ srflx") != 2 {
		t.Errorf("got %s", got)
	}
}

// What went through once is not augmented again.
func TestAugmentTwice(t *testing.T) {
	s := newGateway(t, hostPolicy(`action = "augment"`))
	once, _ := s.encrypt(t, SDP, offer(host("10.77.1.2"), host(browserName)))
	if twice, report := s.encrypt(t, SDP, once); twice != once || report.Kept != 4 {
		t.Errorf("%+v made\n%s of\n%s", report, twice, once)
	}
}

// What a policy drops is told nowhere else in the body, and what was related to it neither.
func TestDroppedIsToldNowhere(t *testing.T) {
	s := newGateway(t, hostPolicy(`action = "drop"`, "candidate \"srflx\" {\n action = \"drop\"\n}"))
	for _, lines := range [][]string{
		{host("10.77.1.2"), "a=x-note:10.77.1.2"},
		{srflxLine, "a=x-note:10.77.1.2 203.0.113.5"},
	} {
		got, _ := s.encrypt(t, SDP, offer(lines...))
		if strings.Contains(got, "10.77.1.2") || strings.Contains(got, "203.0.113.5") {
			t.Errorf("got %s", got)
		}
	}
}

// One address by two transports, of which the policy tells one, comes out alike in either order.
func TestOrderOfCandidatesDoesNotMatter(t *testing.T) {
	for _, action := range []string{"keep", "augment"} {
		s := newGateway(t, hostPolicy("action = \""+action+"\"\ntransports = [\"udp\"]\notherwise = \"encrypt\""))
		for _, lines := range [][]string{{host("10.77.1.2"), tcp(host("10.77.1.2"))}, {tcp(host("10.77.1.2")), host("10.77.1.2")}} {
			_, report := s.encrypt(t, SDP, offer(lines...))
			if report.Encrypted != 1 || report.Kept+report.Augmented != 1 {
				t.Errorf("%s: %+v", action, report)
			}
		}
	}
}

// A bound does not hold for what is of no session that is known.
func TestMaxWantsASession(t *testing.T) {
	s := newGateway(t, hostPolicy("", "candidate \"srflx\" {\n max = 1\n}"))
	body := `{"candidate":"candidate:2 1 udp 1 203.0.113.5 4000 typ srflx","usernameFragment":"zzzz"}`
	r, err := s.Encrypt(context.Background(), Request{Body: []byte(body), Format: JSON, Client: client})
	if !errors.Is(err, ErrNothingLeft) || len(r.Report.Refused()) != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

// A space at the end of a line is no part of the candidate.
func TestSpaceAfterCandidate(t *testing.T) {
	s := newGateway(t, hostPolicy("", "name {\n extensions = [\"addrtype\"]\n}", "inbound {\n action = \"decrypt\"\n}"))
	got, _ := s.encrypt(t, SDP, offer(host("10.77.1.2")+" "))
	if r, err := s.Decrypt(context.Background(), Request{Body: []byte(got), Format: SDP, Client: client}); err != nil || r.Report.Decrypted != 1 {
		t.Errorf("%v of %q", err, got)
	}
}
