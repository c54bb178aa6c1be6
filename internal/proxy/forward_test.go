package proxy_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/proxy"
)

// TestProxyProtocol has trusted proxies say whose connection it is, and nobody else.
func TestProxyProtocol(t *testing.T) {
	const policies = `
		policy "b" {
			clients = ["198.51.100.7/32", "2001:db8::7/128"]
			candidate "host" { action = "drop" }
		}
		policy "rest" {
			candidate "host" { action = "encrypt" }
		}`
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\x0a\x00\x00\x02\x01\x02\x01\xbb"
	for _, tt := range []struct {
		name, trusted, preamble, want string
		dropped                       bool
	}{
		{"version 1", "127.0.0.0/8", "PROXY TCP4 198.51.100.7 10.0.0.2 1000 443\r\n", "200 OK", true},
		{"version 1 over IPv6", "127.0.0.0/8", "PROXY TCP6 2001:db8::7 2001:db8::8 1000 443\r\n", "200 OK", true},
		{"version 2", "127.0.0.0/8", v2, "200 OK", true},
		{"another client", "127.0.0.0/8", "PROXY TCP4 198.51.100.8 10.0.0.2 1000 443\r\n", "200 OK", false},
		{"none from who is trusted", "127.0.0.0/8", "", "EOF", false},
		{"one from a stranger", "10.9.0.0/16", "PROXY TCP4 198.51.100.7 10.0.0.2 1000 443\r\n", "EOF", false},
		{"version 2 from a stranger", "10.9.0.0/16", v2, "EOF", false},
		{"none from a stranger", "10.9.0.0/16", "", "200 OK", false},
		{"a malformed one", "127.0.0.0/8", "PROXY TCP4 nowhere\r\n", "EOF", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(site)
			s := (&setup{policy: policies, noTLS: true, proxyProtocol: true, config: proxy.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(tt.trusted)}}}).start(t, upstreamOf(t, u))
			request := fmt.Sprintf("%sPOST / HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", tt.preamble, page, len(fullOffer), fullOffer)
			got := exchange(t, s.addr, request)
			if !strings.Contains(got, tt.want) && (tt.want != io.EOF.Error() || u.count() != 0 || strings.Contains(got, "200")) {
				t.Fatalf("got %q, want %s", got, tt.want)
			}
			if tt.want != "200 OK" {
				if u.count() != 0 {
					t.Error("the site got it")
				}
				return
			}
			if _, body := u.last(t); strings.Contains(body, "candidate") == tt.dropped || strings.Contains(body, address) {
				t.Errorf("the site got %s", body)
			}
		})
	}
}
