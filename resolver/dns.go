package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"

	"github.com/candgw/candgw/internal/mcast"
)

// ednsSize is the payload that fits any path without fragments (RFC 9715, section 3).
const ednsSize = 1232

// maxTCP bounds the connections open at once; a further one waits for the first to go idle.
const maxTCP = 256

// DNS answers lookups over UDP and TCP: RFC 1035, EDNS(0) of RFC 6891.
type DNS struct {
	resolver *Resolver
	udp, tcp dns.Server
	links    *links
}

// ListenDNS opens both sockets on addr ("127.0.0.1:5354"). Port 0 gives a free port, the same for both.
func ListenDNS(r *Resolver, addr string) (*DNS, error) {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		pc.Close()
		return nil, err
	}
	d := &DNS{resolver: r, links: new(links)}
	d.udp = dns.Server{PacketConn: pc, Handler: d, UDPSize: ednsSize}
	l = netutil.LimitListener(l, maxTCP)
	d.tcp = dns.Server{Listener: l, Handler: d, ReadTimeout: 5 * time.Second, IdleTimeout: func() time.Duration { return 10 * time.Second }}
	return d, nil
}

// Addr returns the address that both sockets are bound to.
func (d *DNS) Addr() net.Addr { return d.udp.PacketConn.LocalAddr() }

// Serve answers until ctx ends, and returns nil then.
func (d *DNS) Serve(ctx context.Context) error {
	var started atomic.Int32
	both := make(chan struct{})
	notify := func() {
		if started.Add(1) == 2 {
			close(both)
		}
	}
	d.udp.NotifyStartedFunc, d.tcp.NotifyStartedFunc = notify, notify
	failed := make(chan error, 2)
	for _, s := range []*dns.Server{&d.udp, &d.tcp} {
		go func() { failed <- s.ActivateAndServe() }()
	}
	var err error
	select {
	case err = <-failed:
		return errors.Join(err, d.udp.PacketConn.Close(), d.tcp.Listener.Close())
	case <-both:
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	// Only servers that run can be shut down, so it is waited for that above.
	d.udp.Shutdown()
	d.tcp.Shutdown()
	return err
}

// ServeDNS answers one query; [DNS.Serve] calls it.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	w.WriteMsg(d.reply(q, askerOf(w.RemoteAddr(), d.links)))
}

func askerOf(a net.Addr, l *links) Asker {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return Asker{}
	}
	addr := p.Addr().Unmap()
	return Asker{addr, l.hold(addr.WithZone(""))}
}

func (d *DNS) reply(q *dns.Msg, asker Asker) *dns.Msg {
	m := new(dns.Msg)
	if len(q.Question) != 1 {
		return m.SetRcodeFormatError(q)
	}
	m.SetReply(q)
	if opt := q.IsEdns0(); opt != nil {
		if countOPT(q) > 1 { // RFC 6891, section 6.1.1
			m.Rcode = dns.RcodeFormatError
			return m
		}
		m.SetEdns0(ednsSize, opt.Do()) // RFC 3225, section 3
		if opt.Version() != 0 {        // RFC 6891, section 6.1.3
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	question := q.Question[0]
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
		return m
	case question.Qclass != dns.ClassINET && question.Qclass != dns.ClassANY,
		question.Qtype == dns.TypeAXFR, question.Qtype == dns.TypeIXFR:
		m.Rcode = dns.RcodeRefused
		return m
	}
	a := d.resolver.Resolve(question.Name, asker)
	d.resolver.config.Metrics.Lookup("dns", a.Status)
	switch a.Status {
	case Answered:
		m.Authoritative = true
		// Another type is answered by nothing, which is how DNS says that the name has no such record.
		if a.has(question.Qtype) {
			m.Answer = []dns.RR{addressRecord(question.Name, a)}
		}
	case Apex:
		// Nothing, and no SOA: with one for "local", nss-mdns would give up Multicast DNS altogether.
		m.Authoritative = true
	case Unopened, Revoked:
		m.Authoritative = true
		m.Rcode = dns.RcodeNameError
	default:
		m.Rcode = dns.RcodeRefused
	}
	return m
}

func countOPT(m *dns.Msg) (n int) {
	for _, rr := range m.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			n++
		}
	}
	return n
}

// recordType returns the type of the one record that an answer has.
func (a Answer) recordType() uint16 {
	if a.Addr.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

// has reports whether a question of that type asks for the record.
func (a Answer) has(questionType uint16) bool {
	return questionType == a.recordType() || questionType == dns.TypeANY
}

// addressRecord returns the A or AAAA record of an answer.
func addressRecord(name string, a Answer) dns.RR {
	h := dns.RR_Header{Name: name, Rrtype: a.recordType(), Class: dns.ClassINET, Ttl: uint32(a.TTL / time.Second)}
	if h.Rrtype == dns.TypeA {
		return &dns.A{Hdr: h, A: a.Addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: h, AAAA: a.Addr.AsSlice()}
}

// links knows the networks of the node's own interfaces, and looks again when what it knows is old.
type links struct {
	mu   sync.Mutex
	nets mcast.Networks
	read time.Time
}

const linksFresh = 5 * time.Second

// hold reports whether an address is in one of the networks.
func (l *links) hold(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.read) > linksFresh {
		if addrs, err := net.InterfaceAddrs(); err == nil {
			l.nets, l.read = mcast.NetworksOf(addrs), now
		}
	}
	return l.nets.Contain(a)
}

// CheckZone returns an error if a text cannot be the name of a zone.
func CheckZone(zone string) error {
	if _, ok := dns.IsDomainName(zone); !ok || zone == "" || zone == "." {
		return fmt.Errorf("%q is not the name of a zone", zone)
	}
	return nil
}
