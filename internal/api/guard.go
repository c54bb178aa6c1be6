package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/candgw/candgw/internal/limit"
	"github.com/candgw/candgw/internal/web"
)

// maxCallers is how many callers are told apart where their requests are limited.
const maxCallers = 1 << 14

// A handler is the API under one configuration.
type handler struct {
	Config
	origins *http.CrossOriginProtection
	limiter *limit.Limiter
}

func newHandler(c Config) *handler {
	return &handler{Config: c, origins: http.NewCrossOriginProtection(), limiter: limit.New(maxCallers, time.Now())}
}

// checkOrigin refuses requests of web pages of another origin. A page that runs on this machine must not get through,
// and one must not use the certificate that its browser may show. Requests that only read are no exception: the page does not
// see the answer, but may see whether there was one.
func (h *handler) checkOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		as := *r
		as.Method = http.MethodPost
		if h.origins.Check(&as) != nil {
			web.Problem(w, http.StatusForbidden, "a web page of another origin may not use this API")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses requests for a host name, other than localhost, that reach a loopback address: a page could have let a
// name of its own point here. With a token there is no need to: a page does not have it, but a reverse proxy may pass any
// name on. Nor with TLS: a browser that asks for the page's name is not content with our certificate. No page reaches a
// Unix socket.
func (h *handler) checkHost(next http.Handler) http.Handler {
	if h.Token != "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		_, notAddr := netip.ParseAddr(strings.Trim(host, "[]"))
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if notAddr != nil && host != "" && !strings.EqualFold(host, "localhost") && isLoopback(local) && r.TLS == nil {
			web.Problem(w, http.StatusMisdirectedRequest, "on loopback the API answers to localhost and to addresses, not to host names")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// authorize wants a certificate and a token, whichever of the two are asked for.
func (h *handler) authorize(next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(h.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(h.ClientCAs) > 0 && h.certificate(r) == nil {
			web.Problem(w, http.StatusForbidden, "show a certificate for clients that an authority of this API has issued")
			return
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(token)) // of one length, so that the time tells nothing of the token's
		if h.Token != "" && (!strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			web.Problem(w, http.StatusUnauthorized, "send the token of this API as 'Authorization: Bearer …'")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// certificate returns the caller's certificate, nil if there is none that counts. It was verified when the connection
// began; since then it may have expired, or its issuer be none of ours any more.
func (h *handler) certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	now := time.Now()
	for _, chain := range r.TLS.VerifiedChains {
		expired := slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
		if !expired && slices.ContainsFunc(h.ClientCAs, chain[len(chain)-1].Equal) {
			return chain[0]
		}
	}
	return nil
}

// limited refuses requests of a caller that makes more than it may.
func (h *handler) limited(next http.Handler) http.Handler {
	if h.Rate == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.limiter.Allow(h.caller(r), h.Rate, h.Burst, time.Now()) {
			web.TooMany(w, "more requests than a caller may make: wait a second")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// caller returns what stands for who makes a request: the certificate, else the host. All that come over a Unix socket are one.
func (h *handler) caller(r *http.Request) (k limit.Key) {
	if c := h.certificate(r); c != nil {
		sum := sha256.Sum256(c.Raw)
		copy(k[:], sum[:])
		return k
	}
	return limit.Host(web.Peer(r))
}
