package main

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
	"github.com/candgw/candgw/resolver"
)

// zonesOf returns the zones of a configuration.
func zonesOf(c config.DNS) (zones []resolver.Zone) {
	for _, z := range c.Zones {
		zones = append(zones, resolver.Zone{Name: z})
	}
	for _, z := range c.Delegated {
		zones = append(zones, resolver.Zone(z))
	}
	return zones
}

// openTLS opens the port of DNS over TLS, if the configuration has one.
func (s *server) openTLS(c *config.TLS) error {
	if c == nil {
		return nil
	}
	certificate, err := readCertificate(c)
	if err != nil {
		return err
	}
	s.useCertificate(certificate)
	if err := s.dns.ListenTLS(c.Listen, s.certificate.Load); err != nil {
		return cannotListen(dnsOverTLS, err)
	}
	return nil
}

// readCertificate reads the certificate of DNS over TLS and its key, nil if there are none.
func readCertificate(c *config.TLS) (*tls.Certificate, error) {
	if c == nil {
		return nil, nil
	}
	return readKeyPair(dnsOverTLS, c.CertificateFile, c.KeyFile)
}

const dnsOverTLS = "DNS over TLS"

// readKeyPair reads a certificate and its key. of says what shows it.
func readKeyPair(of, certificateFile, keyFile string) (*tls.Certificate, error) {
	chain, err := policy.ReadSource(certificateFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate of %s: %w", of, err)
	}
	key, err := keyring.ReadSecret(keyFile)
	if err != nil {
		return nil, fmt.Errorf("the key of %s: %w", of, err)
	}
	pair, err := tls.X509KeyPair(chain.Text, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate and its key, in PEM: %w", certificateFile, keyFile, err)
	}
	return &pair, nil
}

// useCertificate has DNS over TLS show a certificate from now on; nil leaves it alone.
func (s *server) useCertificate(c *tls.Certificate) { s.showCertificate(dnsOverTLS, &s.certificate, c) }

// showCertificate puts a certificate where what shows it finds it; nil leaves that alone.
func (s *server) showCertificate(of string, at *atomic.Pointer[tls.Certificate], c *tls.Certificate) {
	if c == nil {
		return
	}
	if was := at.Swap(c); was != nil && was.Leaf.Equal(c.Leaf) {
		return
	}
	s.log.Info("certificate of "+of+" in use", "until", c.Leaf.NotAfter)
	if time.Now().After(c.Leaf.NotAfter) {
		s.log.Warn("the certificate of " + of + " has expired, and clients refuse it: put a new one in its place and send SIGHUP")
	}
}
