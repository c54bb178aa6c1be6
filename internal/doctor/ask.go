package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/mcast"
)

// patience is how long an answer is waited for, and a question is sent twice in that time.
const patience = 2 * time.Second

// newName encrypts an address as the gateway would, under a password that nobody else has.
func (n *Node) newName(addr netip.Addr) (string, error) {
	key, err := n.Ring.Active(cipher.AESUUID)
	if err != nil {
		return "", err
	}
	name, err := key.Encrypt(addr, rand.Text(), []byte(rand.Text()))
	if err != nil {
		return "", err
	}
	return name.String(), nil
}

// question asks for the address of a name.
func question(name string, addr netip.Addr) *dns.Msg {
	kind := dns.TypeA
	if addr.Is6() {
		kind = dns.TypeAAAA
	}
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
}

// addressIn returns the address in an answer, not valid if there is none.
func addressIn(m *dns.Msg) netip.Addr {
	for _, rr := range m.Answer {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		if addr.IsValid() {
			return addr
		}
	}
	return netip.Addr{}
}

// askServer asks a DNS server over UDP.
func askServer(ctx context.Context, server netip.AddrPort, name string, addr netip.Addr) (*dns.Msg, error) {
	client := dns.Client{Timeout: patience}
	reply, _, err := client.ExchangeContext(ctx, question(name, addr), server.String())
	return reply, err
}

// errNobody says that nobody answered on a link.
var errNobody = errors.New("nobody answered")

// askLink asks on a link by Multicast DNS, from another port than 5353, so that the answer comes to it alone:
// RFC 6762, section 6.7. It asks the group, or, if to is valid, one host.
func askLink(ctx context.Context, ifc *net.Interface, v6 bool, to netip.Addr, name string, addr netip.Addr) (answer, from netip.Addr, err error) {
	network, group := "udp4", mcast.Group4
	if v6 {
		network, group = "udp6", mcast.Group6
	}
	target := &net.UDPAddr{IP: group, Port: mcast.Port}
	if to.IsValid() {
		target = &net.UDPAddr{IP: to.AsSlice(), Port: mcast.Port}
	}
	if v6 && (target.IP.IsMulticast() || target.IP.IsLinkLocalUnicast()) {
		target.Zone = ifc.Name
	}
	c, err := net.ListenPacket(network, ":0")
	if err != nil {
		return answer, from, err
	}
	defer c.Close()
	if v6 {
		p := ipv6.NewPacketConn(c)
		err = errors.Join(p.SetMulticastInterface(ifc), p.SetMulticastLoopback(true), p.SetMulticastHopLimit(255), p.SetHopLimit(255))
	} else {
		p := ipv4.NewPacketConn(c)
		err = errors.Join(p.SetMulticastInterface(ifc), p.SetMulticastLoopback(true), p.SetMulticastTTL(255), p.SetTTL(255))
	}
	if err != nil {
		return answer, from, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	ask := question(name, addr)
	ask.RecursionDesired = false
	packet, err := ask.Pack()
	if err != nil {
		return answer, from, err
	}
	buffer := make([]byte, 9000)
	for range 2 {
		if _, err := c.WriteTo(packet, target); err != nil {
			return answer, from, err
		}
		c.SetReadDeadline(time.Now().Add(patience / 2))
		for {
			size, sender, err := c.ReadFrom(buffer)
			if err != nil {
				break
			}
			var reply dns.Msg
			if reply.Unpack(buffer[:size]) != nil || reply.Id != ask.Id || !reply.Response {
				continue
			}
			if answer = addressIn(&reply); answer.IsValid() {
				return answer, sender.(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), nil
			}
		}
	}
	return answer, from, errNobody
}

// family names the IP version of an address.
func family(v6 bool) string {
	if v6 {
		return "IPv6"
	}
	return "IPv4"
}

// serverOf returns where the DNS of a configuration can be asked from this host, not valid if that is not known.
func serverOf(listen string) netip.AddrPort {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return netip.AddrPort{}
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return netip.AddrPort{}
	}
	switch {
	case addr.IsUnspecified() && addr.Is4():
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case addr.IsUnspecified():
		addr = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(addr, uint16(number))
}
