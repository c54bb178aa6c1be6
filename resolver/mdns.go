package resolver

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/candgw/candgw/internal/mcast"
)

const (
	mdnsPort = mcast.Port
	// maxPacket is the largest packet of Multicast DNS, RFC 6762, section 17.
	maxPacket = 9000
	// hops proves to careful receivers that a packet was not forwarded: section 11.
	hops = 255

	rescan = time.Second
)

// MDNS answers Multicast DNS queries (RFC 6762) on IPv4 and IPv6, on interfaces that come and go. It
// only answers: it announces nothing and probes for nothing, as nobody else can make its names.
type MDNS struct {
	resolver *Resolver
	only     []string // interface names, empty for all
	failed   func(interfaceName string, err error)
	pace     *pacer
	readers  sync.WaitGroup

	mu      sync.RWMutex
	serving bool
	ports   map[link]*port
	broken  map[link]bool // links that could not be opened, so that each is told once
}

// A link is an interface and an IP version.
type link struct {
	index int
	v6    bool
}

// A port is the socket of one link. Each link has one of its own, because the system bounds how many
// groups a socket may join, and because closing it is the sure way to leave.
type port struct {
	link link
	name string
	nets mcast.Networks // of the interface; MDNS.mu guards it
	v4   *ipv4.PacketConn
	v6   *ipv6.PacketConn
}

// ListenMDNS opens the sockets, beside those of other responders. It answers on the interfaces that
// are named, or, if none is, on every one that speaks multicast. An interface that is not there yet
// is joined when it comes; failed hears, once, of each that cannot be.
func ListenMDNS(r *Resolver, interfaces []string, failed func(interfaceName string, err error)) (*MDNS, error) {
	// Whether the port is to be had is asked here, whatever interfaces there are. A host without IPv6,
	// or without IPv4, is served by the other.
	families := 0
	for _, listen := range []func() (net.PacketConn, error){
		func() (net.PacketConn, error) { return mcast.Listen4("0.0.0.0") },
		func() (net.PacketConn, error) { return mcast.Listen6("::") },
	} {
		c, err := listen()
		switch {
		case err == nil:
			families++
			c.Close()
		case !errors.Is(err, syscall.EAFNOSUPPORT) && !errors.Is(err, syscall.EADDRNOTAVAIL):
			return nil, err
		}
	}
	if families == 0 {
		return nil, errors.New("this host has neither IPv4 nor IPv6")
	}
	m := &MDNS{
		resolver: r, only: interfaces, failed: failed, pace: newPacer(),
		ports: map[link]*port{}, broken: map[link]bool{},
	}
	return m, m.rescan()
}

// Interfaces returns the names of the interfaces that are answered on now.
func (m *MDNS) Interfaces() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var names []string
	for _, p := range m.ports {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// Serve answers until ctx ends, and returns nil then; the sockets are closed.
func (m *MDNS) Serve(ctx context.Context) error {
	m.mu.Lock()
	m.serving = true
	for _, p := range m.ports {
		m.readers.Go(func() { m.read(p) })
	}
	m.mu.Unlock()
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.mu.Lock()
			for l, p := range m.ports {
				p.close()
				delete(m.ports, l)
			}
			m.mu.Unlock()
			m.readers.Wait()
			return nil
		case <-tick.C:
			m.rescan() // a failure to list interfaces passes
		}
	}
}

// rescan opens ports on interfaces that came, and closes those of interfaces that went.
func (m *MDNS) rescan() error {
	interfaces, err := mcast.Interfaces(m.only)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[link]bool{}
	for _, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		if err != nil {
			continue
		}
		nets := mcast.NetworksOf(addrs)
		for _, v6 := range []bool{false, true} {
			l := link{ifc.Index, v6}
			if !slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Addr().Is6() == v6 }) {
				continue // nobody there to speak that version with
			}
			found[l] = true
			if p := m.ports[l]; p != nil {
				p.nets = nets
			} else {
				m.open(l, ifc, nets)
			}
		}
	}
	for l, p := range m.ports {
		if !found[l] {
			p.close()
			delete(m.ports, l)
		}
	}
	for l := range m.broken {
		if !found[l] {
			delete(m.broken, l)
		}
	}
	return nil
}

// open opens the port of a link. m.mu is held.
func (m *MDNS) open(l link, ifc net.Interface, nets mcast.Networks) {
	p := &port{link: l, name: ifc.Name, nets: nets}
	open := p.open4
	if l.v6 {
		open = p.open6
	}
	if err := open(&ifc); err != nil {
		p.close()
		if !m.broken[l] {
			m.broken[l] = true
			m.failed(ifc.Name, err)
		}
		return
	}
	delete(m.broken, l)
	m.ports[l] = p
	if m.serving {
		m.readers.Go(func() { m.read(p) })
	}
}

func (p *port) open4(ifc *net.Interface) error {
	c, err := mcast.Listen4("0.0.0.0")
	if err != nil {
		return err
	}
	p.v4 = ipv4.NewPacketConn(c)
	return cmp.Or(p.v4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true),
		p.v4.SetTTL(hops), p.v4.SetMulticastTTL(hops), p.v4.SetMulticastLoopback(true),
		p.v4.JoinGroup(ifc, &net.UDPAddr{IP: mcast.Group4}))
}

func (p *port) open6(ifc *net.Interface) error {
	c, err := mcast.Listen6("::")
	if err != nil {
		return err
	}
	p.v6 = ipv6.NewPacketConn(c)
	return cmp.Or(p.v6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true),
		p.v6.SetHopLimit(hops), p.v6.SetMulticastHopLimit(hops), p.v6.SetMulticastLoopback(true),
		p.v6.JoinGroup(ifc, &net.UDPAddr{IP: mcast.Group6}))
}

func (p *port) close() {
	if p.v4 != nil {
		p.v4.Close()
	}
	if p.v6 != nil {
		p.v6.Close()
	}
}

// read answers what comes in on a port until it is closed. A read may fail in passing, as while the
// interface goes down.
func (m *MDNS) read(p *port) {
	buf := make([]byte, maxPacket)
	for {
		n, in, err := p.readFrom(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(10 * time.Millisecond)
		case p.link.v6 && in.dst.IsMulticast() && in.link != p.link:
			// Linux gives an IPv6 socket what comes to a group that it joined on any link; the port of
			// that link has it too. Over IPv4 it may be that only the wrong port has it.
		default:
			m.handle(buf[:n], in)
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

// handle answers one packet. It may have come in on the port of another link, as what was sent to this
// host and not to the group does; it is answered by the port of the link that it arrived on.
func (m *MDNS) handle(packet []byte, in arrival) {
	m.mu.RLock()
	p := m.ports[in.link]
	var nets mcast.Networks
	if p != nil {
		nets = p.nets
	}
	m.mu.RUnlock()
	peer, isUDP := in.from.(*net.UDPAddr)
	if p == nil || !isUDP {
		return
	}
	from := netip.AddrPortFrom(peer.AddrPort().Addr().Unmap(), peer.AddrPort().Port())
	q := query{from: from, multicast: in.dst.IsMulticast(), onLink: nets.Contain(from.Addr().WithZone(""))}
	for _, r := range m.resolver.replies(packet, q) {
		if r.unicast {
			p.write(&r, true, in.from, in.dst)
			continue
		}
		address, nsec := pacedRecord{in.link, r.name, false}, pacedRecord{in.link, r.name, true}
		if r.has {
			m.pace.send(address, func() { p.write(&r, m.pace.along(nsec, address), nil, nil) })
		} else {
			m.pace.send(nsec, func() { p.write(&r, true, nil, nil) })
		}
	}
}

// write sends a reply to one host, from the address that it asked, or to the group.
func (p *port) write(r *reply, withNSEC bool, to net.Addr, src net.IP) {
	packet, err := r.pack(withNSEC)
	if err != nil {
		return // a name that cannot be packed cannot have been unpacked
	}
	if src.IsMulticast() {
		src = nil
	}
	// A reply that cannot be sent is lost like any datagram; the asker asks again.
	if p.link.v6 {
		if to == nil {
			to = &net.UDPAddr{IP: mcast.Group6, Port: mdnsPort}
		}
		p.v6.WriteTo(packet, &ipv6.ControlMessage{IfIndex: p.link.index, Src: src}, to)
		return
	}
	if to == nil {
		to = &net.UDPAddr{IP: mcast.Group4, Port: mdnsPort}
	}
	p.v4.WriteTo(packet, &ipv4.ControlMessage{IfIndex: p.link.index, Src: src}, to)
}
