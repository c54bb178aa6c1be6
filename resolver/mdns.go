package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
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
	v4       *ipv4.PacketConn
	v6       *ipv6.PacketConn
	pace     *pacer

	mu     sync.RWMutex
	joined map[link][]netip.Prefix // the networks of each link
}

// A link is an interface and an IP version.
type link struct {
	index int
	v6    bool
}

// ListenMDNS opens the sockets, beside those of other responders. It answers on the interfaces that
// are named, or, if none is, on every one that speaks multicast. An interface that is not there yet
// is joined when it comes.
func ListenMDNS(r *Resolver, interfaces []string) (*MDNS, error) {
	m := &MDNS{resolver: r, only: interfaces, pace: newPacer(), joined: map[link][]netip.Prefix{}}
	c4, err4 := mcast.Listen4("0.0.0.0")
	if err4 == nil {
		m.v4 = ipv4.NewPacketConn(c4)
		err4 = errors.Join(m.v4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true),
			m.v4.SetTTL(hops), m.v4.SetMulticastTTL(hops), m.v4.SetMulticastLoopback(true))
	}
	c6, err6 := mcast.Listen6("::")
	if err6 == nil {
		m.v6 = ipv6.NewPacketConn(c6)
		err6 = errors.Join(m.v6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true),
			m.v6.SetHopLimit(hops), m.v6.SetMulticastHopLimit(hops), m.v6.SetMulticastLoopback(true))
	}
	// A host without IPv6, or without IPv4, is served by the other.
	if err4 != nil && err6 != nil {
		m.Close()
		return nil, errors.Join(err4, err6)
	}
	if err4 != nil {
		m.v4 = nil
	}
	if err6 != nil {
		m.v6 = nil
	}
	if err := m.rescan(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close closes the sockets.
func (m *MDNS) Close() error {
	var err error
	if m.v4 != nil {
		err = m.v4.Close()
	}
	if m.v6 != nil {
		err = errors.Join(err, m.v6.Close())
	}
	return err
}

// Interfaces returns the names of the interfaces that are answered on now.
func (m *MDNS) Interfaces() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var names []string
	for l := range m.joined {
		if ifc, err := net.InterfaceByIndex(l.index); err == nil && !slices.Contains(names, ifc.Name) {
			names = append(names, ifc.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Serve answers until ctx ends, and returns nil then; the sockets are closed.
func (m *MDNS) Serve(ctx context.Context) error {
	failed := make(chan error, 2)
	if m.v4 != nil {
		go func() { failed <- m.read4() }()
	}
	if m.v6 != nil {
		go func() { failed <- m.read6() }()
	}
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.Close()
			return nil
		case err := <-failed:
			m.Close()
			return fmt.Errorf("reading from the port of Multicast DNS: %w", err)
		case <-tick.C:
			m.rescan() // a failure here passes, or shows as no interface in Interfaces
		}
	}
}

// rescan joins the groups on interfaces that came, and forgets those that went.
func (m *MDNS) rescan() error {
	interfaces, err := mcast.Interfaces(m.only)
	if err != nil {
		return err
	}
	found := map[link][]netip.Prefix{}
	for _, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		if err != nil {
			continue
		}
		nets := prefixesOf(addrs)
		if l := (link{ifc.Index, false}); m.v4 != nil && m.join(l, func() error { return m.v4.JoinGroup(&ifc, &net.UDPAddr{IP: mcast.Group4}) }) {
			found[l] = nets
		}
		if l := (link{ifc.Index, true}); m.v6 != nil && m.join(l, func() error { return m.v6.JoinGroup(&ifc, &net.UDPAddr{IP: mcast.Group6}) }) {
			found[l] = nets
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.joined = found
	return nil
}

// join joins the group of a link unless it is joined already; it reports whether it is.
func (m *MDNS) join(l link, join func() error) bool {
	m.mu.RLock()
	_, ok := m.joined[l]
	m.mu.RUnlock()
	return ok || join() == nil
}

func (m *MDNS) read4() error {
	return m.read(func(buf []byte) error {
		n, cm, from, err := m.v4.ReadFrom(buf)
		if err == nil && cm != nil {
			m.handle(buf[:n], link{cm.IfIndex, false}, from, cm.Dst)
		}
		return err
	})
}

func (m *MDNS) read6() error {
	return m.read(func(buf []byte) error {
		n, cm, from, err := m.v6.ReadFrom(buf)
		if err == nil && cm != nil {
			m.handle(buf[:n], link{cm.IfIndex, true}, from, cm.Dst)
		}
		return err
	})
}

// maxReadErrors is how many reads in a row may fail, as they do while an interface goes down, before
// the socket is given up.
const maxReadErrors = 100

func (m *MDNS) read(one func(buf []byte) error) error {
	buf := make([]byte, maxPacket)
	for failures := 0; ; {
		err := one(buf)
		switch {
		case err == nil:
			failures = 0
		case errors.Is(err, net.ErrClosed) || failures == maxReadErrors:
			return err
		default:
			failures++
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// handle answers one packet that came in on a link.
func (m *MDNS) handle(packet []byte, l link, from net.Addr, dst net.IP) {
	m.mu.RLock()
	nets, ok := m.joined[l]
	m.mu.RUnlock()
	peer, isUDP := from.(*net.UDPAddr)
	if !ok || !isUDP {
		return
	}
	q := query{peer.AddrPort(), dst.IsMulticast()}
	q.from = netip.AddrPortFrom(q.from.Addr().Unmap(), q.from.Port())
	// Section 11: what was sent to the group did not pass a router; what was sent to this host may have.
	if addr := q.from.Addr().WithZone(""); !q.multicast && !contains(nets, addr) {
		return
	}
	for _, r := range m.resolver.replies(packet, q) {
		if r.unicast {
			m.write(&r, true, l, from, dst)
			continue
		}
		nsec := pacedRecord{l, r.name, true}
		if r.has {
			m.pace.send(pacedRecord{l, r.name, false}, func() { m.write(&r, m.pace.along(nsec), l, nil, nil) })
		} else {
			m.pace.send(nsec, func() { m.write(&r, true, l, nil, nil) })
		}
	}
}

// write sends a reply to one host, from the address that it asked, or to the group.
func (m *MDNS) write(r *reply, withNSEC bool, l link, to net.Addr, src net.IP) {
	packet, err := r.pack(withNSEC)
	if err != nil {
		return // a name that cannot be packed cannot have been unpacked
	}
	if src.IsMulticast() {
		src = nil
	}
	// A reply that cannot be sent is lost like any datagram; the asker asks again.
	if l.v6 {
		if to == nil {
			to = &net.UDPAddr{IP: mcast.Group6, Port: mdnsPort}
		}
		m.v6.WriteTo(packet, &ipv6.ControlMessage{IfIndex: l.index, Src: src}, to)
		return
	}
	if to == nil {
		to = &net.UDPAddr{IP: mcast.Group4, Port: mdnsPort}
	}
	m.v4.WriteTo(packet, &ipv4.ControlMessage{IfIndex: l.index, Src: src}, to)
}
