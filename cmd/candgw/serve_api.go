package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/candgw/candgw/internal/api"
	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// apiParts are what serve has of the API.
type apiParts struct {
	web     *webServer
	handler atomic.Pointer[http.Handler]
	tls     atomic.Pointer[tls.Config]
	drain   atomic.Int64 // nanoseconds

	certificate atomic.Pointer[tls.Certificate] // as it is in tls
	// access belongs to the goroutine that reloads, once serve runs.
	access apiAccess
}

const ofAPI = "the API"

// An apiAccess is what stands in the files of the block api.
type apiAccess struct {
	token       string           // "" if none is wanted
	certificate *tls.Certificate // nil without TLS
	clientCAs   []*x509.Certificate
}

// checkAPI returns what is wrong with where the API listens, once the flags are in a configuration.
func checkAPI(c config.API) error {
	switch wrong := config.CheckAPIListen(c.Listen); {
	case wrong != "":
		return usageError("--api: %s", wrong)
	case c.Socket() != "" && c.TLS != nil:
		return usageError("--api: over a Unix socket TLS protects nothing: leave the block tls out of the configuration")
	case !c.Guarded():
		return usageError("--api %s is not on loopback, where everybody could reach it: give it a token with --api-token-file", c.Listen)
	}
	return nil
}

// openAPI opens the port or the socket of the API.
func (s *server) openAPI(c config.API) error {
	access, err := readAPIAccess(c)
	if err != nil {
		return err
	}
	var config *tls.Config
	if c.TLS != nil {
		config = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.api.tls.Load(), nil }}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.api.handler.Load()).ServeHTTP(w, r) })
	if s.api.web, err = listenWeb(c.Listen, handler, config); err != nil {
		return cannotListen("--api", err)
	}
	s.useAPI(c, access)
	if !c.OnLoopback() && c.TLS == nil {
		s.log.Warn("callers send the token of the API in clear over the network: give the API a block tls, or a proxy with TLS in front")
	}
	return nil
}

// useAPI has the API be as a configuration has it from now on, as far as that can be at run time.
func (s *server) useAPI(c config.API, access apiAccess) {
	handler := api.Handler(api.Config{
		Gateway: s.gateway, Resolver: s.resolver, Metrics: s.metrics, Ready: s.ready, Trouble: s.trouble,
		Token: access.token, ClientCAs: access.clientCAs, Rate: c.Rate, Burst: c.Burst, Log: s.log,
	})
	s.api.handler.Store(&handler)
	s.api.drain.Store(int64(c.Drain))
	if access.certificate != nil {
		s.api.tls.Store(access.config())
		s.showCertificate(ofAPI, &s.api.certificate, access.certificate)
	}
	s.api.access = access
}

// config returns what TLS is spoken with.
func (a apiAccess) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*a.certificate}, NextProtos: []string{"http/1.1"}}
	if len(a.clientCAs) > 0 {
		c.ClientAuth = tls.VerifyClientCertIfGiven // those who ask for health need none; the API decides for the others
		c.SessionTicketsDisabled = true            // each connection shows its certificate
		c.ClientCAs = x509.NewCertPool()
		for _, ca := range a.clientCAs {
			c.ClientCAs.AddCert(ca)
		}
	}
	return c
}

// readAPIAccess reads what stands in the files of a block.
func readAPIAccess(c config.API) (a apiAccess, err error) {
	if a.token, err = readToken(c.TokenFile); err != nil || c.TLS == nil {
		return a, err
	}
	if a.certificate, err = readKeyPair(ofAPI, c.TLS.CertificateFile, c.TLS.KeyFile); err != nil {
		return a, err
	}
	a.clientCAs, err = readClientCAs(c.TLS.ClientCAFile)
	return a, err
}

// rereadAPIAccess is readAPIAccess for what comes into use next of what is on disk. What only stays until a restart is kept
// as it was read: its files may be gone.
func (s *server) rereadAPIAccess(onDisk, next config.API) (a apiAccess, err error) {
	a = s.api.access
	if onDisk.TokenFile == next.TokenFile {
		if a.token, err = readToken(next.TokenFile); err != nil {
			return a, err
		}
	}
	if onDisk.TLS == nil || next.TLS == nil {
		return a, nil
	}
	if a.certificate, err = readKeyPair(ofAPI, next.TLS.CertificateFile, next.TLS.KeyFile); err != nil {
		return a, err
	}
	if onDisk.TLS.ClientCAFile == next.TLS.ClientCAFile {
		a.clientCAs, err = readClientCAs(next.TLS.ClientCAFile)
	}
	return a, err
}

// readToken reads the token of the API, "" if it needs none.
func readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := keyring.ReadSecret(file)
	if err != nil {
		return "", fmt.Errorf("the token of the API: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if len(token) < 16 {
		return "", fmt.Errorf("%s: the token has %d characters, want at least 16: 'openssl rand -hex 32' makes one", file, len(token))
	}
	return token, nil
}

// readClientCAs reads the certificates of the authorities of those who call, nil if there is no file. An empty file is an
// error: it would let everybody in, or nobody.
func readClientCAs(file string) (out []*x509.Certificate, err error) {
	if file == "" {
		return nil, nil
	}
	src, err := policy.ReadSource(file)
	if err != nil {
		return nil, fmt.Errorf("the authorities of the API's callers: %w", err)
	}
	for block, rest := pem.Decode(src.Text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: it holds a %s, want certificates alone", file, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", file, len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return out, nil
}

// curl returns the options and the address with which curl asks the API.
func (s *server) curl(c config.API) (options, address string) {
	address = "http://" + s.api.web.listener.Addr().String()
	if c.TLS != nil {
		address = "https://" + s.api.web.listener.Addr().String()
	}
	if path := c.Socket(); path != "" {
		options, address = fmt.Sprintf(" --unix-socket '%s'", path), "http://localhost"
	}
	if c.TokenFile != "" {
		options += fmt.Sprintf(` -H "Authorization: Bearer $(cat '%s')"`, c.TokenFile)
	}
	return options, address
}
