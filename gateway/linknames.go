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

	"github.com/candgw/candgw/internal/mcast"
)

// ErrNoLink says that this node has no link on which a name could be asked for.
var ErrNoLink = errors.New("no link to ask on")

var errNobody = errors.New("nobody answered")

// LinkNames is the [NameResolver] of a node on the clients' links: it asks by Multicast DNS on the
// link whose network holds the client, or that the zone of its address names. For a client that is not known,
// or a loopback address, it asks on every link; for one that is on none of them, on none. Callers who want the same
// name of the same link share a question, and for a few seconds its answer; that nobody answered is not remembered.
type LinkNames struct {
	interfaces []string
	idle       time.Duration
	now        func() time.Time

	mu     sync.Mutex // guards what follows, and what connections hold
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

// A question is under way on one link, until it is answered or nobody waits for it any more.
type question struct {
	conn    *linkConn
	name    string
	cancel  context.CancelFunc
	waiting map[chan<- netip.Addr]bool // each has room
}

// NewLinkNames returns a resolver that asks on the named interfaces, or, if there are none, on every
// one that speaks multicast. Close it after use.
func NewLinkNames(interfaces []string) *LinkNames {
	return &LinkNames{interfaces: interfaces, idle: idle, now: time.Now, conns: map[link]*linkConn{}}
}

// ResolveName asks for a name. The error is [ErrNoLink], or tells that nobody answered.
func (l *LinkNames) ResolveName(ctx context.Context, name string, client netip.Addr) (netip.Addr, error) {
	interfaces, err := mcast.Interfaces(l.interfaces)
	if err != nil {
		return netip.Addr{}, err
	}
	links := choose(interfaces, client)
	answers := make(chan netip.Addr, len(links))
	known, asked, err := l.ask(links, name, answers)
	if err != nil || known.IsValid() {
		return known, err
	}
	defer l.leave(asked, answers)
	for range asked {
		select {
		case addr := <-answers:
			if addr.IsValid() {
				return addr, nil
			}
		case <-ctx.Done():
			return netip.Addr{}, errNobody
		}
	}
	return netip.Addr{}, errNobody
}

// ask returns what one of the links has answered a moment ago, or else the questions, one a link, whose answers come to
// the channel. Each may be another caller's as well.
func (l *LinkNames) ask(links map[link]net.Interface, name string, answers chan<- netip.Addr) (known netip.Addr, asked []*question, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return netip.Addr{}, nil, ErrNoLink
	}
	for k := range links {
		if conn, ok := l.conns[k]; ok {
			if addr, ok := conn.known(name, l.now()); ok {
				return addr, nil, nil
			}
		}
	}
	for k, ifc := range links {
		conn, ok := l.conns[k]
		if !ok {
			opened, failed := open(ifc, k)
			if failed != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", ifc.Name, failed))
				continue
			}
			conn = opened
			conn.idle = time.AfterFunc(l.idle, func() { l.closeIdle(k, conn) })
			l.conns[k] = conn
		}
		q, ok := conn.questions[name]
		if !ok {
			q = l.begin(conn, name)
		}
		q.waiting[answers] = true
		asked = append(asked, q)
	}
	if len(asked) == 0 {
		return netip.Addr{}, nil, errors.Join(ErrNoLink, err)
	}
	return netip.Addr{}, asked, nil
}

// begin asks on a connection, which is not closed, but by Close, before the question has ended.
func (l *LinkNames) begin(conn *linkConn, name string) *question {
	ctx, cancel := context.WithCancel(context.Background())
	q := &question{conn, name, cancel, map[chan<- netip.Addr]bool{}}
	conn.questions[name] = q
	conn.asking++
	go func() {
		addr, ttl := conn.query(ctx, name)
		l.mu.Lock()
		defer l.mu.Unlock()
		if addr.IsValid() {
			conn.remember(name, addr, ttl, l.now())
		}
		for answers := range q.waiting {
			answers <- addr // not valid where nobody answered
		}
		q.end()
		conn.asking--
		conn.idle.Reset(l.idle)
	}()
	return q
}

// end has the next caller who wants the name ask anew.
func (q *question) end() {
	q.cancel()
	if q.conn.questions[q.name] == q {
		delete(q.conn.questions, q.name)
	}
}

// leave tells that a caller does not wait for answers any more.
func (l *LinkNames) leave(asked []*question, answers chan<- netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range asked {
		delete(q.waiting, answers)
		if len(q.waiting) == 0 {
			q.end()
		}
	}
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

// Reaches reports whether a client is on a link on which names are asked for: whether a browser there would be heard. One
// on this host is.
func (l *LinkNames) Reaches(client netip.Addr) bool {
	interfaces, err := mcast.Interfaces(l.interfaces)
	return err == nil && (client.IsLoopback() || len(choose(interfaces, client)) > 0)
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
