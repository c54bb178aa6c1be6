package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/candgw/candgw/internal/api"
)

// A testPKI is two authorities with a client each, and one client whose certificate ends soon.
type testPKI struct {
	authority, other    []*x509.Certificate
	client, otherClient tls.Certificate
	shortClient         tls.Certificate
}

func certificates(t *testing.T) testPKI {
	t.Helper()
	a, key := authority(t)
	b, otherKey := authority(t)
	return testPKI{
		authority: []*x509.Certificate{a}, other: []*x509.Certificate{b},
		client: issue(t, a, key, time.Hour), otherClient: issue(t, b, otherKey, time.Hour), shortClient: issue(t, a, key, 3*time.Second),
	}
}

func authority(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func issue(t *testing.T, by *x509.Certificate, with *ecdsa.PrivateKey, life time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "caller"}, NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// serveTLS serves an API as serve does, over TLS that verifies certificates of both authorities.
func serveTLS(t *testing.T, pki testPKI, change ...func(*api.Config)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(serve(t, change...).Config.Handler)
	pool := x509.NewCertPool()
	pool.AddCert(pki.authority[0])
	pool.AddCert(pki.other[0])
	s.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func with(s *httptest.Server, certificate ...tls.Certificate) *http.Client {
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = certificate
	return &http.Client{Transport: transport}
}

func get(t *testing.T, c *http.Client, url string, header ...string) int {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

// TestCertificates has those count that an authority of the API has issued, on each request anew.
func TestCertificates(t *testing.T) {
	pki := certificates(t)
	byOurs := func(c *api.Config) { c.ClientCAs = pki.authority }
	token := []string{"Authorization", "Bearer 0123456789abcdef"}
	s, both := serveTLS(t, pki, byOurs), serveTLS(t, pki, byOurs, withToken)
	for _, tt := range []struct {
		name   string
		client *http.Client
		url    string
		header []string
		want   int
	}{
		{"ours", with(s, pki.client), s.URL + "/metrics", nil, 200},
		{"another authority's", with(s, pki.otherClient), s.URL + "/metrics", nil, 403},
		{"none", with(s), s.URL + "/metrics", nil, 403},
		{"none, for health", with(s), s.URL + "/readyz", nil, 200},
		{"and no token", with(both, pki.client), both.URL + "/metrics", nil, 401},
		{"and a token", with(both, pki.client), both.URL + "/metrics", token, 200},
		{"a token alone", with(both), both.URL + "/metrics", token, 403},
		{"of a browser that a page uses", with(s, pki.client), s.URL + "/metrics", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"under a name", with(s, pki.client), s.URL + "/metrics", []string{"Host", "candgw.corp.example"}, 200},
	} {
		if got := get(t, tt.client, tt.url, tt.header...); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	// On one connection, which begins while the certificate is good.
	c := with(s, pki.shortClient)
	if got := get(t, c, s.URL+"/metrics"); got != 200 {
		t.Fatalf("before its end: %d", got)
	}
	time.Sleep(3 * time.Second)
	if got := get(t, c, s.URL+"/metrics"); got != 403 {
		t.Errorf("after its end: %d", got)
	}
}

// TestLimitedByCertificate has each certificate be a caller of its own, though both come from one host.
func TestLimitedByCertificate(t *testing.T) {
	pki := certificates(t)
	s := serveTLS(t, pki, func(c *api.Config) {
		c.ClientCAs = append(pki.authority, pki.other...)
		c.Rate, c.Burst = 1, 1
	})
	one, other := with(s, pki.client), with(s, pki.otherClient)
	for i, tt := range []struct {
		client *http.Client
		want   int
	}{{one, 404}, {one, 429}, {other, 404}, {other, 429}} {
		if got := get(t, tt.client, s.URL+"/v1/resolve?name=a.local"); got != tt.want {
			t.Errorf("request %d: got %d, want %d", i+1, got, tt.want)
		}
	}
}
