package listener

import (
	"net"
	"net/netip"
	"sync"

	"github.com/candgw/candgw/internal/limit"
)

// LimitHosts returns a listener that closes a connection at once where its host has as many already as each may have.
// Hosts are told apart as by [limit.Host].
func LimitHosts(l net.Listener, most int) net.Listener {
	return &hostsListener{Listener: l, most: most, open: map[limit.Key]int{}}
}

type hostsListener struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[limit.Key]int // connections by host; a host without one is not there
}

func (l *hostsListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
		host := limit.Host(from.Addr())
		if l.enter(host) {
			return &hostConn{Conn: conn, leave: sync.OnceFunc(func() { l.leave(host) })}, nil
		}
		conn.Close()
	}
}

func (l *hostsListener) enter(host limit.Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[host] >= l.most {
		return false
	}
	l.open[host]++
	return true
}

func (l *hostsListener) leave(host limit.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[host]--; l.open[host] == 0 {
		delete(l.open, host)
	}
}

type hostConn struct {
	net.Conn
	leave func()
}

func (c *hostConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
