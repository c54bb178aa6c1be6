package mcast

import (
	"net"
	"slices"
	"testing"
)

// Several programs on one host have the port open at once, bound to everything or to the group.
func TestListenShares(t *testing.T) {
	for _, tt := range []struct {
		name   string
		listen func(string) (net.PacketConn, error)
		addrs  []string
	}{
		{"IPv4", Listen4, []string{"0.0.0.0", "0.0.0.0", Group4.String()}},
		{"IPv6", Listen6, []string{"::", "::", Group6.String()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, addr := range tt.addrs {
				c, err := tt.listen(addr)
				if err != nil {
					t.Fatalf("%s: %v", addr, err)
				}
				defer c.Close()
				if port := c.LocalAddr().(*net.UDPAddr).Port; port != Port {
					t.Errorf("%s: port %d", addr, port)
				}
			}
		})
	}
}

func TestInterfaces(t *testing.T) {
	all, err := Interfaces(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ifc := range all {
		const want = net.FlagUp | net.FlagMulticast
		if ifc.Flags&want != want || ifc.Flags&net.FlagLoopback != 0 {
			t.Errorf("%s: %v", ifc.Name, ifc.Flags)
		}
		only, err := Interfaces([]string{ifc.Name, "no-such-interface"})
		if err != nil || !slices.EqualFunc(only, []net.Interface{ifc}, func(a, b net.Interface) bool { return a.Index == b.Index }) {
			t.Errorf("asked for %s, got %v, %v", ifc.Name, only, err)
		}
	}
	if none, err := Interfaces([]string{"no-such-interface"}); err != nil || len(none) != 0 {
		t.Errorf("got %v, %v", none, err)
	}
}
