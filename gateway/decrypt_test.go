package gateway

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/candgw/candgw/cipher"
)

// encryptedForms writes an address under a suite in every form that there is.
func (s *setup) encryptedForms(t *testing.T, suite cipher.Suite, addr string) map[string]string {
	t.Helper()
	k, err := s.ring.Active(suite)
	if err != nil {
		t.Fatal(err)
	}
	n, err := k.Encrypt(netip.MustParseAddr(addr), pwd, nil)
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{
		".local":     host(n.String() + ".local"),
		".encrypted": host(n.String() + ".encrypted"),
		"upper case": host(strings.ToUpper(n.String() + ".Local.")),
	}
	if suite.NeedsPassword() {
		e := cipher.Extension{Name: n, KeyID: k.ID(), Suite: suite}
		forms["extension"] = host("0.0.0.0") + " generation 0 " + string(e.AppendText(nil))
		forms["extension, IPv6"] = host("::") + " " + string(e.AppendText(nil))
	}
	return forms
}

func TestDecryptAllForms(t *testing.T) {
	for _, suite := range cipher.Suites() {
		for _, addr := range []string{"10.77.1.2", "2001:db8:77:1::2"} {
			s := newGateway(t, "")
			for form, line := range s.encryptedForms(t, suite, addr) {
				t.Run(suite.String()+" "+form, func(t *testing.T) {
					got, report := s.decrypt(t, SDP, offer(line))
					want := host(addr)
					if strings.Contains(line, "generation") {
						want += " generation 0"
					}
					if got != offer(want) || report.Decrypted != 1 {
						t.Errorf("report %+v, got %s", report, got)
					}
					// On the way out it is encrypted already.
					if again, report := s.encrypt(t, SDP, offer(line)); again != offer(line) || report.Kept != 1 {
						t.Errorf("report %+v, got %s", report, again)
					}
				})
			}
		}
	}
}

func TestDecryptTrickled(t *testing.T) {
	for _, suite := range cipher.Suites() {
		s := newGateway(t, "")
		s.decrypt(t, SDP, offer())
		for form, line := range s.encryptedForms(t, suite, "10.77.1.2") {
			body := `{"candidate":"` + line + `","usernameFragment":"XHiM"}`
			got, report := s.decrypt(t, JSON, body)
			if report.Decrypted != 1 || field(t, got, 0, 4) != "10.77.1.2" {
				t.Errorf("%v %s: report %+v, got %s", suite, form, report, got)
			}
			// Another client has no such session.
			if suite.NeedsPassword() {
				r, err := s.Decrypt(context.Background(), Request{Body: []byte(body), Format: JSON, Client: client.Next()})
				if err != nil || r.Report.Kept != 1 {
					t.Errorf("%v %s: %v, %+v", suite, form, err, r)
				}
			}
		}
	}
}

func TestDecryptLeavesTheRest(t *testing.T) {
	s := newGateway(t, "")
	forms := s.encryptedForms(t, cipher.AESGCM, "10.77.1.2")
	flipped := forms[".local"]
	i := strings.Index(flipped, ".local")
	flipped = flipped[:i-1] + map[bool]string{true: "1", false: "0"}[flipped[i-1] == '0'] + flipped[i:]
	for name, line := range map[string]string{
		"address":           host("10.77.1.2"),
		"browser's name":    host("884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local"),
		"forged":            flipped,
		"forged extension":  host("0.0.0.0") + " ciphertext AAAA cryptoparams keyid 0011223344556677 csid aes-gcm",
		"unspecified":       host("0.0.0.0"),
		"name in the world": host("host.example.com"),
	} {
		got, report := s.decrypt(t, SDP, offer(line))
		if got != offer(line) || report.Kept != 1 {
			t.Errorf("%s: report %+v, got %s", name, report, got)
		}
	}
}

// TestDecryptNeverSteersHome has a name that stands for an address that no policy would encrypt.
func TestDecryptNeverSteersHome(t *testing.T) {
	s := newGateway(t, "")
	for _, addr := range []string{"127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.251", "0.0.0.0"} {
		got, report := s.decrypt(t, SDP, offer(s.encryptedForms(t, cipher.AESUUID, addr)[".local"]))
		if got != offer() || report.Dropped != 1 {
			t.Errorf("%s: report %+v, got %s", addr, report, got)
		}
	}
}
