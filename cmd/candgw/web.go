package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/candgw/candgw/internal/listener"
)

const (
	// requestTime is the longest that a request may take, from its head to the end of its answer.
	requestTime = 30 * time.Second
	// maxConnections bounds those of a server that says nothing else; a further one waits.
	maxConnections = 256
)

// A webServer is an HTTP server that ends without losing a request.
type webServer struct {
	listener *listener.Listener
	http     http.Server
	draining atomic.Bool
	served   chan struct{} // closed when nothing more is accepted

	// connections bounds those of all, eachConnections, unless it is 0, those of each address.
	connections, eachConnections int
}

// listenWeb opens the port or the socket at an address. config is nil without TLS.
func listenWeb(address string, handler http.Handler, config *tls.Config) (*webServer, error) {
	l, err := listener.Listen(address)
	if err != nil {
		return nil, err
	}
	w := &webServer{listener: l, served: make(chan struct{}), connections: maxConnections}
	w.http = http.Server{
		Handler: http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
			answer := &webAnswer{ResponseWriter: to, draining: &w.draining}
			handler.ServeHTTP(answer, r)
			answer.begin()
		}),
		TLSConfig: config, Protocols: new(http.Protocols),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: requestTime, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it would log clients' addresses
	}
	w.http.Protocols.SetHTTP1(true) // one request at once on a connection, so that to bound those is to bound all
	return w, nil
}

// speakHTTP2 has a server with TLS take up to so many requests at once on a connection. It is called before serve.
func (w *webServer) speakHTTP2(requests int) {
	w.http.Protocols.SetHTTP2(true)
	w.http.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: requests}
}

// serve answers until the server is closed, and returns nil then.
func (w *webServer) serve() error {
	defer close(w.served)
	var l net.Listener = w.listener
	if w.eachConnections > 0 {
		l = listener.LimitEach(l, w.eachConnections)
	}
	l = netutil.LimitListener(l, w.connections)
	serve := w.http.Serve
	if w.http.TLSConfig != nil {
		serve = func(l net.Listener) error { return w.http.ServeTLS(l, "", "") }
	}
	if err := serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// close ends serve. For the time of drain all goes on, but every answer ends its connection. Then there are no new
// connections, and those that wait to be accepted are; once their requests and all others are answered, it returns. What is
// lost is a request that comes on a connection just when it is closed for having brought none all this time: HTTP has no
// way to tell (RFC 9112, section 9.5).
func (w *webServer) close(drain time.Duration) {
	w.draining.Store(true)
	time.Sleep(drain)
	w.listener.Stop()
	time.Sleep(listener.Settle) // for what is on its way over connections that stay
	w.http.SetKeepAlivesEnabled(false)
	ctx, done := context.WithTimeout(context.Background(), requestTime)
	defer done()
	select {
	case <-w.served:
	case <-ctx.Done():
	}
	w.http.Shutdown(ctx)
}

// A webAnswer is an answer that ends its connection where the server drains by the time that it begins, so that the
// caller's next request goes elsewhere.
type webAnswer struct {
	http.ResponseWriter
	draining *atomic.Bool
	begun    bool
}

func (a *webAnswer) begin() {
	if !a.begun && a.draining.Load() {
		a.Header().Set("Connection", "close")
	}
	a.begun = true
}

func (a *webAnswer) WriteHeader(code int) {
	if code >= 200 { // others come before the answer
		a.begin()
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *webAnswer) Write(b []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (a *webAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
