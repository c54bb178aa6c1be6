package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// newNode returns a node with a ring of one active key, made a day ago, and the built-in policies.
func newNode(t *testing.T, edits ...func(*keyring.Editor, cipher.KeyID) error) *Node {
	t.Helper()
	set, err := new(policy.Loader).Load(policy.Source{Name: "default.hcl", Text: policies.Default})
	if err != nil {
		t.Fatal(err)
	}
	key, err := cipher.GenerateKey(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	e := new(keyring.Ring).Edit(now.Add(-24 * time.Hour))
	if err := e.Add(key, keyring.Active); err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		if err := edit(e, key.ID()); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := e.Ring()
	if err != nil {
		t.Fatal(err)
	}
	return &Node{Config: config.Defaults(), Ring: ring, Policy: set, Root: t.TempDir(), Now: func() time.Time { return now }}
}

// check compares findings with what is to be among them, as "status, part of what it says".
func check(t *testing.T, r report, want ...string) {
	t.Helper()
	for _, w := range want {
		status, part, _ := strings.Cut(w, ", ")
		found := false
		for _, f := range r {
			found = found || f.Status == Status(status) && strings.Contains(f.Check+": "+f.What, part)
		}
		if !found {
			t.Errorf("no %q in %+v", w, r)
		}
	}
	for _, f := range r {
		if (f.Status == Fail) != (f.Status == Fail && f.Do != "") {
			t.Errorf("nothing to do about %+v", f)
		}
	}
	fails := 0
	for _, f := range r {
		if f.Status == Fail {
			fails++
		}
	}
	for _, w := range want {
		if strings.HasPrefix(w, "fail, ") {
			fails--
		}
	}
	if fails != 0 {
		t.Errorf("%d more findings fail than wanted: %+v", fails, r)
	}
}

func TestRing(t *testing.T) {
	active := func(n *Node) cipher.Suite { return cipher.AESUUID }
	for _, tt := range []struct {
		name string
		node func(*testing.T) *Node
		want []string
	}{
		{"right", func(t *testing.T) *Node { return newNode(t) }, []string{"ok, revision 1 loads", "ok, it encrypts under aes-uuid"}},
		{"none", func(t *testing.T) *Node { return &Node{RingError: keyring.ErrNoRing, Now: time.Now} }, []string{"fail, key ring: there is none"}},
		{"broken", func(t *testing.T) *Node { return &Node{RingError: errors.New("ring.json is damaged"), Now: time.Now} }, []string{"fail, ring.json is damaged"}},
		{"sealed beside", func(t *testing.T) *Node {
			n := newNode(t)
			n.KEKBeside = true
			return n
		}, []string{"warn, sealed under a key in its own folder"}},
		{"clock behind", func(t *testing.T) *Node {
			n := newNode(t)
			n.Now = func() time.Time { return now.Add(-25 * time.Hour) }
			return n
		}, []string{"fail, made or activated 1h0m0s from now"}},
		{"to be rotated", func(t *testing.T) *Node {
			n := newNode(t)
			n.Told.NextRotation = map[cipher.Suite]time.Time{active(n): now.Add(time.Hour)}
			return n
		}, []string{"ok, is replaced in 1h0m0s"}},
		{"rotation overdue", func(t *testing.T) *Node {
			n := newNode(t)
			n.Told.NextRotation = map[cipher.Suite]time.Time{active(n): now.Add(-time.Hour)}
			return n
		}, []string{"fail, should have been replaced 1h0m0s ago"}},
		{"old", func(t *testing.T) *Node {
			n := newNode(t)
			n.Now = func() time.Time { return now.Add(100 * 24 * time.Hour) }
			return n
		}, []string{"warn, since 101 days, and nothing replaces it"}},
		{"retired", func(t *testing.T) *Node {
			return newNode(t, func(e *keyring.Editor, id cipher.KeyID) error {
				next, err := cipher.GenerateKey(cipher.AESUUID)
				if err == nil {
					err = e.Add(next, keyring.Standby)
				}
				if err == nil {
					err = e.Activate(next.ID(), 26*time.Hour)
				}
				return err
			})
		}, []string{"ok, it is retired and opens names for another 2h0m0s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r report
			tt.node(t).checkRing(&r)
			check(t, r, tt.want...)
		})
	}
}

func TestPolicy(t *testing.T) {
	n := newNode(t)
	var r report
	n.checkPolicy(&r)
	check(t, r, "ok, 1 in use")

	r = nil
	n.PolicyError = errors.New("invalid policy: a.hcl:3")
	n.checkPolicy(&r)
	check(t, r, "fail, a.hcl:3")

	r = nil
	set, err := new(policy.Loader).Load(policy.Source{Name: "a.hcl", Text: []byte("policy \"a\" {\n name {\n suite = \"aes-gcm\"\n }\n}")})
	if err != nil {
		t.Fatal(err)
	}
	n.Policy, n.PolicyError = set, nil
	n.checkPolicy(&r)
	check(t, r, "fail, encrypts under aes-gcm, for which no key does")
}

// writeCertificate writes one that ends then, and returns its file.
func writeCertificate(t *testing.T, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, t.TempDir(), "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertificates(t *testing.T) {
	n := newNode(t)
	n.Certificates = []string{
		writeCertificate(t, now.Add(30*24*time.Hour)), writeCertificate(t, now.Add(24*time.Hour)), writeCertificate(t, now),
		write(t, t.TempDir(), "none.crt", "hello"), filepath.Join(t.TempDir(), "absent.crt"),
	}
	var r report
	n.checkCertificates(&r)
	check(t, r, "ok, is good for 30 days", "warn, expires in 24h0m0s", "fail, tls.crt has expired", "fail, none.crt holds no certificate", "fail, absent.crt")
}

func TestBrowsers(t *testing.T) {
	const chrome, firefox = "etc/opt/chrome/policies/managed/a.json", "etc/firefox/policies/policies.json"
	prefs := func(s string) string { return `{"policies": {"Preferences": {` + s + `}}}` }
	for _, tt := range []struct{ name, file, text, want string }{
		{"nothing that matters", chrome, `{"HomepageLocation": "https://corp.example"}`, "ok, a.json keeps nothing from working"},
		{"default handling", chrome, `{"WebRtcIPHandling": "default"}`, "ok, a.json keeps nothing"},
		{"no host candidates", chrome, `{"WebRtcIPHandling": "disable_non_proxied_udp"}`, "fail, WebRtcIPHandling: the browser offers no host candidates"},
		{"raw addresses of every page", chrome, `{"WebRtcIPHandling": "default_public_and_private_interfaces"}`, "warn, pages see private addresses"},
		{"raw addresses", chrome, `{"WebRtcLocalIpsAllowedUrls": ["https://meet.example"]}`, "warn, WebRtcLocalIpsAllowedUrls: pages see private addresses"},
		{"raw addresses for nobody", chrome, `{"WebRtcLocalIpsAllowedUrls": []}`, "ok, keeps nothing"},
		{"ports", chrome, `{"WebRtcUdpPortRange": "10000-11999"}`, "warn, from these ports alone"},
		{"broken", chrome, `{"WebRtc`, "warn, cannot be read"},
		{"Firefox", firefox, prefs(`"a.b": {"Value": 1}`), "ok, policies.json keeps nothing"},
		{"Firefox without WebRTC", firefox, prefs(`"media.peerconnection.enabled": {"Value": false, "Status": "locked"}`), "fail, WebRTC is switched off"},
		{"Firefox without hosts", firefox, prefs(`"media.peerconnection.ice.no_host": true`), "fail, no_host"},
		{"Firefox raw", firefox, prefs(`"media.peerconnection.ice.obfuscate_host_addresses": {"Value": false}`), "warn, raw"},
		{"Firefox raw for some", firefox, prefs(`"media.peerconnection.ice.obfuscate_host_addresses.blocklist": {"Value": "meet.example"}`), "warn, blocklist"},
		{"Firefox raw for nobody", firefox, prefs(`"media.peerconnection.ice.obfuscate_host_addresses.blocklist": {"Value": ""}`), "ok, keeps nothing"},
		{"none", "etc/other", "", "skip, no browser on this host is managed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			write(t, n.Root, tt.file, tt.text)
			var r report
			n.checkBrowsers(&r)
			check(t, r, tt.want)
			if len(r) != 1 {
				t.Errorf("got %d findings: %+v", len(r), r)
			}
		})
	}
}

// Without the ring, and with nobody who answers, every check that can be made is made.
func TestExamineNothing(t *testing.T) {
	n := &Node{Config: config.Defaults(), RingError: keyring.ErrNoRing, PolicyError: errors.New("no policy"), Root: t.TempDir(), Now: time.Now}
	n.Config.MDNS, n.Config.API.Listen = config.MDNS{}, "127.0.0.1:0"
	check(t, Examine(t.Context(), n), "fail, key ring", "fail, policies", "warn, Multicast DNS is switched off")
}
