// Package mcast opens the sockets of Multicast DNS (RFC 6762, section 3) beside those of browsers and
// other responders on the same host.
package mcast

import (
	"context"
	"net"
	"slices"
	"strconv"
	"syscall"
)

// Port is that of Multicast DNS.
const Port = 5353

// The groups of Multicast DNS.
var (
	Group4 = net.IPv4(224, 0, 0, 251)
	Group6 = net.ParseIP("ff02::fb")
)

// Listen4 opens a socket on the port of Multicast DNS. It hears the group on those interfaces only that it
// joins it on, and a share of what comes to this host alone.
func Listen4() (net.PacketConn, error) { return listen("udp4", "0.0.0.0") }

// Listen6 is Listen4 for IPv6.
func Listen6() (net.PacketConn, error) { return listen("udp6", "::") }

// ListenGroup4 opens a socket on the port of Multicast DNS, bound to the group: it takes nothing that comes to
// this host alone from those who wait for that. It hears the group once it has joined it on the interface.
// Windows cannot bind so, and there it is as Listen4.
func ListenGroup4(ifc *net.Interface) (net.PacketConn, error) { return listenGroup("udp4", ifc) }

// ListenGroup6 is ListenGroup4 for IPv6.
func ListenGroup6(ifc *net.Interface) (net.PacketConn, error) { return listenGroup("udp6", ifc) }

func listen(network, addr string) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) { err = share(fd, network) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	return lc.ListenPacket(context.Background(), network, net.JoinHostPort(addr, strconv.Itoa(Port)))
}

// Interfaces returns the interfaces that are up, speak multicast and are not loopback. If names are
// given, those of them.
func Interfaces(names []string) ([]net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	const want = net.FlagUp | net.FlagMulticast
	var out []net.Interface
	for _, ifc := range all {
		named := len(names) == 0 || slices.Contains(names, ifc.Name)
		if named && ifc.Flags&want == want && ifc.Flags&net.FlagLoopback == 0 {
			out = append(out, ifc)
		}
	}
	return out, nil
}
