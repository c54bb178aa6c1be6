package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/internal/mcast"
	"github.com/candgw/candgw/policy"
)

// A link is an interface and an address that others reach on it, for each IP version that it speaks.
type link struct {
	ifc   net.Interface
	addrs []netip.Addr
}

// linksOf returns the interfaces that Multicast DNS is spoken on.
func (n *Node) linksOf() (links []link, err error) {
	interfaces, err := mcast.Interfaces(n.Config.MDNS.Interfaces)
	for _, ifc := range interfaces {
		l := link{ifc: ifc}
		addrs, err := ifc.Addrs()
		if err != nil {
			continue // it has gone meanwhile
		}
		for _, v6 := range []bool{false, true} {
			for _, a := range addrs {
				p, err := netip.ParsePrefix(a.String())
				if err == nil && p.Addr().Is6() == v6 && policy.Reachable(p.Addr()) {
					l.addrs = append(l.addrs, p.Addr())
					break
				}
			}
		}
		links = append(links, l)
	}
	return links, err
}

// checkLinks asks on each link for a name made here, of an address on the next link.
func (n *Node) checkLinks(ctx context.Context, r *report) {
	if !n.Config.MDNS.Enabled {
		return
	}
	links, err := n.linksOf()
	if err != nil {
		r.add("links", Fail, err.Error(), "Let this user see the interfaces of the host.")
		return
	}
	if len(links) == 0 {
		r.add("links", Fail, "no interface is up and speaks multicast", "Connect this host to the subnets of the browsers, or check the list 'interfaces' of the block mdns.")
	}
	for _, name := range n.Config.MDNS.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			r.add("link "+name, Warn, "there is no such interface now", "It is joined when it comes; check its name.")
		}
	}
	own := map[netip.Addr]bool{}
	for _, l := range links {
		for _, a := range l.addrs {
			own[a] = true
		}
	}
	for i, l := range links {
		check := "link " + l.ifc.Name
		if len(l.addrs) == 0 {
			r.add(check, Warn, "it has no address that another host can reach", "Give it one: who asks there is answered from it.")
		}
		for _, addr := range l.addrs {
			v6 := addr.Is6()
			if yes, known := joined(n.Root, l.ifc.Name, v6); known && !yes {
				r.add(check, Fail, family(v6)+": the group of Multicast DNS is not joined", "Start 'candgw serve', or look in its log for why it cannot join here.")
				continue
			}
			n.askOn(ctx, r, check, &l.ifc, addr, addressOf(links[(i+1)%len(links)], addr), own)
		}
	}
}

// addressOf returns an address of a link of the same IP version as another, or that one.
func addressOf(l link, like netip.Addr) netip.Addr {
	for _, a := range l.addrs {
		if a.Is6() == like.Is6() {
			return a
		}
	}
	return like
}

// askOn asks on one link, from its address asker, for a name made here of another address.
func (n *Node) askOn(ctx context.Context, r *report, check string, ifc *net.Interface, asker, addr netip.Addr, own map[netip.Addr]bool) {
	if n.Ring == nil || n.Policy == nil {
		return
	}
	name, err := n.newName(addr)
	if err != nil {
		r.add(check, Skip, "no name can be made to ask for: "+err.Error(), "")
		return
	}
	version := family(asker.Is6())
	if a := n.Policy.DecideLookup(policy.Lookup{Asker: asker, OnLink: true, Addr: addr}); !a.Allow {
		r.add(check, Warn, fmt.Sprintf("%s: the policies refuse lookups of this host on it: %v", version, a.By), "Try 'candgw policy explain --lookup … --from … --on-link' for the hosts that should be answered.")
		return
	}
	got, from, err := askLink(ctx, ifc, asker.Is6(), netip.Addr{}, name+".local", addr)
	switch {
	case err != nil:
		r.add(check, Fail, fmt.Sprintf("%s: a name made here is not answered: %v", version, err), "See that 'candgw serve' runs with this key ring, and that no firewall keeps UDP port 5353 or the groups 224.0.0.251 and ff02::fb from it.")
	case got != addr:
		r.add(check, Fail, version+": a name made here is answered with another address", "Another responder on the link answers for names that are not its own: find and end it.")
	case own[from] || from.IsLinkLocalUnicast():
		r.ok(check, version+": a name made here is answered")
	default:
		r.ok(check, version+": a name made here is answered, first by another node")
	}
}

// checkDNS asks the node's own DNS.
func (n *Node) checkDNS(ctx context.Context, r *report) {
	server := serverOf(n.Config.DNS.Listen)
	if !server.IsValid() {
		r.add("DNS", Skip, "its address is known only to the 'serve' that runs", "")
		return
	}
	n.askDNS(ctx, r, "DNS", server, "'candgw serve' does not run, or listens elsewhere: give the doctor its --config or flags.")
}

// refusesItself reports whether the policies of this node refuse a lookup that it makes itself, of an address.
func (n *Node) refusesItself(server netip.AddrPort, addr netip.Addr) bool {
	asker := server.Addr() // which a host has when it asks itself
	return n.Policy != nil && !n.Policy.DecideLookup(policy.Lookup{Asker: asker, Addr: addr}).Allow
}

// askDNS asks a server for a name made here, of an address of this host. silent says what to do if nobody answers.
func (n *Node) askDNS(ctx context.Context, r *report, check string, server netip.AddrPort, silent string) {
	if n.Ring == nil {
		return
	}
	addr := n.anAddress()
	name, err := n.newName(addr)
	if err != nil {
		r.add(check, Skip, "no name can be made to ask for: "+err.Error(), "")
		return
	}
	reply, err := askServer(ctx, server, name+"."+n.zone(), addr)
	switch {
	case err != nil:
		r.add(check, Fail, "it does not answer", silent)
	case reply.Rcode == dns.RcodeNameError:
		r.add(check, Fail, "it does not open a name made here", "It has another key ring, or an older one: nodes share one ring by sharing its folder, or by 'candgw keys export' and 'import'.")
	case reply.Rcode == dns.RcodeRefused && server != n.Peer && n.refusesItself(server, addr):
		r.add(check, Skip, "it answers; as the policies refuse lookups of this host itself, no more can be seen", "")
	case reply.Rcode == dns.RcodeRefused:
		r.add(check, Fail, "it refuses to answer this host", "Its policies do not let this host look up this address, or its zones are others: run 'candgw policy explain --lookup … --from …' there.")
	case reply.Rcode != dns.RcodeSuccess:
		r.add(check, Fail, "it answers "+dns.RcodeToString[reply.Rcode], "Look in its log.")
	case addressIn(reply) != addr:
		r.add(check, Fail, "it answers a name made here with another address", "Another DNS server answers there: check the address and the port.")
	default:
		r.ok(check, "a name made here is answered")
	}
}

// zone returns the one that the configuration has first.
func (n *Node) zone() string {
	if z := n.Config.DNS.Zones; len(z) > 0 {
		return z[0]
	}
	if z := n.Config.DNS.Delegated; len(z) > 0 {
		return z[0].Name
	}
	return "local"
}

// anAddress returns an address of this host that others reach, or else one of a private network.
func (n *Node) anAddress() netip.Addr {
	links, _ := n.linksOf()
	for _, l := range links {
		if len(l.addrs) > 0 {
			return l.addrs[0]
		}
	}
	return netip.AddrFrom4([4]byte{10, 0, 0, 1})
}

// checkPeer asks another node for a name made here: by DNS, and, if it is on a link of this host, by Multicast DNS.
func (n *Node) checkPeer(ctx context.Context, r *report) {
	if !n.Peer.IsValid() {
		return
	}
	n.askDNS(ctx, r, "peer, DNS", n.Peer, "See that 'serve' runs there, that dns.listen is no loopback address, and that firewalls pass UDP to its port; say the port with --peer ADDRESS:PORT.")
	interfaces, err := mcast.Interfaces(nil)
	if err != nil || n.Ring == nil {
		return
	}
	const check = "peer, Multicast DNS"
	for _, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		if err != nil || !mcast.NetworksOf(addrs).Contain(n.Peer.Addr()) {
			continue
		}
		addr := n.anAddress()
		name, err := n.newName(addr)
		if err != nil {
			return // said above
		}
		switch got, _, err := askLink(ctx, &ifc, n.Peer.Addr().Is6(), n.Peer.Addr(), name+".local", addr); {
		case err != nil:
			r.add(check, Fail, "it does not answer for a name made here", "See that Multicast DNS is on there, that firewalls pass UDP port 5353, and that it has this key ring.")
		case got != addr:
			r.add(check, Fail, "it answers a name made here with another address", "Another responder has port 5353 there.")
		default:
			r.ok(check, "a name made here is answered")
		}
		return
	}
	r.add(check, Skip, "it is on no link of this host, and Multicast DNS does not leave a link", "Run the doctor there too.")
}
