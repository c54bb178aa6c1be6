package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"sync/atomic"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/internal/proxy"
	"github.com/candgw/candgw/policy"
)

// A signalingProxy is a proxy that serve runs.
type signalingProxy struct {
	name        string
	server      *proxy.Server
	certificate atomic.Pointer[tls.Certificate]
}

func ofSignaling(name string) string { return fmt.Sprintf("signaling %q", name) }

// openSignaling opens the ports of the proxies.
func (s *server) openSignaling(blocks []config.Signaling) error {
	certificates, err := readCertificates(blocks)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		of := ofSignaling(b.Name)
		upstream, err := url.Parse(b.Upstream)
		if err != nil {
			return fmt.Errorf("%s: %w", of, err)
		}
		c := proxy.Config{
			Name: b.Name, Upstream: upstream, Paths: b.Paths, UpstreamIsEndpoint: b.Endpoint == config.Upstream,
			TrustedProxies: b.TrustedProxies, MaxConnections: b.MaxConnections, Gateway: s.gateway, Metrics: s.metrics, Log: s.log,
		}
		if c.RootCAs, err = readAuthorities(b.CAFile); err != nil {
			return fmt.Errorf("%s: %w", of, err)
		}
		p := &signalingProxy{name: b.Name}
		var show func() *tls.Certificate
		scheme := "http"
		if b.TLS != nil {
			scheme, show = "https", p.certificate.Load
			s.showCertificate(of, &p.certificate, certificates[b.Name])
		}
		if p.server, err = proxy.Listen(c, b.Listen, show, b.ProxyProtocol); err != nil {
			return cannotListen(of, err)
		}
		s.log.Info(of+" listens", "on", fmt.Sprintf("%s://%s", scheme, p.server.Addr()), "upstream", b.Upstream)
		s.signaling = append(s.signaling, p)
	}
	return nil
}

// readAuthorities reads the authorities that may vouch for an upstream, nil for those of the system.
func readAuthorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	src, err := policy.ReadSource(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(src.Text) {
		return nil, fmt.Errorf("%s: no certificate in PEM", file)
	}
	return pool, nil
}

// readCertificates reads the certificates of the proxies, by name.
func readCertificates(blocks []config.Signaling) (map[string]*tls.Certificate, error) {
	out := map[string]*tls.Certificate{}
	for _, b := range blocks {
		if b.TLS == nil {
			continue
		}
		c, err := readKeyPair(ofSignaling(b.Name), b.TLS.CertificateFile, b.TLS.KeyFile)
		if err != nil {
			return nil, err
		}
		out[b.Name] = c
	}
	return out, nil
}

// useCertificates has the proxies show other certificates.
func (s *server) useCertificates(certificates map[string]*tls.Certificate) {
	for _, p := range s.signaling {
		s.showCertificate(ofSignaling(p.name), &p.certificate, certificates[p.name])
	}
}
