package mcast

import "golang.org/x/sys/unix"

func share(fd uintptr, network string) error {
	s := int(fd)
	// Both, because others set one or the other and all must agree.
	if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	// Without this a socket hears the group on every interface that anybody on the host joined it on.
	if network == "udp4" {
		return unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	}
	return unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
}
