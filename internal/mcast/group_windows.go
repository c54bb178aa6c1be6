package mcast

import "net"

func listenGroup(network string, _ *net.Interface) (net.PacketConn, error) {
	if network == "udp6" {
		return Listen6()
	}
	return Listen4()
}
