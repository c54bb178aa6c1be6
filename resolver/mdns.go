package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/candgw/candgw/internal/mcast"
)

const (
	mdnsPort = mcast.Port
	// maxPacket is the largest packet of Multicast DNS, RFC 6762, section 17.
	maxPacket = 9000

	rescan = time.Second
)

// MDNS answers Multicast DNS queries (RFC 6762) on IPv4 and IPv6, on interfaces that come and go. It
// only answers: it announces nothing and probes for nothing (section 8), as nobody else can make its names,
// and says no farewell (10.1), as its records are as true without it. It has a record from the question
// to the answer, so that responses of others tell it nothing: they conflict with nothing (9), and need no
// correction (6.6). Nor does one take the place of an answer that it has put off (7.4): that of another node
// is put off to the same moment.
type MDNS struct {
	resolver *Resolver
	only     []string // interface names, empty for all
	failed   func(interfaceName string, err error)
	pace     *pacer
	waiting  *waitingRoom
	workers  sync.WaitGroup

	mu      sync.RWMutex
	serving bool
	ports   map[link]*port
	broken  map[link]bool // links that could not be opened, so that each is told once
}

// ListenMDNS opens the sockets, beside those of other responders. It answers on the interfaces that
// are named, or, if none is, on every one that speaks multicast. An interface that is not there yet
// is joined when it comes; failed hears, once, of each that cannot be.
func ListenMDNS(r *Resolver, interfaces []string, failed func(interfaceName string, err error)) (*MDNS, error) {
	// Whether the port is to be had is asked here, whatever interfaces there are. A host without IPv6,
	// or without IPv4, is served by the other.
	families := 0
	for _, listen := range []func() (net.PacketConn, error){mcast.Listen4, mcast.Listen6} {
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
		resolver: r, only: interfaces, failed: failed,
		ports: map[link]*port{}, broken: map[link]bool{},
	}
	m.pace, m.waiting = newPacer(m.multicast), newWaitingRoom(m.answer)
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
		m.work(p)
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
			m.workers.Wait()
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
	// To ask the system takes a while, in which packets are not to wait.
	networks := make([]mcast.Networks, len(interfaces))
	unknown := make([]bool, len(interfaces))
	for i, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		networks[i], unknown[i] = mcast.NetworksOf(addrs), err != nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[link]bool{}
	for i, ifc := range interfaces {
		nets := networks[i]
		for _, v6 := range []bool{false, true} {
			l := link{ifc.Index, v6}
			if unknown[i] { // for the moment, so that what there is stays
				found[l] = true
				continue
			}
			if !nets.Speak(v6) {
				continue // nobody there to speak that version with
			}
			found[l] = true
			p := m.ports[l]
			// Another interface may have come under the number of one that has gone, and the groups are left then.
			if p != nil && (p.name != ifc.Name || p.hardware != ifc.HardwareAddr.String()) {
				p.close()
				delete(m.ports, l)
				p = nil
			}
			if p != nil {
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
	p := &port{
		link: l, name: ifc.Name, hardware: ifc.HardwareAddr.String(), nets: nets,
		out: make(chan *datagram, maxOut), gone: make(chan struct{}),
	}
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
		m.work(p)
	}
}

// work reads from a port and writes to it until it is closed.
func (m *MDNS) work(p *port) {
	m.workers.Go(func() { m.read(p) })
	m.workers.Go(p.write)
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
			// The port of that link has it too: see sift.
		default:
			m.handle(buf[:n], in)
		}
	}
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
	// Other groups than that of Multicast DNS may be those of more than a link.
	group := in.dst.Equal(in.link.group())
	if p == nil || !isUDP || in.dst.IsMulticast() && !group {
		return
	}
	from := netip.AddrPortFrom(peer.AddrPort().Addr().Unmap(), peer.AddrPort().Port())
	switch m.resolver.look(packet) {
	case broken:
		m.resolver.malformed()
		return
	case notForUs: // but it may say what its sender knows
		if !m.waiting.has(sender{in.link, from.Addr()}) {
			return
		}
	}
	c, ok := m.resolver.hear(packet, query{from: from, multicast: group, onLink: nets.Contain(from.Addr().WithZone(""))})
	if !ok {
		return
	}
	switch {
	// An answer that defends a name against a probe waits for nothing: section 6.3.
	case !group, slices.ContainsFunc(c.replies, func(r reply) bool { return r.defends }):
	// Section 7.2 is for queries of Multicast DNS to the group.
	case from.Port() == mdnsPort && m.waiting.hear(sender{in.link, from.Addr()}, in, &c.message, c.replies):
		return
	// Section 6 has a responder wait for a random time where others may answer too. It has one that can answer
	// everything in a packet, with records of its own, answer at once; those of encrypted names are.
	case c.others && len(c.replies) > 0:
		m.waiting.besideOthers(in, c.replies)
		return
	}
	m.answer(in, c.replies)
}

// answer gives the answers to a packet: by unicast where that is called for, else to the group, as fast as
// the rule of section 6 lets it.
func (m *MDNS) answer(in arrival, replies []reply) {
	for _, r := range replies {
		if r.unicast {
			m.send(in.link, &r, in.from, in.dst)
		} else {
			m.pace.send(in.link, r)
		}
	}
}

// multicast sends a reply to the group.
func (m *MDNS) multicast(l link, r *reply) {
	m.send(l, r, &net.UDPAddr{IP: l.group(), Port: mdnsPort}, nil)
}

// send sends a reply on a link, from the address of this host that was asked if one was. It does not wait:
// what a link does not take is lost like any datagram, and the asker asks again.
func (m *MDNS) send(l link, r *reply, to net.Addr, src net.IP) {
	if time.Since(r.asked) >= r.answer.TTL {
		return // it was put off, and its key may have ended meanwhile
	}
	packet, err := r.pack()
	if err != nil {
		return // a name that cannot be packed cannot have been unpacked
	}
	if src.IsMulticast() {
		src = nil
	}
	m.mu.RLock()
	p := m.ports[l]
	m.mu.RUnlock()
	if p == nil {
		return // it has gone meanwhile
	}
	select {
	case p.out <- &datagram{packet, to, src}:
	default:
	}
}
