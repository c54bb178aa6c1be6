// Package neighbor tells which addresses are of one host, as far as that can be seen from a link that it is on.
package neighbor

import (
	"context"
	"net"
	"net/netip"

	"github.com/candgw/candgw/internal/mcast"
)

// SameHost reports whether two addresses are of one host: they are one address; or both are this host's own; or, on
// Linux 5.0 and later, both are on one link, where their neighbor entries have one hardware address. known may have a zone, as one of a
// connection has; other has none.
//
// mayAsk is called before the kernel is made to ask for a neighbor that it does not know; if it returns false, nobody is
// asked. The answer is awaited for some 60 ms, or until ctx ends. What cannot be found out is false.
//
// A hardware address is as good as what hosts say on their link: a host that claims another one's address there, by ARP
// or Neighbor Discovery, passes for it here as it does everywhere.
func SameHost(ctx context.Context, known, other netip.Addr, mayAsk func() bool) bool {
	known, other = known.Unmap(), other.Unmap()
	if !known.IsValid() || !other.IsValid() {
		return false
	}
	if known.WithZone("") == other {
		return true
	}
	links := links()
	if known.IsLoopback() || owned(links, known.WithZone("")) {
		return other.IsLoopback() || owned(links, other)
	}
	for _, l := range links {
		inZone := known.Zone() == "" || known.Zone() == l.Name
		if inZone && l.networks.Contain(known.WithZone("")) && l.networks.Contain(other) && sameNeighbor(ctx, l, known.WithZone(""), other, mayAsk) {
			return true
		}
	}
	return false
}

// A link is an interface, with its addresses and the networks that they are in.
type link struct {
	net.Interface
	addrs    []netip.Addr
	networks mcast.Networks
}

// links returns those of this host that are up.
func links() (out []link) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		if err != nil || ifc.Flags&net.FlagUp == 0 {
			continue // it has gone meanwhile
		}
		l := link{Interface: ifc, networks: mcast.NetworksOf(addrs)}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				l.addrs = append(l.addrs, p.Addr().Unmap())
			}
		}
		out = append(out, l)
	}
	return out
}

func owned(links []link, a netip.Addr) bool {
	for _, l := range links {
		for _, own := range l.addrs {
			if own == a {
				return true
			}
		}
	}
	return false
}
