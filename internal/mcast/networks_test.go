package mcast

import (
	"net"
	"net/netip"
	"testing"
)

func TestNetworks(t *testing.T) {
	nets := NetworksOf([]net.Addr{
		&net.IPNet{IP: net.IPv4(10, 77, 1, 1), Mask: net.CIDRMask(24, 32)},
		&net.IPNet{IP: net.ParseIP("fd77::1"), Mask: net.CIDRMask(64, 128)},
		&net.UnixAddr{Name: "no network"},
	})
	if len(nets) != 2 {
		t.Fatalf("got %v", nets)
	}
	for addr, want := range map[string]bool{
		"10.77.1.9": true, "fd77::9": true, "10.77.2.9": false, "fd78::9": false, "::ffff:10.77.1.9": false, "": false,
	} {
		a, _ := netip.ParseAddr(addr)
		if nets.Contain(a) != want {
			t.Errorf("%q: %v", addr, !want)
		}
	}
}
