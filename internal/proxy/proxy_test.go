package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/proxy"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const (
	address  = "10.77.1.2"
	password = "MpiyNBrY/PGEqhMFOPRVzGsf"
	raw      = "candidate:1 1 udp 2122129151 " + address + " 41749 typ host ufrag abcd"
	offer    = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" +
		"c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:" + password + "\r\na=mid:0\r\n"
	fullOffer = offer + "a=" + raw + "\r\n"
)

// inJSON returns a description in the JSON of browsers.
func inJSON(sdp string) string {
	return `{"type":"offer","sdp":"` + strings.ReplaceAll(sdp, "\r\n", `\r\n`) + `"}`
}

func trickled(candidate string) string {
	return `{"candidate":"` + candidate + `","sdpMid":"0","sdpMLineIndex":0}`
}

// counts is a Metrics that counts.
type counts struct {
	mu       sync.Mutex
	results  map[proxy.Direction]map[proxy.Outcome]int
	fates    map[gateway.Fate]int
	sockets  int
	mostOpen int
}

func (c *counts) Candidates(r *gateway.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range r.Candidates {
		c.fates[one.Result]++
	}
}

func (c *counts) SignalingMessage(_ string, to proxy.Direction, o proxy.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results[to] == nil {
		c.results[to] = map[proxy.Outcome]int{}
	}
	c.results[to][o]++
}

func (c *counts) SignalingConnections(_ string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets += by
	c.mostOpen = max(c.mostOpen, c.sockets)
}

func (c *counts) of(to proxy.Direction, o proxy.Outcome) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.results[to][o]
}

func (c *counts) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sockets
}

// names is a gateway.NameResolver.
type names func(ctx context.Context, name string, client netip.Addr) (netip.Addr, error)

func (f names) ResolveName(ctx context.Context, name string, client netip.Addr) (netip.Addr, error) {
	return f(ctx, name, client)
}

// A setup is a proxy that listens, and what stands around it.
type setup struct {
	config        proxy.Config
	proxyProtocol bool
	noTLS         bool
	policy        string
	names         gateway.NameResolver
	ring          func() *keyring.Ring

	addr    string // of the proxy
	url     string
	client  *http.Client
	counts  *counts
	log     *syncBuffer
	stop    func() // and waits until it has
	gateway *gateway.Gateway
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newRing returns a ring with an active key.
func newRing(t testing.TB) testRing {
	t.Helper()
	e := new(keyring.Ring).Edit(time.Now())
	k, err := cipher.GenerateKey(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add(k, keyring.Active); err != nil {
		t.Fatal(err)
	}
	ring, err := e.Ring()
	if err != nil {
		t.Fatal(err)
	}
	return testRing{ring}
}

// A testRing is a ring that gateways use.
type testRing struct{ *keyring.Ring }

func (r testRing) self() *keyring.Ring { return r.Ring }

// nameOf returns a name of address under a ring.
func nameOf(t testing.TB, r testRing) string {
	t.Helper()
	g := gateway.New(gateway.Config{Ring: r.self, Policy: func() *policy.Set { return loadPolicy(t, string(policies.Default)) }})
	result, err := g.Encrypt(context.Background(), gateway.Request{Body: []byte(fullOffer), Format: gateway.SDP})
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`\S+\.local`).FindString(string(result.Body))
}

func loadPolicy(t testing.TB, text string) *policy.Set {
	t.Helper()
	set, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// certificate is that of httptest, for example.com and loopback.
var certificate = sync.OnceValue(func() tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
})

func authorities() *x509.CertPool {
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(certificate().Certificate[0])
	if err != nil {
		panic(err)
	}
	pool.AddCert(leaf)
	return pool
}

// upstreamOf runs a site over TLS, HTTP/1.1 and 2.
func upstreamOf(t testing.TB, h http.Handler) *url.URL {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// start has a proxy listen before a site.
func (s *setup) start(t testing.TB, upstream *url.URL) *setup {
	t.Helper()
	text := string(policies.Default)
	if s.policy != "" {
		text = s.policy
	}
	set := loadPolicy(t, text)
	if s.ring == nil {
		s.ring = newRing(t).self
	}
	s.gateway = gateway.New(gateway.Config{Ring: s.ring, Policy: func() *policy.Set { return set }, Names: s.names})
	s.counts = &counts{results: map[proxy.Direction]map[proxy.Outcome]int{}, fates: map[gateway.Fate]int{}}
	s.log = new(syncBuffer)
	c := s.config
	c.Name, c.Upstream, c.RootCAs, c.Gateway, c.Metrics = "meet", upstream, authorities(), s.gateway, s.counts
	c.Log = slog.New(slog.NewTextHandler(s.log, nil))
	if c.MaxConnections == 0 {
		c.MaxConnections = 100
	}
	show := func() *tls.Certificate { c := certificate(); return &c }
	scheme := "https://"
	if s.noTLS {
		scheme, show = "http://", nil
	}
	server, err := proxy.Listen(c, "127.0.0.1:0", show, s.proxyProtocol)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(s.stop)
	s.addr = server.Addr().String()
	s.url = scheme + s.addr
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities()}, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

// do sends a request with a body and headers, as names and values, and returns the response with its body.
func (s *setup) do(t testing.TB, method, path, contentType, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}
