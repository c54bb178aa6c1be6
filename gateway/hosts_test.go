package gateway

import (
	"context"
	"net/netip"
	"strings"
	"testing"
)

// TestHosts: addresses that the endpoint is known to have are concealed in whatever tells them.
func TestHosts(t *testing.T) {
	const srflx = "a=candidate:7 1 udp 1 10.1.2.3 5000 typ srflx raddr 0.0.0.0 rport 9\r\na=tool:10.1.2.3\r\n"
	const keepHosts = `policy "keep" {
		candidate "host" {
			action = "keep"
		}
	}`
	own := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::ffff:10.1.2.3"), netip.MustParseAddr("fe80::1%eth0")}
	for _, tt := range []struct {
		title, policy string
		hosts         []netip.Addr
		want          bool
	}{
		{"not known", "", nil, true},
		{"known", "", own, false},
		{"known, and hosts are told", keepHosts, own, true},
	} {
		s := newGateway(t, tt.policy)
		r, err := s.Encrypt(context.Background(), Request{
			Body: []byte("a=ice-ufrag:abcd\r\na=ice-pwd:" + pwd + "\r\n" + srflx + "a=x:fe80::1\r\n"), Format: Fragment, Client: client, Hosts: tt.hosts,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(r.Body), "10.1.2.3"); got != map[bool]int{true: 2}[tt.want] {
			t.Errorf("%s: the address stands there %d times:\n%s", tt.title, got, r.Body)
		}
		if got := strings.Contains(string(r.Body), "fe80::1"); got != (tt.hosts == nil) {
			t.Errorf("%s: a link-local address stays: %t", tt.title, got)
		}
	}
}
