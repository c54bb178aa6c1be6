package mcast

import (
	"net"
	"net/netip"
	"slices"
)

// Networks are those that interface addresses are in.
type Networks []netip.Prefix

// NetworksOf returns the networks of addresses as package net gives them for interfaces.
func NetworksOf(addrs []net.Addr) (nets Networks) {
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			nets = append(nets, p.Masked())
		}
	}
	return nets
}

// Contain reports whether an address, which must have no zone, is in one of the networks.
func (n Networks) Contain(a netip.Addr) bool {
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Speak reports whether one of the networks is of an IP version: 6, or else 4.
func (n Networks) Speak(v6 bool) bool {
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Addr().Is6() == v6 })
}
