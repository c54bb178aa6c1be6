package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

var recordedTrickles = []string{"chromium-mdns", "chromium-raw", "firefox-mdns", "firefox-raw"}

func TestTrickleOneByOne(t *testing.T) {
	for _, name := range recordedTrickles {
		t.Run(name, func(t *testing.T) {
			s := newGateway(t, "")
			session := recordedTrickle(t, name+".trickle.json")
			if got, report := s.encrypt(t, SDP, session.Initial); got != session.Initial || len(report.Candidates) != 0 {
				t.Errorf("the initial description changed: %+v", report)
			}
			byName := map[string]string{}
			n := 0
			for _, raw := range session.Candidates {
				in := string(raw)
				got, report := s.encrypt(t, JSON, in)
				if in == "null" || strings.Contains(in, `"candidate": ""`) {
					if got != in {
						t.Errorf("%s became %s", in, got)
					}
					continue
				}
				n++
				if report.Encrypted != 1 {
					t.Fatalf("report %+v", report)
				}
				checkConcealed(t, got)
				was, now := field(t, in, 0, 4), field(t, got, 0, 4)
				want := was
				if addr, ok := browserNames[was]; ok {
					want = addr
					if first, ok := byName[was]; ok && first != now { // a browser's name has one name
						t.Errorf("%s became %s and %s", was, first, now)
					}
				}
				byName[was] = now
				if s.open(t, now, "") != want {
					t.Errorf("%s opens to another address than %s", now, want)
				}
				// Nothing but address and foundation changed.
				back := strings.Replace(got, now, was, 1)
				back = strings.Replace(back, "candidate:"+field(t, got, 0, 0), "candidate:"+field(t, in, 0, 0), 1)
				if back != in {
					t.Errorf("got %s for %s", got, in)
				}
			}
			if n < 6 {
				t.Errorf("only %d candidates", n)
			}
		})
	}
}

// TestTrickleAgreesWithDescription: a browser's name has the same name in a description and trickled.
func TestTrickleAgreesWithDescription(t *testing.T) {
	for _, name := range []string{"chromium-mdns", "firefox-mdns"} {
		s := newGateway(t, "")
		whole, _ := s.encrypt(t, SDP, recorded(t, name+".sdp"))
		for _, raw := range recordedTrickle(t, name+".trickle.json").Candidates {
			if strings.Contains(string(raw), ".local") {
				got, _ := s.encrypt(t, JSON, string(raw))
				if !strings.Contains(whole, field(t, got, 0, 4)) {
					t.Errorf("%s: another name than in the description: %s", name, got)
				}
			}
		}
	}
}

func TestTrickleArray(t *testing.T) {
	for _, name := range recordedTrickles {
		s := newGateway(t, "")
		session := recordedTrickle(t, name+".trickle.json")
		s.encrypt(t, JSON, description(session.Initial))
		in, err := json.Marshal(session.Candidates)
		if err != nil {
			t.Fatal(err)
		}
		got, report := s.encrypt(t, JSON, string(in))
		var out []json.RawMessage
		if err := json.Unmarshal([]byte(got), &out); err != nil || len(out) != len(session.Candidates) {
			t.Errorf("%v, %d elements", err, len(out))
		}
		if report.Encrypted != strings.Count(string(in), "candidate:") || report.Encrypted != len(report.Candidates) {
			t.Errorf("report %+v", report)
		}
		checkConcealed(t, got)
	}
}

func TestTrickleFragment(t *testing.T) {
	s := newGateway(t, "")
	s.encrypt(t, SDP, offer())
	for _, body := range []string{
		"a=ice-ufrag:XHiM\r\na=ice-pwd:" + pwd + "\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + host("10.77.1.2") + "\r\n",
		"a=ice-ufrag:XHiM\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + host("10.77.1.2") + "\r\na=end-of-candidates\r\n",
		host("10.77.1.2") + " ufrag XHiM",
	} {
		got, report := s.encrypt(t, Fragment, body)
		if report.Encrypted != 1 || s.open(t, field(t, got, 0, 4), "") != "10.77.1.2" {
			t.Errorf("report %+v, got %s", report, got)
		}
	}
}

func TestTrickleUnknownSession(t *testing.T) {
	for name, prepare := range map[string]func(*setup){
		"never seen":     func(*setup) {},
		"another client": func(s *setup) { s.Encrypt(context.Background(), Request{Body: []byte(offer()), Format: SDP}) },
		"expired": func(s *setup) {
			s.encrypt(t, SDP, offer())
			s.now = s.now.Add(sessionExpires)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGateway(t, "")
			prepare(s)
			for range 2 { // asking must not bring an expired session back
				r, err := s.Encrypt(context.Background(), Request{Body: []byte(candidateInit("10.77.1.2")), Format: JSON, Client: client})
				if !errors.Is(err, ErrNothingLeft) || r.Body != nil {
					t.Fatalf("got %v, %+v", err, r)
				}
				checkReport(t, &r.Report)
				if c := r.Report.Refused(); len(c) != 1 || !strings.Contains(c[0].Reason, "no session seen here") {
					t.Errorf("report %+v", r.Report)
				}
			}
		})
	}
	// Without any ufrag.
	r, err := withSession(t).Encrypt(context.Background(), Request{Body: []byte(quoted(host("10.77.1.2"))), Format: JSON, Client: client})
	if !errors.Is(err, ErrNothingLeft) || !strings.Contains(r.Report.Candidates[0].Reason, "names no ufrag") {
		t.Errorf("got %v, %+v", err, r)
	}
}

func TestSessionLastsWhileUsed(t *testing.T) {
	s := withSession(t)
	for range 5 {
		s.now = s.now.Add(sessionExpires - time.Second)
		if _, report := s.encrypt(t, JSON, candidateInit("10.77.1.2")); report.Encrypted != 1 {
			t.Fatalf("report %+v", report)
		}
	}
}

// TestRestart: a new description of the same ufrag brings another password.
func TestRestart(t *testing.T) {
	s := newGateway(t, "")
	other := strings.Repeat("y", 30)
	for _, p := range []string{pwd, other} {
		s.encrypt(t, SDP, strings.Replace(offer(), pwd, p, 1))
		got, _ := s.encryptUnder(t, cipher.AESGCM, JSON, candidateInit("10.77.1.2"))
		if s.open(t, field(t, got, 0, 4), p) != "10.77.1.2" {
			t.Error("encrypted under another password")
		}
	}
}
