package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/candgw/candgw/internal/mcast"
)

// ErrNoLink says that this node has no link on which a name could be asked for.
var ErrNoLink = errors.New("no link to ask on")

// idle is the time after its last question for which a connection is kept. While one is open, everything that
// is multicast on its link goes through the cache of pion/mdns, which costs much where that is much.
const idle = 5 * time.Second

// LinkNames is the [NameResolver] of a node on the clients' links: it asks by Multicast DNS on the
// link whose network holds the client, or that the zone of its address names. For a client that is not known,
// or a loopback address, it asks on every link; for one that is on none of them, on none.
type LinkNames struct {
	interfaces []string
	idle       time.Duration

	mu     sync.Mutex
	closed bool
	conns  map[link]*linkConn // opened when asked on
}

// link is an interface as a connection knows it, which takes no notice of changes. When it changes, it is
// another link.
type link struct {
	index          int
	name, hardware string
	v4, v6         bool // which IP versions it has an address of
}

// linkConn is a connection, and who needs it. It is closed when nobody has asked on it for a while, and so
// is that of a link which has gone.
type linkConn struct {
	*mdns.Conn
	asking int // questions under way
	idle   *time.Timer
}

// NewLinkNames returns a resolver that asks on the named interfaces, or, if there are none, on every
// one that speaks multicast. Close it after use.
func NewLinkNames(interfaces []string) *LinkNames {
	return &LinkNames{interfaces: interfaces, idle: idle, conns: map[link]*linkConn{}}
}

// ResolveName asks for a name. The error is [ErrNoLink], or tells that nobody answered.
func (l *LinkNames) ResolveName(ctx context.Context, name string, client netip.Addr) (netip.Addr, error) {
	conns, err := l.acquire(client)
	if err != nil {
		return netip.Addr{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan netip.Addr, len(conns))
	for _, conn := range conns {
		go func() {
			_, addr, _ := conn.QueryAddr(ctx, name)
			l.release(conn)
			answers <- addr // not valid where nobody answered
		}()
	}
	for range conns {
		if addr := <-answers; addr.IsValid() {
			return addr, nil
		}
	}
	return netip.Addr{}, errors.New("nobody answered")
}

// acquire returns a connection for each interface to ask on. None is closed, but by Close, before it is released.
func (l *LinkNames) acquire(client netip.Addr) ([]*linkConn, error) {
	interfaces, err := mcast.Interfaces(l.interfaces)
	if err != nil {
		return nil, err
	}
	links := choose(interfaces, client)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrNoLink
	}
	var conns []*linkConn
	for k, ifc := range links {
		conn, ok := l.conns[k]
		if !ok {
			opened, failed := open(ifc, k)
			if failed != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", ifc.Name, failed))
				continue
			}
			conn = &linkConn{Conn: opened}
			conn.idle = time.AfterFunc(l.idle, func() { l.closeIdle(k, conn) })
			l.conns[k] = conn
		}
		conn.asking++
		conns = append(conns, conn)
	}
	if len(conns) == 0 {
		return nil, errors.Join(ErrNoLink, err)
	}
	return conns, nil
}

// release tells that a question on a connection has ended.
func (l *LinkNames) release(conn *linkConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn.asking--
	conn.idle.Reset(l.idle)
}

// closeIdle closes a connection, unless questions are under way: the last of them sets the timer again. As it may
// set one that has just run out, the connection may be closed already, and the next be open.
func (l *LinkNames) closeIdle(k link, conn *linkConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn.asking == 0 && l.conns[k] == conn {
		delete(l.conns, k)
		conn.Close()
	}
}

// choose returns those interfaces to ask on for a client. One without any address has nobody to ask.
func choose(interfaces []net.Interface, client netip.Addr) map[link]net.Interface {
	client = client.Unmap()
	everywhere := !client.IsValid() || client.IsLoopback()
	zone := zoneIndex(client.Zone())
	client = client.WithZone("")
	chosen := map[link]net.Interface{}
	for _, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		if err != nil {
			continue // it has gone meanwhile
		}
		nets := mcast.NetworksOf(addrs)
		k := link{ifc.Index, ifc.Name, ifc.HardwareAddr.String(), nets.Speak(false), nets.Speak(true)}
		if (k.v4 || k.v6) && (everywhere || zone == ifc.Index || zone == 0 && nets.Contain(client)) {
			chosen[k] = ifc
		}
	}
	return chosen
}

// zoneIndex returns the index of the interface that a zone names, or 0: RFC 4007, section 11.2, has
// zones be names or numbers.
func zoneIndex(zone string) int {
	if zone == "" {
		return 0
	}
	if ifc, err := net.InterfaceByName(zone); err == nil {
		return ifc.Index
	}
	if index, err := strconv.Atoi(zone); err == nil {
		if ifc, err := net.InterfaceByIndex(index); err == nil {
			return ifc.Index
		}
	}
	return 0
}

// open makes a connection that asks on one interface. The sockets that it opens are bound to the groups, so
// that they take no unicast packet from a responder on the same host; those two that pion/mdns opens by itself,
// on ephemeral ports of every address, to ask from, take any.
func open(ifc net.Interface, k link) (conn *mdns.Conn, err error) {
	var p4 *ipv4.PacketConn
	var p6 *ipv6.PacketConn
	c4, err4 := mcast.ListenGroup4(&ifc)
	if err4 == nil {
		p4 = ipv4.NewPacketConn(c4)
	}
	c6, err6 := mcast.ListenGroup6(&ifc)
	if err6 == nil {
		p6 = ipv6.NewPacketConn(c6)
	}
	defer func() {
		if err != nil && p4 != nil {
			p4.Close()
		}
		if err != nil && p6 != nil {
			p6.Close()
		}
	}()
	// Where NewServer finds nothing to join a group with, it fails and leaves its own sockets open.
	if (p4 == nil || !k.v4) && (p6 == nil || !k.v6) {
		return nil, errors.Join(err4, err6)
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled // it would log names and addresses
	return mdns.NewServer(p4, p6, mdns.WithInterfaces(ifc), mdns.WithCacheRefresh(false), mdns.WithLoggerFactory(quiet))
}

// Close ends every question under way, and refuses further ones.
func (l *LinkNames) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var err error
	for _, c := range l.conns {
		err = errors.Join(err, c.Close())
	}
	clear(l.conns)
	return err
}
