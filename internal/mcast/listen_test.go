package mcast

import (
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
)

// Several programs on one host have the port open at once, bound to everything or to the group. What comes to
// the host alone, those take that are bound to everything.
func TestListenShares(t *testing.T) {
	loopback := &net.Interface{Index: 1, Name: "lo"}
	group4 := func() (net.PacketConn, error) { return ListenGroup4(loopback) }
	group6 := func() (net.PacketConn, error) { return ListenGroup6(loopback) }
	for _, tt := range []struct {
		name     string
		all      func() (net.PacketConn, error)
		group    func() (net.PacketConn, error)
		loopback string
	}{
		{"IPv4", Listen4, group4, "127.0.0.1:0"},
		{"IPv6", Listen6, group6, "[::1]:0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			heard := make(chan string, 64)
			open := func(listen func() (net.PacketConn, error), name string) {
				t.Helper()
				c, err := listen()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				t.Cleanup(func() { c.Close() })
				if port := c.LocalAddr().(*net.UDPAddr).Port; port != Port {
					t.Errorf("%s: port %d", name, port)
				}
				go func() {
					for {
						if _, _, err := c.ReadFrom(make([]byte, 1)); err != nil {
							return
						}
						heard <- name
					}
				}()
			}
			open(tt.all, "everything")
			for range 4 {
				open(tt.group, "the group")
			}
			open(tt.all, "everything")

			for range 16 { // the system spreads them by the port that they come from
				c, err := net.ListenPacket("udp", tt.loopback)
				if err != nil {
					t.Fatal(err)
				}
				to := *c.LocalAddr().(*net.UDPAddr)
				to.Port = Port
				if _, err := c.WriteTo([]byte("x"), &to); err != nil {
					t.Fatal(err)
				}
				select {
				case name := <-heard:
					if name != "everything" && runtime.GOOS != "windows" {
						t.Errorf("a packet to this host comes to the socket bound to %s", name)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("a packet to this host comes to nobody")
				}
				c.Close()
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
