package resolver

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/candgw/candgw/internal/mcast"
)

// DNS answers lookups over UDP and TCP, and over TLS if it is given a port for it: RFC 1035, EDNS(0) of RFC 6891.
type DNS struct {
	resolver *Resolver
	udp      []*udpSocket
	tcp, tls *streamServer // tls may be nil
	links    links
}

// ListenDNS opens the sockets on addr ("127.0.0.1:5354"). Port 0 gives a free port, the same for UDP and TCP.
func ListenDNS(r *Resolver, addr string) (*DNS, error) {
	// A port that is free for TCP may be taken for UDP.
	const tries = 16
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	d := &DNS{resolver: r}
	d.links.look()
	for try := 1; ; try++ {
		l, err := net.Listen("tcp"+family(host), addr)
		if err != nil {
			return nil, err
		}
		if d.udp, err = listenUDP(d, "udp"+family(host), l.Addr().String()); err == nil {
			d.tcp = newStreamServer(d, l, nil)
			return d, nil
		}
		l.Close()
		if port != "0" || try == tries {
			return nil, err
		}
	}
}

// family returns what is to follow "tcp" and "udp" to listen on a host: with 0.0.0.0 package net would listen
// on every IPv6 address as well.
func family(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return "4"
	}
	return ""
}

// ListenTLS opens a socket for DNS over TLS (RFC 7858) on addr, once and before [DNS.Serve]. certificate is
// called for each connection, by many goroutines at once, and returns the one to show.
func (d *DNS) ListenTLS(addr string, certificate func() *tls.Certificate) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp"+family(host), addr)
	if err != nil {
		return err
	}
	d.tls = newStreamServer(d, l, &tls.Config{
		MinVersion:     tls.VersionTLS12, // RFC 9325, section 3.1.1
		NextProtos:     []string{"dot"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(), nil },
	})
	return nil
}

// Addr returns the address that the sockets for UDP and TCP are bound to.
func (d *DNS) Addr() net.Addr { return d.tcp.listener.Addr() }

// TLSAddr returns the address of DNS over TLS, nil if there is none.
func (d *DNS) TLSAddr() net.Addr {
	if d.tls == nil {
		return nil
	}
	return d.tls.listener.Addr()
}

// A dnsSocket is one port of the server.
type dnsSocket interface {
	// serve answers until the socket is closed, and returns nil then.
	serve() error
	close() error
}

func (d *DNS) sockets() []dnsSocket {
	var out []dnsSocket
	for _, s := range d.udp {
		out = append(out, s)
	}
	if d.tls != nil {
		out = append(out, d.tls)
	}
	return append(out, d.tcp)
}

// Serve answers until ctx ends, and returns nil then. It closes the sockets.
func (d *DNS) Serve(ctx context.Context) error {
	sockets := d.sockets()
	ended := make(chan error, len(sockets))
	for _, s := range sockets {
		go func() { ended <- s.serve() }()
	}
	var err error
	running := len(sockets)
	select {
	case <-ctx.Done():
	case err = <-ended:
		running--
	}
	for _, s := range sockets {
		s.close()
	}
	for range running {
		<-ended
	}
	return err
}

func (d *DNS) tally() tally { return tally{resolver: d.resolver, front: FrontDNS} }

// asker returns who asks from an address.
func (d *DNS) asker(addr netip.Addr, now time.Time) Asker {
	addr = addr.Unmap().WithZone("")
	return Asker{addr, d.links.hold(addr, now)}
}

// links knows the networks of the node's own interfaces, and looks again when what it knows is old. It is
// safe for concurrent use.
type links struct {
	nets atomic.Pointer[mcast.Networks]
	read atomic.Int64 // the second of the last look
}

const linksFresh = 5 // seconds

// hold reports whether an address is in one of the networks.
func (l *links) hold(a netip.Addr, now time.Time) bool {
	if at, t := l.read.Load(), now.Unix(); (t < at || t-at >= linksFresh) && l.read.CompareAndSwap(at, t) {
		go l.look() // which takes longer than the packets that wait should
	}
	nets := l.nets.Load()
	return nets != nil && nets.Contain(a)
}

// look looks which networks there are.
func (l *links) look() {
	if addrs, err := net.InterfaceAddrs(); err == nil {
		nets := mcast.NetworksOf(addrs)
		l.nets.Store(&nets)
	}
}
