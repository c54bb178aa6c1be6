// Package proxy is a reverse proxy that stands in the way of an application's signaling, and has the gateway
// rewrite the descriptions and candidates that pass. docs/proxy.md describes it.
package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/candgw/candgw/gateway"
)

const (
	dialTimeout = 10 * time.Second
	// headerPatience is longer than any long poll: it only ends what hangs.
	headerPatience = 5 * time.Minute
	// rewritePatience bounds what the names in one body may take, however many there are.
	rewritePatience = 10 * time.Second

	// maxHeader bounds the header of a request and of a response, in octets.
	maxHeader = 64 << 10
	// maxHeld is how many bodies are held in memory at once, each of gateway.MaxBody at most.
	maxHeld = 512
)

// Only tests change these.
var (
	// bodyPatience is how long a body that is read whole may take to arrive.
	bodyPatience = 30 * time.Second
	// writePatience is how long an end may take to read a message, or a part of a response.
	writePatience = 30 * time.Second
)

// Metrics hears of what passes. It is called by many goroutines at once.
type Metrics interface {
	Candidates(*gateway.Report)
	// SignalingMessage hears of each message and body that was looked into: which proxy, where it goes, and
	// what became of it.
	SignalingMessage(proxy string, to Direction, result Outcome)
	// SignalingConnections tells by how many the open WebSockets of a proxy have changed.
	SignalingConnections(proxy string, by int)
}

// A Direction is where a message goes.
type Direction string

const (
	ToUpstream Direction = "upstream"
	ToClient   Direction = "client"
)

// An Outcome is what became of a message that was looked into.
type Outcome string

const (
	Rewritten Outcome = "rewritten"
	Unchanged Outcome = "unchanged"
	// LeftOut is a message of which nothing was left.
	LeftOut Outcome = "left_out"
	Refused Outcome = "refused"
)

// A Config is what a proxy needs. Name, Upstream, Gateway, Metrics, Log and MaxConnections must be set.
type Config struct {
	Name string
	// Upstream has a scheme, http or https, and a host.
	Upstream *url.URL
	// RootCAs verify the upstream's certificate; nil for those of the system.
	RootCAs *x509.CertPool
	// Paths are those where signaling is looked for: a path, or the beginning of one and an asterisk. All of
	// them if there is none.
	Paths []string
	// UpstreamIsEndpoint says that it is the upstream whose candidates are encrypted, as those of an SFU.
	UpstreamIsEndpoint bool
	// TrustedProxies may say whose connection it is that they pass on.
	TrustedProxies []netip.Prefix
	// MaxConnections is how many WebSockets are open at once.
	MaxConnections int
	Gateway        *gateway.Gateway
	Metrics        Metrics
	Log            *slog.Logger
}

// A Proxy is a handler of HTTP. It is safe for concurrent use.
type Proxy struct {
	config    Config
	transport *http.Transport
	reverse   *httputil.ReverseProxy
	upstream  lastAddr
	held      chan struct{} // a place for each body that is held in memory
	sockets   chan struct{} // a place for each WebSocket

	mu       sync.Mutex
	live     sync.WaitGroup // WebSockets
	stopping chan struct{}
	stopped  bool
}

// New returns a proxy.
func New(c Config) *Proxy {
	p := &Proxy{config: c, held: make(chan struct{}, maxHeld), sockets: make(chan struct{}, c.MaxConnections), stopping: make(chan struct{})}
	dialer := &net.Dialer{Timeout: dialTimeout}
	p.transport = &http.Transport{
		DialContext:         p.upstream.noting(dialer.DialContext),
		TLSClientConfig:     &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: headerPatience,
		ExpectContinueTimeout: time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 64,
		MaxResponseHeaderBytes: maxHeader, ForceAttemptHTTP2: true,
		DisableCompression: true, // what the client takes is for the client to say
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: p.outgoing, ModifyResponse: p.incoming, ErrorHandler: p.failed, Transport: p.transport,
		FlushInterval: -1,                                                      // at once: events must not wait
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it would log addresses
	}
	return p
}

// ServeHTTP passes a request on to the upstream, and what it answers back.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, err := p.exchangeOf(r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if r.Method == http.MethodConnect {
		problem(w, http.StatusMethodNotAllowed, "this proxy stands for one site and opens no tunnels")
		return
	}
	if x.inspect && !p.config.UpstreamIsEndpoint {
		if why := p.flow(r.Context(), x, ToUpstream).refuseHead(r.RequestURI, r.Header); why != nil {
			p.refused(w, why)
			return
		}
	}
	if isUpgradeToWebSocket(r) {
		p.serveWebSocket(w, r, x)
		return
	}
	// Nothing could look into another protocol. A server may leave an upgrade alone: RFC 9110, section 7.8.
	r.Header.Del("Upgrade")
	if x.inspect {
		next, ok := p.rewriteRequest(w, r, x)
		if !ok {
			return
		}
		r = next
	}
	p.reverse.ServeHTTP(paced(w), r.WithContext(withExchange(r.Context(), x)))
}

// looksAt reports whether signaling is looked for at a path. An upstream may read dots and slashes as it
// likes, so either way of reading them will do.
func (p *Proxy) looksAt(of string) bool {
	if len(p.config.Paths) == 0 {
		return true
	}
	clean := path.Clean("/" + of)
	for _, pattern := range p.config.Paths {
		begin, ok := strings.CutSuffix(pattern, "*")
		if of == pattern || clean == pattern || ok && (strings.HasPrefix(of, begin) || strings.HasPrefix(clean, begin) || clean+"/" == begin) {
			return true
		}
	}
	return false
}

// hold takes a place in memory for a body. It fails where there is none.
func (p *Proxy) hold() (release func(), ok bool) {
	select {
	case p.held <- struct{}{}:
		return func() { <-p.held }, true
	default:
		return nil, false
	}
}

// A refusal is why a message is not passed on. Its text holds no address.
type refusal struct {
	status int // of HTTP
	what   string
	err    error
}

func (e *refusal) Error() string { return e.what }
func (e *refusal) Unwrap() error { return e.err }
