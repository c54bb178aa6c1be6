package main

import (
	"crypto/tls"
	"fmt"
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
		return fmt.Errorf("DNS over TLS: %w", err)
	}
	return nil
}

// readCertificate reads the certificate of DNS over TLS and its key, nil if there are none.
func readCertificate(c *config.TLS) (*tls.Certificate, error) {
	if c == nil {
		return nil, nil
	}
	chain, err := policy.ReadSource(c.CertificateFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate of DNS over TLS: %w", err)
	}
	key, err := keyring.ReadSecret(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("the key of DNS over TLS: %w", err)
	}
	pair, err := tls.X509KeyPair(chain.Text, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate and its key, in PEM: %w", c.CertificateFile, c.KeyFile, err)
	}
	return &pair, nil
}

// useCertificate has DNS over TLS show a certificate from now on; nil leaves it alone.
func (s *server) useCertificate(c *tls.Certificate) {
	if c == nil {
		return
	}
	if was := s.certificate.Swap(c); was != nil && was.Leaf.Equal(c.Leaf) {
		return
	}
	s.log.Info("certificate of DNS over TLS in use", "until", c.Leaf.NotAfter)
	if time.Now().After(c.Leaf.NotAfter) {
		s.log.Warn("the certificate of DNS over TLS has expired, and clients refuse it: put a new one in its place and send SIGHUP")
	}
}
