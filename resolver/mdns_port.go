package resolver

import (
	"cmp"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/candgw/candgw/internal/mcast"
)

const (
	// hops proves to careful receivers that a packet was not forwarded: RFC 6762, section 11.
	hops = 255
	// readBuffer is how many octets of packets may wait to be read: more than a thousand questions at once.
	// The system may give less, and some systems have to be told to give more (net.core.rmem_max of Linux).
	readBuffer = 2 << 20
)

// A link is an interface and an IP version.
type link struct {
	index int
	v6    bool
}

func (l link) group() net.IP {
	if l.v6 {
		return mcast.Group6
	}
	return mcast.Group4
}

// A port is the socket of one link. Each link has one of its own, because the system bounds how many
// groups a socket may join, and because closing it is the sure way to leave.
type port struct {
	link     link
	name     string
	hardware string         // its address
	nets     mcast.Networks // of the interface; MDNS.mu guards it
	v4       *ipv4.PacketConn
	v6       *ipv6.PacketConn
	// out is what is to be sent. A link may be slow to take it, and who reads or answers must not wait.
	out  chan *datagram
	gone chan struct{} // closed with the port
}

// maxOut is how much may wait to be sent on a link: all that a few full packets of questions call for.
const maxOut = 1024

type datagram struct {
	packet []byte
	to     net.Addr
	src    net.IP // nil for whichever the system takes
}

func (p *port) open4(ifc *net.Interface) error {
	filter, err := sift(p.link)
	if err != nil {
		return err
	}
	c, err := mcast.Listen4()
	if err != nil {
		return err
	}
	setReadBuffer(c)
	p.v4 = ipv4.NewPacketConn(c)
	p.v4.SetBPF(filter) // where the system has none, what it would keep out is dropped later
	return cmp.Or(p.v4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true),
		p.v4.SetTTL(hops), p.v4.SetMulticastTTL(hops), p.v4.SetMulticastLoopback(true),
		p.v4.JoinGroup(ifc, &net.UDPAddr{IP: mcast.Group4}))
}

func (p *port) open6(ifc *net.Interface) error {
	filter, err := sift(p.link)
	if err != nil {
		return err
	}
	c, err := mcast.Listen6()
	if err != nil {
		return err
	}
	setReadBuffer(c)
	p.v6 = ipv6.NewPacketConn(c)
	p.v6.SetBPF(filter) // where the system has none, what it would keep out is dropped later
	return cmp.Or(p.v6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true),
		p.v6.SetHopLimit(hops), p.v6.SetMulticastHopLimit(hops), p.v6.SetMulticastLoopback(true),
		p.v6.JoinGroup(ifc, &net.UDPAddr{IP: mcast.Group6}))
}

func setReadBuffer(c net.PacketConn) {
	if u, ok := c.(*net.UDPConn); ok {
		u.SetReadBuffer(readBuffer) // what the system does not give is done without
	}
}

func (p *port) close() {
	close(p.gone)
	if p.v4 != nil {
		p.v4.Close()
	}
	if p.v6 != nil {
		p.v6.Close()
	}
}

// write sends what is to be sent on a port until it is closed. What cannot be sent is lost like any datagram.
func (p *port) write() {
	for {
		select {
		case <-p.gone:
			return
		case d := <-p.out:
			if p.link.v6 {
				p.v6.WriteTo(d.packet, &ipv6.ControlMessage{IfIndex: p.link.index, Src: d.src}, d.to)
			} else {
				p.v4.WriteTo(d.packet, &ipv4.ControlMessage{IfIndex: p.link.index, Src: d.src}, d.to)
			}
		}
	}
}

// An arrival is where a packet came in, and from where to where it was sent.
type arrival struct {
	link link
	from net.Addr
	dst  net.IP
}

func (p *port) readFrom(buf []byte) (int, arrival, error) {
	if p.link.v6 {
		n, cm, from, err := p.v6.ReadFrom(buf)
		if cm == nil {
			cm = new(ipv6.ControlMessage)
		}
		return n, arrival{link{cm.IfIndex, true}, from, cm.Dst}, err
	}
	n, cm, from, err := p.v4.ReadFrom(buf)
	if cm == nil {
		cm = new(ipv4.ControlMessage)
	}
	return n, arrival{link{cm.IfIndex, false}, from, cm.Dst}, err
}
