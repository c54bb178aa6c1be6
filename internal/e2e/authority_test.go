//go:build linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates that browsers take for good where a policy says so, as an enterprise's own does.
type authority struct {
	certificate     *x509.Certificate
	key             *ecdsa.PrivateKey
	certificateFile string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "The test's authority"},
		KeyUsage: x509.KeyUsageCertSign,
		IsCA:     true, BasicConstraintsValid: true,
	}
	a := &authority{key: newKey(t)}
	a.certificate = signed(t, template, template, a.key, a.key)
	a.certificateFile = writePEM(t, "CERTIFICATE", a.certificate.Raw)
	return a
}

// issue makes a certificate for names.
func (a *authority) issue(t *testing.T, names ...string) *certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		DNSNames:    names,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificate{
		certificateFile: writePEM(t, "CERTIFICATE", signed(t, template, a.certificate, key, a.key).Raw),
		keyFile:         writePEM(t, "PRIVATE KEY", private),
	}
}

// base64 returns the certificate of the authority as a policy of Chromium has it.
func (a *authority) base64() string { return base64.StdEncoding.EncodeToString(a.certificate.Raw) }

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signed returns the template as a certificate of one key, signed with another, that is good for a day.
func signed(t *testing.T, template, parent *x509.Certificate, of, with *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &of.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writePEM(t *testing.T, kind string, content []byte) (file string) {
	t.Helper()
	folder := t.TempDir()
	name := "file.pem"
	writeFile(t, folder, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})))
	return filepath.Join(folder, name)
}
