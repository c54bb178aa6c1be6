package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

const fingerprint = "a=fingerprint:sha-256 12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD"

// assertion returns an a=identity line.
func assertion(text string) string {
	return "a=identity:" + base64.StdEncoding.EncodeToString([]byte(text))
}

// signed returns an offer with lines at the level of the session, where an assertion is one.
func signed(lines ...string) string {
	return strings.Replace(offer(fingerprint, "a=mid:0"), "m=application", strings.Join(append(lines, ""), "\r\n")+"m=application", 1)
}

// of returns the assertion of a provider, in the form of the example in RFC 8827, section 5.
func of(provider, identity string) string {
	return assertion(`{"idp":{"domain":"` + provider + `","protocol":"default"},"assertion":"{\"identity\":\"` + identity + `\",\"contents\":\"x\",\"signature\":\"y\"}"}`)
}

func token(provider, claims string) string {
	return assertion(`{"idp":{"domain":"` + provider + `"},"assertion":"eyJhbGciOiJSUzI1NiJ9.` + base64.RawURLEncoding.EncodeToString([]byte(claims)) + `.c2ln"}`)
}

func TestSessionRefuses(t *testing.T) {
	const (
		sdes        = "forbid_sdes = true"
		needPrint   = "require_fingerprint = true"
		needSomeone = "identity {\n require = true\n provider \"idp.example.com\" {}\n}"
		key         = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	)
	for _, tt := range []struct {
		name, session, body string
		format              Format
		says                string // empty if it passes
	}{
		{"SDES", sdes, offer(key), SDP, `line 9: it holds a media key (SDES; RFC 8827, section 6.5): policy "p", session, forbid_sdes`},
		{"SDES in a fragment", sdes, key + "\r\n", Fragment, "line 1: "},
		{"SDES in JSON", sdes, `[{"sdp":` + quote(t, offer()) + `},{"sdp":` + quote(t, offer(key)) + `}]`, JSON, "item 2 of the JSON, line 9: "},
		{"SDES, not forbidden", "", offer(key), SDP, ""},
		{"SDES, said not to be forbidden", "forbid_sdes = false", offer(key), SDP, ""},
		{"no SDES", sdes, offer(), SDP, ""},
		{"no fingerprint", needPrint, offer(), SDP, `line 5: no a=fingerprint governs the media section, so that DTLS does not protect it: policy "p", session, require_fingerprint`},
		{"no fingerprint, not required", "", offer(), SDP, ""},
		{"fingerprint", needPrint, offer(fingerprint), SDP, ""},
		{"a fragment has none", needPrint, "a=ice-ufrag:XHiM\r\nm=audio 9 X\r\na=mid:0\r\n", Fragment, ""},
		{"no assertion", needSomeone, offer(), SDP, `line 1: it has no identity assertion that is let through (a=identity; RFC 8827, section 5): policy "p", session, identity, require`},
		{"an assertion of another", needSomeone, signed(of("idp.example.org", "alice@example.com")), SDP, "line 1: "},
		{"an assertion", needSomeone, signed(of("idp.example.com", "alice@example.com")), SDP, ""},
		{"an assertion in a section, where it is none", needSomeone, offer(of("idp.example.com", "alice@example.com")), SDP, "line 1: "},
		{"another version", needPrint, `{"type":"offer","sdp":` + quote(t, strings.Replace(offer(), "v=0", "v=1", 1)) + `}`, JSON, "v=0"},
		{"a description under another name", sdes, `{"offer":` + quote(t, strings.Replace(offer(key), "v=0", "v=0 ", 1)) + `}`, JSON, "v=0"},
		{"a fragment has no assertion", needSomeone, "a=ice-ufrag:XHiM\r\n", Fragment, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGateway(t, hostPolicy("", "session {\n"+tt.session+"\n}"))
			for name, do := range map[string]func(context.Context, Request) (*Result, error){"encrypt": s.Encrypt, "decrypt": s.Decrypt} {
				r, err := do(context.Background(), Request{Body: []byte(tt.body), Format: tt.format, Client: client})
				if tt.says == "" {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				var refusal *Refusal
				refused := errors.Is(err, ErrRefused) && errors.As(err, &refusal) || errors.Is(err, ErrMalformed)
				if !refused || r != nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: %v, %+v", name, err, r)
				}
			}
		})
	}
}

// What is refused begins no session.
func TestRefusedIsNotRemembered(t *testing.T) {
	s := newGateway(t, hostPolicy("", "session {\n require_fingerprint = true\n}"))
	s.Encrypt(context.Background(), Request{Body: []byte(offer()), Format: SDP, Client: client})
	if len(s.sessions.appendPwd(nil, s.sessions.id(sessionKey{client, "XHiM"}))) > 0 {
		t.Error("it is")
	}
}

func TestAssertions(t *testing.T) {
	const anyDomain = "provider \"idp.example.com\" {}"
	const twoDomains = "provider \"IdP.example.com\" {\n domains = [\"example.com\", \"Example.org\"]\n}"
	for _, tt := range []struct {
		name, identity, line string
		through              bool
	}{
		{"of a provider", anyDomain, of("idp.example.com", "alice@anywhere.example"), true},
		{"letter case", anyDomain, of("IDP.example.COM", ""), true},
		{"of another", anyDomain, of("idp.example.org", "alice@example.com"), false},
		{"of a part of its name", anyDomain, of("example.com", "alice@example.com"), false},
		{"of nobody's", "", of("idp.example.com", "alice@example.com"), false},
		{"of a domain", twoDomains, of("idp.example.com", "alice@example.com"), true},
		{"of the other domain", twoDomains, of("idp.example.com", "alice@EXAMPLE.org"), true},
		{"of another domain", twoDomains, of("idp.example.com", "alice@example.net"), false},
		{"of a part of the domain", twoDomains, of("idp.example.com", "alice@sub.example.com"), false},
		{"of nobody at a domain", twoDomains, of("idp.example.com", "@example.com"), false},
		{"of a domain alone", twoDomains, of("idp.example.com", "example.com"), false},
		{"two signs", twoDomains, of("idp.example.com", "alice@example.com@example.net"), false},
		{"no domain", "provider \"idp.example.com\" {\n domains = []\n}", of("idp.example.com", "alice@example.com"), false},
		{"a token", twoDomains, token("idp.example.com", `{"sub":"1","email":"alice@example.com"}`), true},
		{"a token of another domain", twoDomains, token("idp.example.com", `{"email":"alice@example.net"}`), false},
		{"a token without email", twoDomains, token("idp.example.com", `{"sub":"alice@example.com"}`), false},
		{"a sealed assertion", twoDomains, assertion(`{"idp":{"domain":"idp.example.com"},"assertion":"opaque"}`), false},
		{"a sealed assertion for any domain", anyDomain, assertion(`{"idp":{"domain":"idp.example.com"},"assertion":"opaque"}`), true},
		{"not base64", anyDomain, "a=identity:%%%", false},
		{"not JSON", anyDomain, assertion("idp.example.com"), false},
		{"no provider", anyDomain, assertion(`{"assertion":"x"}`), false},
		{"no assertion", anyDomain, assertion(`{"idp":{"domain":"idp.example.com"}}`), false},
		{"provider in other letters", anyDomain, assertion(`{"idp":{"domain":"evil.example"},"IDP":{"domain":"idp.example.com"},"assertion":"x"}`), false},
		{"domain in other letters", anyDomain, assertion(`{"idp":{"domain":"evil.example","Domain":"idp.example.com"},"assertion":"x"}`), false},
		{"no text for a domain", anyDomain, assertion(`{"idp":{"domain":["idp.example.com"]},"assertion":"x"}`), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newGateway(t, hostPolicy("", "session {\nidentity {\n"+tt.identity+"\n}\n}"))
			body := signed(tt.line)
			got, report := s.encrypt(t, SDP, body)
			want, out := body, 0
			if !tt.through {
				want, out = signed(), 1
			}
			if got != want || report.Assertions != out {
				t.Errorf("%d taken out of\n%s", report.Assertions, got)
			}
		})
	}
	s := newGateway(t, "")
	if body := offer(of("idp.example.org", "x")); true {
		if got, _ := s.encrypt(t, SDP, body); got != body {
			t.Errorf("no policy asks for it, and it is %s", got)
		}
	}
}
