package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"

	"github.com/candgw/candgw/internal/mcast"
)

// maxTCP bounds the connections open at once; a further one waits for the first to go idle.
const maxTCP = 256

// DNS answers lookups over UDP and TCP: RFC 1035, EDNS(0) of RFC 6891.
type DNS struct {
	resolver *Resolver
	udp      []*udpSocket
	tcp      dns.Server
	links    links
}

// ListenDNS opens the sockets on addr ("127.0.0.1:5354"). Port 0 gives a free port, the same for UDP and TCP.
func ListenDNS(r *Resolver, addr string) (*DNS, error) {
	// A port that is free for TCP may be taken for UDP.
	const tries = 16
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		// TCP first: another server on the port is met here, while UDP sockets share it.
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, err
		}
		d := &DNS{resolver: r}
		if d.udp, err = listenUDP(d, l.Addr().String()); err == nil {
			l = netutil.LimitListener(l, maxTCP)
			d.tcp = dns.Server{Listener: l, Handler: d, ReadTimeout: 5 * time.Second, IdleTimeout: func() time.Duration { return 10 * time.Second }}
			return d, nil
		}
		l.Close()
		if port != "0" || try == tries {
			return nil, err
		}
	}
}

// Addr returns the address that the sockets are bound to.
func (d *DNS) Addr() net.Addr { return d.tcp.Listener.Addr() }

// Serve answers until ctx ends, and returns nil then.
func (d *DNS) Serve(ctx context.Context) error {
	started := make(chan struct{})
	d.tcp.NotifyStartedFunc = func() { close(started) }
	failed := make(chan error, 1+len(d.udp))
	go func() { failed <- d.tcp.ActivateAndServe() }()
	var err error
	select {
	case err = <-failed:
		return errors.Join(err, d.tcp.Listener.Close(), d.closeUDP())
	case <-started:
	}
	for _, s := range d.udp {
		go func() { failed <- s.serve() }()
	}
	ended := 0
	select {
	case <-ctx.Done():
	case err = <-failed:
		ended = 1
	}
	d.closeUDP()
	d.tcp.Shutdown() // only a server that runs can be shut down, so it was waited for above
	for ; ended < cap(failed); ended++ {
		<-failed
	}
	return err
}

func (d *DNS) closeUDP() error {
	var errs []error
	for _, s := range d.udp {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// ServeDNS answers one query over TCP; [DNS.Serve] calls it.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	began := time.Now()
	t := d.tally()
	var asker Asker
	if a, err := netip.ParseAddrPort(w.RemoteAddr().String()); err == nil {
		asker = d.asker(a.Addr(), began)
	}
	w.WriteMsg(d.reply(q, asker, nil, &t))
	t.flush(time.Since(began))
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
		if addrs, err := net.InterfaceAddrs(); err == nil {
			nets := mcast.NetworksOf(addrs)
			l.nets.Store(&nets)
		}
	}
	nets := l.nets.Load()
	return nets != nil && nets.Contain(a)
}
