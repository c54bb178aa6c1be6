package neighbor

import (
	"context"
	"net"
	"net/netip"
	"testing"
)

func never() bool { return false }

// TestThisHost has loopback, and every address of this host, be this host.
func TestThisHost(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			t.Fatal(err)
		}
		if !SameHost(context.Background(), loopback, p.Addr(), never) || !SameHost(context.Background(), p.Addr(), loopback, never) {
			t.Errorf("%s is an address of this host", p)
		}
	}
}

func TestOneAddress(t *testing.T) {
	for _, tt := range []struct {
		name, known, other string
		want               bool
	}{
		{"one address", "198.51.100.7", "198.51.100.7", true},
		{"one address, mapped", "::ffff:198.51.100.7", "198.51.100.7", true},
		{"one address with a zone", "fe80::7%eth7", "fe80::7", true},
		{"two on no link of ours", "198.51.100.7", "198.51.100.8", false},
		{"two of ::1", "::1", "127.0.0.1", true},
		{"a stranger beside loopback", "127.0.0.1", "198.51.100.7", false},
		{"loopback of a stranger", "198.51.100.7", "127.0.0.1", false},
		{"no address", "", "198.51.100.7", false},
		{"none at all", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known, _ := netip.ParseAddr(tt.known)
			other, _ := netip.ParseAddr(tt.other)
			if got := SameHost(context.Background(), known, other, never); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
