package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/candgw/candgw/policy"
)

// An exchange is one request of a client, and what is known about it.
type exchange struct {
	// client is the address of the client; not valid where it is not known.
	client netip.Addr
	origin policy.Origin
	// own is the origin of the proxy as the client sees it, as in https://meet.example.com.
	own string
	// inspect says that signaling is looked for.
	inspect bool
	// peer is what the connection to the upstream leads to, once there is one.
	peer atomic.Pointer[netip.Addr]
	// hidden is what was found in a body that could only be looked through.
	hidden atomic.Pointer[refusal]
}

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

func exchangeFrom(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	if x == nil {
		x = new(exchange)
	}
	return x
}

// noOrigin is that of a page without one: no policy can list it.
const noOrigin = policy.Origin("null")

var errForwarded = errors.New("X-Forwarded-For is malformed")

// exchangeOf finds out whose request it is.
func (p *Proxy) exchangeOf(r *http.Request) (*exchange, error) {
	x := &exchange{inspect: p.looksAt(r.URL.Path)}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	x.client = peer.Addr().Unmap().WithZone("")
	secure := r.TLS != nil
	if p.trusts(x.client) {
		secure = secure || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
		var err error
		if x.client, err = p.forwardedFor(x.client, r.Header.Values("X-Forwarded-For")); err != nil {
			return nil, err
		}
	}
	x.own = "http://" + r.Host
	if secure {
		x.own = "https://" + r.Host
	}
	switch origins := r.Header.Values("Origin"); {
	case len(origins) == 1:
		x.origin = originOf(origins[0])
	case len(origins) > 1:
		x.origin = noOrigin
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && !isUpgradeToWebSocket(r):
		// A browser sends none with these to a page's own origin: it may be a page.
		x.origin = originOf(x.own)
	}
	return x, nil
}

func originOf(s string) policy.Origin {
	if o, err := policy.ParseOrigin(s); err == nil {
		return o
	}
	return noOrigin
}

func (p *Proxy) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(p.config.TrustedProxies, func(n netip.Prefix) bool { return n.Contains(a) })
}

// forwardedFor returns whom the trusted proxies pass on: each appends who is before it, so that the last one
// that is no trusted proxy is the client.
func (p *Proxy) forwardedFor(client netip.Addr, values []string) (netip.Addr, error) {
	hops := strings.Split(strings.Join(values, ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			if len(hops) == 1 {
				break
			}
			return netip.Addr{}, errForwarded
		}
		a, err := netip.ParseAddr(strings.Trim(hop, "[]"))
		if err != nil {
			withPort, err := netip.ParseAddrPort(hop)
			if err != nil {
				return netip.Addr{}, errForwarded
			}
			a = withPort.Addr()
		}
		if client = a.Unmap().WithZone(""); !p.trusts(client) {
			break
		}
	}
	return client, nil
}

// A lastAddr is where the last connection led to.
type lastAddr struct{ addr atomic.Pointer[netip.Addr] }

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

func (l *lastAddr) noting(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err == nil {
			if a := addrOf(c); a.IsValid() {
				l.addr.Store(&a)
			}
		}
		return c, err
	}
}

// addrOf returns the address of the other end of a connection.
func addrOf(c net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// upstreamAddr returns the address of the upstream: of the connection of an exchange, or, before there is
// one, of the last one or of the next.
func (p *Proxy) upstreamAddr(ctx context.Context, x *exchange) netip.Addr {
	if a := x.peer.Load(); a != nil {
		return *a
	}
	if a := p.upstream.addr.Load(); a != nil {
		return *a
	}
	host := p.config.Upstream.Hostname()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return netip.Addr{}
	}
	return addrs[0].Unmap().WithZone("")
}
