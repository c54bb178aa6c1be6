package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/internal/web"
)

func TestExtension(t *testing.T) {
	refuses := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && r.URL.Path == "/v1/encrypt" && r.Header.Get("Origin") == "" {
			web.Problem(w, http.StatusForbidden, "no origin")
		}
	}
	other := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "forbidden", http.StatusForbidden) }
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		until  time.Time // of the certificate, zero without TLS
		names  []string
		want   string
	}{
		{"it answers", refuses, now.Add(365 * 24 * time.Hour), []string{"candgw.corp.example"}, "ok, extension: the extension is answered"},
		{"on loopback, without TLS", refuses, time.Time{}, nil, "ok, extension: the extension is answered"},
		{"an expired certificate", refuses, now.Add(-time.Hour), []string{"candgw.corp.example"}, "fail, extension: it shows a certificate that has expired"},
		{"a certificate that expires soon", refuses, now.Add(24 * time.Hour), []string{"candgw.corp.example"}, "warn, extension: it shows a certificate that expires in 24h0m0s"},
		{"a certificate of no host", refuses, now.Add(365 * 24 * time.Hour), nil, "fail, extension: it shows a certificate of no host"},
		{"another program", other, now.Add(365 * 24 * time.Hour), []string{"candgw.corp.example"}, "fail, extension: what answers there is not candgw"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(tt.answer)
			n := newNode(t)
			n.Config.Browsers = &config.Browsers{Listen: server.Listener.Addr().String()}
			if tt.until.IsZero() {
				server.Start()
			} else {
				n.Config.Browsers.TLS = &config.KeyPair{CertificateFile: "crt", KeyFile: "key"}
				server.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t, tt.until, tt.names)}}
				server.StartTLS()
			}
			defer server.Close()
			var r report
			n.checkExtension(t.Context(), &r)
			check(t, r, tt.want)
			server.Close()
			r = nil
			n.checkExtension(t.Context(), &r)
			check(t, r, "fail, extension: nobody answers")
		})
	}
	var r report
	newNode(t).checkExtension(t.Context(), &r)
	if len(r) != 0 {
		t.Errorf("without the block: %+v", r)
	}
	n := newNode(t)
	n.Config.Browsers = &config.Browsers{Listen: "127.0.0.1:0"}
	n.checkExtension(t.Context(), &r)
	check(t, r, "skip, extension: where it listens")
}

func selfSigned(t *testing.T, until time.Time, names []string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: until, DNSNames: names}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}
