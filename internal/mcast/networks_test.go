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

func TestNetworksSpeak(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("10.77.1.0/24"), netip.MustParsePrefix("fd77::/64")
	for _, tt := range []struct {
		nets         Networks
		want4, want6 bool
	}{
		{nil, false, false}, {Networks{v4}, true, false}, {Networks{v6}, false, true}, {Networks{v4, v6}, true, true},
	} {
		if got4, got6 := tt.nets.Speak(false), tt.nets.Speak(true); got4 != tt.want4 || got6 != tt.want6 {
			t.Errorf("%v: got %v, %v", tt.nets, got4, got6)
		}
	}
}
