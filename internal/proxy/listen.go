package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
	"golang.org/x/net/netutil"
)

const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	// shutdownTime is how long requests and WebSockets have to end.
	shutdownTime = 5 * time.Second
)

// A Server is a proxy that listens.
type Server struct {
	proxy    *Proxy
	listener net.Listener
	http     *http.Server
	secure   bool
}

// Listen opens the port of a proxy. certificate returns what to show to clients, for each connection anew;
// without TLS it is nil. With proxyProtocol connections of trusted proxies begin with a header of the PROXY
// protocol (version 1 or 2), and those of others must not.
func Listen(c Config, addr string, certificate func() *tls.Certificate, proxyProtocol bool) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	p := New(c)
	// WebSockets beyond their number get an answer; so do twice as many connections of any kind, the rest waits.
	l = netutil.LimitListener(l, 2*c.MaxConnections)
	if proxyProtocol {
		l = &proxyproto.Listener{Listener: l, ReadHeaderTimeout: headerTime, ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			peer, err := netip.ParseAddrPort(o.Upstream.String())
			if err == nil && p.trusts(peer.Addr().Unmap().WithZone("")) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.REJECT, nil
		}}
	}
	s := &Server{proxy: p, listener: l, secure: certificate != nil}
	s.http = &http.Server{
		Handler: p, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it would log addresses
	}
	if s.secure {
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return certificate(), nil
		}}
	}
	return s, nil
}

// Addr returns where the proxy listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve passes requests on until ctx ends. Then no more are taken, those under way have a few seconds to end, and
// WebSockets are closed.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() {
		if s.secure {
			failed <- s.http.ServeTLS(s.listener, "", "")
		} else {
			failed <- s.http.Serve(s.listener)
		}
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	go s.proxy.Shutdown(grace)
	if err := s.http.Shutdown(grace); err != nil {
		s.http.Close()
	}
	s.proxy.Shutdown(grace)
	s.proxy.transport.CloseIdleConnections()
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
