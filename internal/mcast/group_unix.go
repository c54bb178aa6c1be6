//go:build !windows

package mcast

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenGroup makes the socket by hand, because package net binds to every address where it is told to bind
// to a group.
func listenGroup(network string, ifc *net.Interface) (net.PacketConn, error) {
	domain := unix.AF_INET
	var addr unix.Sockaddr = &unix.SockaddrInet4{Port: Port, Addr: [4]byte(Group4.To4())}
	if network == "udp6" {
		domain = unix.AF_INET6
		addr = &unix.SockaddrInet6{Port: Port, Addr: [16]byte(Group6), ZoneId: uint32(ifc.Index)}
	}
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), network)
	defer file.Close()
	if network == "udp6" {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = share(uintptr(fd), network)
	}
	if err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, addr); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	return net.FilePacketConn(file)
}
