package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/candgw/candgw/internal/bounded"
	"github.com/candgw/candgw/internal/mcast"
)

const (
	// idle is the time after its last question for which a connection is kept, with the answers that came on it. While
	// one is open, everything that is multicast on its link goes through the cache of pion/mdns, which costs much
	// where that is much.
	idle = 5 * time.Second
	// An answer is remembered while a page describes its connections, and no longer than it says itself.
	remembered    = 10 * time.Second
	maxRemembered = 4096 // answers of a link
	// A question that is not answered is repeated after 20, 60 and 140 ms, besides every second: whoever asks may wait for
	// no more than 300 ms, packets are lost, and Firefox makes a name known to the page before it answers for it.
	repeats     = 3
	firstRepeat = 20 * time.Millisecond
)

// linkConn is a connection, and who needs it. It is closed when nobody has asked on it for a while, and so
// is that of a link which has gone. But for sending, it is used under the lock of its LinkNames.
type linkConn struct {
	*mdns.Conn
	p4        *ipv4.PacketConn // to ask on, nil where the link does not speak it
	p6        *ipv6.PacketConn
	zone      string
	asking    int // questions under way, those that nobody waits for among them
	idle      *time.Timer
	questions map[string]*question // those that can be joined
	answers   *bounded.Table[string, linkAnswer]
}

type linkAnswer struct {
	addr    netip.Addr
	expires time.Time
}

// known returns the address of a name that was asked for a moment ago.
func (c *linkConn) known(name string, now time.Time) (netip.Addr, bool) {
	a := c.answers.Get(name, now)
	if a == nil || !now.Before(a.expires) {
		return netip.Addr{}, false
	}
	return a.addr, true
}

func (c *linkConn) remember(name string, addr netip.Addr, ttl time.Duration, now time.Time) {
	c.answers.Put(name, linkAnswer{addr, now.Add(ttl)}, now)
}

// query asks for a name until it is answered or the context ends. pion/mdns asks for A and AAAA, and Firefox answers for
// A with whatever record there is. Chromium sends an answer to those only when it has not sent one for the name for a
// second, be it to say that there is no such record; but it takes a question for ANY to be a probe, and answers that
// at once.
func (c *linkConn) query(ctx context.Context, name string) (addr netip.Addr, ttl time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.askAny(ctx, name) // what it is answered is heard by QueryAddr, or else the next answer is
	header, addr, err := c.QueryAddr(ctx, name)
	if err != nil {
		return netip.Addr{}, 0
	}
	return addr, time.Duration(header.TTL) * time.Second
}

// askAny asks for ANY, and repeats that and the question for A.
func (c *linkConn) askAny(ctx context.Context, name string) {
	packet, err := packQuestion(name, dnsmessage.TypeALL)
	if err != nil {
		return // it is no name that anybody could have
	}
	c.write(packet)
	for pause := firstRepeat; pause < firstRepeat<<repeats; pause *= 2 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		c.write(packet)
		if a, err := packQuestion(name, dnsmessage.TypeA); err == nil {
			c.write(a)
		}
	}
}

// packQuestion returns a packet of one question without the QU bit: Chromium takes no other.
func packQuestion(name string, kind dnsmessage.Type) ([]byte, error) {
	fqdn, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, err
	}
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: fqdn, Type: kind, Class: dnsmessage.ClassINET}}}
	return m.Pack()
}

// write sends a packet to the group over each IP version. One that is lost is sent again, so errors are none.
func (c *linkConn) write(packet []byte) {
	if c.p4 != nil {
		_, _ = c.p4.WriteTo(packet, nil, &net.UDPAddr{IP: mcast.Group4, Port: mcast.Port})
	}
	if c.p6 != nil {
		_, _ = c.p6.WriteTo(packet, nil, &net.UDPAddr{IP: mcast.Group6, Port: mcast.Port, Zone: c.zone})
	}
}

// open makes a connection that asks on one interface. The sockets that it opens are bound to the groups, so
// that they take no unicast packet from a responder on the same host; those two that pion/mdns opens by itself,
// on ephemeral ports of every address, to ask from, take any.
func open(ifc net.Interface, k link) (conn *linkConn, err error) {
	conn = &linkConn{zone: ifc.Name, questions: map[string]*question{}, answers: bounded.New[string, linkAnswer](maxRemembered, remembered)}
	var p4 *ipv4.PacketConn
	var p6 *ipv6.PacketConn
	c4, err4 := mcast.ListenGroup4(&ifc)
	if err4 == nil {
		p4 = ipv4.NewPacketConn(c4)
		err4 = p4.SetMulticastInterface(&ifc)
	}
	c6, err6 := mcast.ListenGroup6(&ifc)
	if err6 == nil {
		p6 = ipv6.NewPacketConn(c6)
		err6 = p6.SetMulticastInterface(&ifc)
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
	if err4 == nil && k.v4 {
		conn.p4 = p4
	}
	if err6 == nil && k.v6 {
		conn.p6 = p6
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled // it would log names and addresses
	conn.Conn, err = mdns.NewServer(p4, p6, mdns.WithInterfaces(ifc), mdns.WithCacheRefresh(false), mdns.WithLoggerFactory(quiet))
	return conn, err
}
