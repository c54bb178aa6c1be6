package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/candgw/candgw/internal/mcast"
)

// ErrNoLink says that this node has no link on which a name could be asked for.
var ErrNoLink = errors.New("no link to ask on")

// LinkNames is the [NameResolver] of a node on the clients' links: it asks by Multicast DNS on the
// link whose network holds the client. For a client that is not known, or a loopback address, it asks on
// every link; for one that is on none of them, on none.
type LinkNames struct {
	interfaces []string

	mu     sync.Mutex
	closed bool
	conns  map[int]*mdns.Conn // by interface index, opened on first use
}

// NewLinkNames returns a resolver that asks on the named interfaces, or, if there are none, on every
// one that speaks multicast. Close it after use.
func NewLinkNames(interfaces []string) *LinkNames {
	return &LinkNames{interfaces: interfaces, conns: map[int]*mdns.Conn{}}
}

// ResolveName asks for a name. The error is [ErrNoLink], or tells that nobody answered.
func (l *LinkNames) ResolveName(ctx context.Context, name string, client netip.Addr) (netip.Addr, error) {
	conns, err := l.links(client)
	if err != nil {
		return netip.Addr{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan netip.Addr, len(conns))
	for _, conn := range conns {
		go func() {
			_, addr, _ := conn.QueryAddr(ctx, name)
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

// links returns a connection for each interface to ask on.
func (l *LinkNames) links(client netip.Addr) ([]*mdns.Conn, error) {
	all, err := mcast.Interfaces(l.interfaces)
	if err != nil {
		return nil, err
	}
	chosen := all
	if client = client.Unmap(); client.IsValid() && !client.IsLoopback() {
		chosen = slices.DeleteFunc(slices.Clone(all), func(ifc net.Interface) bool { return !holds(&ifc, client) })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrNoLink
	}
	for index, conn := range l.conns {
		if !slices.ContainsFunc(all, func(ifc net.Interface) bool { return ifc.Index == index }) {
			conn.Close() // its interface went
			delete(l.conns, index)
		}
	}
	var conns []*mdns.Conn
	for _, ifc := range chosen {
		conn, ok := l.conns[ifc.Index]
		if !ok {
			var failed error
			if conn, failed = open(ifc); failed != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", ifc.Name, failed))
				continue
			}
			l.conns[ifc.Index] = conn
		}
		conns = append(conns, conn)
	}
	if len(conns) == 0 {
		return nil, errors.Join(ErrNoLink, err)
	}
	return conns, nil
}

// holds reports whether a client is in a network of an interface.
func holds(ifc *net.Interface, client netip.Addr) bool {
	addrs, err := ifc.Addrs()
	return err == nil && mcast.NetworksOf(addrs).Contain(client)
}

// open makes a connection that asks on one interface. Its sockets are bound to the groups, so that
// they take no unicast packet from a responder on the same host.
func open(ifc net.Interface) (*mdns.Conn, error) {
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
	if p4 == nil && p6 == nil {
		return nil, errors.Join(err4, err6)
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled // it would log names and addresses
	conn, err := mdns.NewServer(p4, p6, mdns.WithInterfaces(ifc), mdns.WithCacheRefresh(false), mdns.WithLoggerFactory(quiet))
	if err != nil {
		if p4 != nil {
			p4.Close()
		}
		if p6 != nil {
			p6.Close()
		}
		return nil, err
	}
	return conn, nil
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
