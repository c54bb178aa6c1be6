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

// Listen4 opens a socket on the port of Multicast DNS, bound to addr ("0.0.0.0", or the group: then
// it hears nothing but the group). It hears the group on those interfaces only that it joins it on.
func Listen4(addr string) (net.PacketConn, error) { return listen("udp4", addr) }

// Listen6 is Listen4 for IPv6.
func Listen6(addr string) (net.PacketConn, error) { return listen("udp6", addr) }

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
