package listener

import (
	"net"
	"net/netip"
	"sync"
)

// LimitEach returns a listener that closes a connection at once where its address has as many already as each may have.
func LimitEach(l net.Listener, most int) net.Listener {
	return &eachListener{Listener: l, most: most, open: map[netip.Addr]int{}}
}

type eachListener struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[netip.Addr]int // connections by address; one without any is not there
}

func (l *eachListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
		addr := from.Addr().Unmap()
		if l.enter(addr) {
			return &eachConn{Conn: conn, leave: sync.OnceFunc(func() { l.leave(addr) })}, nil
		}
		conn.Close()
	}
}

func (l *eachListener) enter(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr] >= l.most {
		return false
	}
	l.open[addr]++
	return true
}

func (l *eachListener) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr]--; l.open[addr] == 0 {
		delete(l.open, addr)
	}
}

type eachConn struct {
	net.Conn
	leave func()
}

func (c *eachConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
