package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/candgw/candgw/gateway"
)

const (
	// pingEvery is how long a WebSocket may be silent before both ends are asked whether they are there, and
	// pongPatience how long they have to answer. It is longer than writePatience, so that a slow end is not
	// taken for a dead one.
	pingEvery    = 30 * time.Second
	pongPatience = 45 * time.Second
	// maxRefusal bounds the body of an upstream's refusal of a handshake, in octets.
	maxRefusal = 64 << 10
)

func isUpgradeToWebSocket(r *http.Request) bool {
	return hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
}

// tokens returns the elements of a header that is a list.
func tokens(h http.Header, name string) (out []string) {
	for _, t := range strings.Split(strings.Join(h.Values(name), ","), ",") {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}

func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(tokens(h, name), func(t string) bool { return strings.EqualFold(t, token) })
}

// serveWebSocket passes a WebSocket on. The upstream is asked first, so that the client gets its answer.
func (p *Proxy) serveWebSocket(w http.ResponseWriter, r *http.Request, x *exchange) {
	if key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key")); err != nil || len(key) != 16 ||
		r.Method != http.MethodGet || r.Header.Get("Sec-WebSocket-Version") != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		problem(w, http.StatusBadRequest, "not the opening handshake of a WebSocket: RFC 6455, section 4.2.1")
		return
	}
	if !p.enter() {
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "too many WebSockets are open: try again later")
		return
	}
	defer p.leave()
	upstream, answer, err := p.dial(r, x)
	if err != nil {
		if answer.refusal == nil {
			p.failed(w, r, err)
			return
		}
		copyHeader(w.Header(), answer.refusal.Header)
		p.toOwnOrigin(w.Header(), x)
		w.WriteHeader(answer.refusal.StatusCode)
		w.Write(answer.body)
		return
	}
	copyHeader(w.Header(), answer.header)
	p.toOwnOrigin(w.Header(), x)
	options := &websocket.AcceptOptions{InsecureSkipVerify: true} // who may connect is for the upstream to say
	if chosen := upstream.Subprotocol(); chosen != "" {
		options.Subprotocols = []string{chosen}
	}
	client, err := websocket.Accept(w, r, options)
	if err != nil {
		upstream.CloseNow()
		return
	}
	c := &conversation{proxy: p, client: client, upstream: upstream, ends: make(chan ending, 5)} // of each goroutine
	// The contexts of requests end where a connection is taken over.
	c.run(p.flow(context.Background(), x, ToUpstream), p.flow(context.Background(), x, ToClient), x.inspect)
}

// enter takes a place for a WebSocket. There is none while the proxy stops.
func (p *Proxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	select {
	case p.sockets <- struct{}{}:
		p.live.Add(1)
		p.config.Metrics.SignalingConnections(p.config.Name, 1)
		return true
	default:
		return false
	}
}

func (p *Proxy) leave() {
	<-p.sockets
	p.config.Metrics.SignalingConnections(p.config.Name, -1)
	p.live.Done()
}

// Shutdown closes all WebSockets, for good, with the status 1001, and returns when they are or ctx ends.
func (p *Proxy) Shutdown(ctx context.Context) {
	p.mu.Lock()
	if !p.stopped {
		p.stopped = true
		close(p.stopping)
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.live.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// An answer is the upstream's to a handshake.
type answer struct {
	header  http.Header
	refusal *http.Response
	body    []byte // of the refusal
}

// dial opens a WebSocket to the upstream as the client asks for it. With an error the answer has the refusal,
// if the upstream did refuse.
func (p *Proxy) dial(r *http.Request, x *exchange) (*websocket.Conn, *answer, error) {
	u := *r.URL
	u.Scheme, u.Host, u.User = p.config.Upstream.Scheme, p.config.Upstream.Host, nil
	header := r.Header.Clone()
	dropHopByHop(header)
	dropWhose(header)
	for name := range header {
		if strings.HasPrefix(name, "Sec-Websocket-") {
			delete(header, name)
		}
	}
	if _, ok := header["User-Agent"]; !ok {
		header.Set("User-Agent", "") // none, rather than that of net/http
	}
	a := new(answer)
	ctx, cancel := context.WithTimeout(r.Context(), dialTimeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if addr := addrOf(c.Conn); addr.IsValid() {
			x.peer.Store(&addr)
		}
	}})
	conn, response, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		Subprotocols: tokens(r.Header, "Sec-WebSocket-Protocol"), HTTPHeader: header,
		HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := p.transport.RoundTrip(r)
			if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
				a.refusal = response
				// Here, because Dial keeps the beginning alone.
				a.body, _ = io.ReadAll(io.LimitReader(response.Body, maxRefusal))
				response.Body.Close()
				response.Body = io.NopCloser(bytes.NewReader(a.body))
			}
			return response, err
		}), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	})
	if err != nil {
		return nil, a, err
	}
	a.header = response.Header
	conn.SetReadLimit(-1) // messages are bounded where they are read whole
	return conn, a, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// copyHeader copies what is between the ends, and nothing that is between neighbours or of the WebSocket.
func copyHeader(to, from http.Header) {
	from = from.Clone()
	dropHopByHop(from)
	from.Del("Content-Length")
	for name, values := range from {
		if !strings.HasPrefix(name, "Sec-Websocket-") {
			to[name] = values
		}
	}
}

func dropHopByHop(h http.Header) {
	for _, name := range tokens(h, "Connection") {
		h.Del(name)
	}
	for _, name := range []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
}

// A conversation is a WebSocket of a client and the one of the upstream.
type conversation struct {
	proxy            *Proxy
	client, upstream *websocket.Conn
	activity         activity
	ends             chan ending
}

// An ending is why a conversation ends. With the code 0 the connections are cut.
type ending struct {
	code   websocket.StatusCode
	reason string
	// writing says that it failed to write: why, the other direction may know.
	writing bool
}

// run passes messages on until either end closes or breaks, a message is not to be passed on, or the proxy stops.
func (c *conversation) run(up, down *flow, inspect bool) {
	up.secret, down.secret = fresh(), fresh()
	c.client.SetReadLimit(-1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var pumps sync.WaitGroup
	pumps.Go(func() { c.ends <- newPump(c, up, c.client, c.upstream, inspect).run(ctx) })
	pumps.Go(func() { c.ends <- newPump(c, down, c.upstream, c.client, inspect).run(ctx) })
	go c.keepAlive(ctx)
	var end ending
	select {
	case end = <-c.ends:
	case <-c.proxy.stopping:
		end = ending{code: websocket.StatusGoingAway, reason: "candgw is shutting down"}
	}
	if end.writing { // what the other end said last tells more
		select {
		case end = <-c.ends:
		case <-time.After(time.Second):
		}
	}
	var closing sync.WaitGroup
	for _, conn := range []*websocket.Conn{c.client, c.upstream} {
		closing.Go(func() {
			if end.code == 0 {
				conn.CloseNow()
			} else {
				conn.Close(end.code, end.reason)
			}
		})
	}
	closing.Wait()
	cancel()
	pumps.Wait()
}

func fresh() []byte {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails: crypto/rand
	return secret
}

// keepAlive asks both ends whether they are there whenever nothing has passed for a while.
func (c *conversation) keepAlive(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.activity.since() {
			continue
		}
		results := make(chan error, 2)
		patience, cancel := context.WithTimeout(ctx, pongPatience)
		for _, conn := range []*websocket.Conn{c.client, c.upstream} {
			go func() { results <- conn.Ping(patience) }()
		}
		err := errors.Join(<-results, <-results)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				c.ends <- ending{}
			}
			return
		}
	}
}

// codeOf returns the status of RFC 6455 with which a message is refused.
func codeOf(r *refusal) websocket.StatusCode {
	switch {
	case errors.Is(r.err, gateway.ErrTooLarge):
		return websocket.StatusMessageTooBig
	case r.status >= http.StatusInternalServerError:
		return websocket.StatusInternalError
	}
	return websocket.StatusPolicyViolation
}
