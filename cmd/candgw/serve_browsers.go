package main

import (
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/candgw/candgw/internal/browsers"
	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/internal/neighbor"
)

// browsersParts are what serve has for browser extensions; web is nil if they are not answered.
type browsersParts struct {
	web         *webServer
	handler     *browsers.Handler
	certificate atomic.Pointer[tls.Certificate]
}

const (
	ofBrowsers = "browsers"

	// Each browser that is about to call holds a connection, for a minute after the last request.
	maxBrowsersConnections = 4096
	// maxEachConnections suffices for several users of a host, with some browsers each.
	maxEachConnections = 64
	// maxRequests is how many requests are under way on a connection. Browsers make no more than 6 connections without
	// HTTP/2, so that names that nobody answers for would hold up others.
	maxRequests = 32
)

// openBrowsers opens the port for browser extensions, if the configuration has one.
func (s *server) openBrowsers(c *config.Browsers) error {
	if c == nil {
		return nil
	}
	certificate, err := readBrowsersCertificate(c)
	if err != nil {
		return err
	}
	var config *tls.Config
	if c.TLS != nil {
		config = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.browsers.certificate.Load(), nil },
		}
	}
	s.browsers.handler = browsers.New(browsers.Config{
		Gateway: s.gateway, Policy: s.policySet, Metrics: s.metrics, OnLink: s.onLink, SameHost: neighbor.SameHost, Log: s.log,
	}, browsersSettings(c))
	s.showCertificate(ofBrowsers, &s.browsers.certificate, certificate)
	if s.browsers.web, err = listenWeb(c.Listen, s.browsers.handler, config); err != nil {
		return cannotListen(ofBrowsers, err)
	}
	s.browsers.web.speakHTTP2(maxRequests)
	s.browsers.web.connections, s.browsers.web.eachConnections = maxBrowsersConnections, maxEachConnections
	return nil
}

// onLink takes any client where Multicast DNS is off, and no name is asked for anyway.
func (s *server) onLink(client netip.Addr) bool { return s.names == nil || s.names.Reaches(client) }

func browsersSettings(c *config.Browsers) browsers.Settings {
	return browsers.Settings{Answers: c.Answers, Rate: c.Rate, Burst: c.Burst}
}

// readBrowsersCertificate reads the certificate for browsers and its key, nil if there are none.
func readBrowsersCertificate(c *config.Browsers) (*tls.Certificate, error) {
	if c == nil || c.TLS == nil {
		return nil, nil
	}
	return readKeyPair(ofBrowsers, c.TLS.CertificateFile, c.TLS.KeyFile)
}

// rereadBrowsersCertificate is readBrowsersCertificate for what comes into use next of what is on disk, nil where that has
// no certificate: the one in use stays then.
func rereadBrowsersCertificate(onDisk, next *config.Browsers) (*tls.Certificate, error) {
	if onDisk == nil || onDisk.TLS == nil {
		return nil, nil
	}
	return readBrowsersCertificate(next)
}

// useBrowsers has extensions be answered as a configuration has it from now on; a nil certificate leaves that alone.
func (s *server) useBrowsers(c *config.Browsers, certificate *tls.Certificate) {
	if c != nil {
		s.browsers.handler.Use(browsersSettings(c))
	}
	s.showCertificate(ofBrowsers, &s.browsers.certificate, certificate)
}

// closeBrowsers answers what extensions have asked, and ends.
func (s *server) closeBrowsers(drain time.Duration) {
	if s.browsers.web != nil {
		s.browsers.web.close(drain)
	}
}
