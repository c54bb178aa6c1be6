package gateway

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

// draftSuites are those under which an ice-pwd serves one address.
var draftSuites = cipher.Suites()[1:]

func TestGuardWithinOneDescription(t *testing.T) {
	for _, suite := range draftSuites {
		t.Run(suite.String(), func(t *testing.T) {
			s := newGateway(t, "")
			got, report := s.encryptUnder(t, suite, SDP, recorded(t, "chromium-raw.sdp"))
			if report.Encrypted != 6 || report.Dropped != 18 { // UDP and TCP, in each of three sections
				t.Errorf("report %+v", report)
			}
			name := field(t, got, 0, 4)
			for i := range 6 {
				if field(t, got, i, 4) != name {
					t.Errorf("candidate %d has another name", i)
				}
			}
			if s.open(t, name, pwd) != "10.77.1.2" {
				t.Error("the name is not that of the first address")
			}
			for _, c := range report.Candidates[1:4] {
				if c.Result != FateDropped || !strings.Contains(c.Reason, "one address of an ice-pwd") {
					t.Errorf("got %+v", c)
				}
			}
			if len(s.seen) != 1 {
				t.Errorf("the resolver heard of %d names", len(s.seen))
			}
			for n, p := range s.seen {
				if n.String()+".local" != name || p != pwd {
					t.Errorf("the resolver heard of %v", n)
				}
			}
			checkConcealed(t, got)
		})
	}
}

func TestGuardAcrossCalls(t *testing.T) {
	const mdns = "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" // 10.77.1.2
	for _, suite := range draftSuites {
		t.Run(suite.String(), func(t *testing.T) {
			s := newGateway(t, "")
			one := func(addr, with string) (string, Report) {
				return s.encryptUnder(t, suite, SDP, strings.Replace(offer(host(addr)), pwd, with, 1))
			}
			other := strings.Repeat("x", 22)
			first, _ := one("10.77.1.2", pwd)
			again, _ := one("10.77.1.2", pwd)
			if field(t, first, 0, 4) != field(t, again, 0, 4) || field(t, first, 0, 0) == field(t, again, 0, 0) {
				t.Errorf("got %s, then %s", first, again)
			}
			ends := pwd[:16] + "zzzzzzzzzz" // the same as far as any suite looks
			for _, tt := range []struct {
				addr, pwd string
				want      Fate
			}{
				{"10.77.3.2", pwd, FateDropped},
				{"10.77.3.2", ends, FateDropped},
				{mdns, pwd, FateDropped},          // the same address by another name
				{mdns, other, FateEncrypted},      // its own ice-pwd
				{mdns, other, FateEncrypted},      // repeated
				{"10.77.1.2", other, FateDropped}, // a raw guess, right
				{"10.77.3.2", other, FateDropped}, // and wrong: nobody can tell
			} {
				got, report := one(tt.addr, tt.pwd)
				if report.Candidates[0].Result != tt.want {
					t.Errorf("%s under %s: %+v", tt.addr, tt.pwd, report.Candidates)
				}
				if tt.want == FateDropped && strings.Contains(got, "candidate:") {
					t.Errorf("got %s", got)
				}
			}
		})
	}
}

func TestGuardGCMUsesTwelveOctets(t *testing.T) {
	k, err := cipher.GenerateKey(cipher.AESGCM)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(10, time.Now)
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	if g.admit(k, "123456789012aaaaaaaaaa", "", a) != "" || g.admit(k, "123456789012bbbbbbbbbb", "", b) == "" {
		t.Error("two addresses under one IV")
	}
	if g.admit(k, "12345678901xaaaaaaaaaa", "", b) != "" {
		t.Error("another IV was refused")
	}
}

func TestGuardIsPerKey(t *testing.T) {
	g := newGuard(10, time.Now)
	for i, suite := range draftSuites {
		k, err := cipher.GenerateKey(suite)
		if err != nil {
			t.Fatal(err)
		}
		if g.admit(k, pwd, "", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})) != "" {
			t.Errorf("%v: a new key was refused", suite)
		}
	}
}

// TestGuardForgetsNothingInUse fills the guard. What it holds must stay until it is old.
func TestGuardForgetsNothingInUse(t *testing.T) {
	k, err := cipher.GenerateKey(cipher.AESGCM)
	if err != nil {
		t.Fatal(err)
	}
	now := t0
	g := newGuard(3, func() time.Time { return now })
	admit := func(pwd, addr string) bool { return g.admit(k, pwd, "", netip.MustParseAddr(addr)) == "" }
	for _, p := range []string{"a", "b", "c"} {
		if !admit(p, "10.0.0.1") {
			t.Fatalf("%s was refused", p)
		}
		now = now.Add(time.Minute)
	}
	if admit("d", "10.0.0.1") {
		t.Error("a fourth was admitted, so that one was forgotten")
	}
	if !admit("a", "10.0.0.1") || admit("a", "10.0.0.2") {
		t.Error("a full guard does not know what it holds")
	}
	now = t0.Add(sessionExpires + time.Minute) // b is old; a was used later
	if admit("b", "10.0.0.2") {
		t.Error("old entries count as long as they are there")
	}
	if !admit("d", "10.0.0.9") || g.table.Len() != 3 {
		t.Error("an old entry did not make room")
	}
	if admit("a", "10.0.0.2") || admit("c", "10.0.0.2") || admit("d", "10.0.0.2") {
		t.Error("the wrong entry made room")
	}
}

func TestDraftSuiteRefusesItsPrefix(t *testing.T) {
	s := newGateway(t, "")
	body := offer(host("64:ff9b::10.77.1.2"), host("10.77.1.2"))
	got, report := s.encryptUnder(t, cipher.AESGCM, SDP, body)
	if report.Encrypted != 1 || len(report.Refused()) != 1 || strings.Contains(report.Candidates[0].Reason, ":") {
		t.Errorf("report %+v", report) // nor is the ice-pwd spent on what cannot be encrypted
	}
	if strings.Contains(got, "64:ff9b") {
		t.Errorf("got %s", got)
	}
	if _, report = s.encrypt(t, SDP, body); report.Encrypted != 2 {
		t.Errorf("aes-uuid takes both: %+v", report)
	}
}
