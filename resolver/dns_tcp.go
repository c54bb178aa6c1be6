package resolver

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxStreams bounds the connections of a port at once; a further one waits until one ends.
	maxStreams = 512
	// maxStreamsOfHost bounds those of one host, so that it cannot take them all.
	maxStreamsOfHost = 64
	// maxStreamQueries is how many queries one connection may bring while places are scarce. Then the next in
	// line gets its place.
	maxStreamQueries = 10_000
	// maxStreamQuery is how much of a query over a connection is read; a longer one is the last.
	maxStreamQuery = 4096
	// sendAt is how many octets of replies are collected at most while there are more queries to read.
	sendAt = 8 << 10

	acceptPause = 50 * time.Millisecond
)

// streamTimes are how long the other end of a connection may take.
type streamTimes struct {
	// idle is the time to the next query, or, while places are scarce, busy: RFC 7766, section 6.2.3.
	idle, busy time.Duration
	query      time.Duration // from the first octet of a query to the last
	write      time.Duration // to take replies
	linger     time.Duration // to close, once it was told to
}

// A streamServer answers over the connections of a port: TCP (RFC 7766), or TLS (RFC 7858).
type streamServer struct {
	dns      *DNS
	listener net.Listener
	tls      *tls.Config // nil for TCP
	times    streamTimes
	slots    chan struct{} // has an element for each connection
	closing  atomic.Bool
	memory   sync.Pool // of *stream

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	hosts map[[16]byte]int // how many connections each has
}

func newStreamServer(d *DNS, l net.Listener, config *tls.Config) *streamServer {
	s := &streamServer{
		dns: d, listener: l, tls: config, slots: make(chan struct{}, maxStreams),
		times: streamTimes{idle: 10 * time.Second, busy: time.Second, query: 3 * time.Second, write: 5 * time.Second, linger: time.Second},
		open:  map[net.Conn]struct{}{}, hosts: map[[16]byte]int{},
	}
	s.memory.New = func() any { return &stream{server: s, in: bufio.NewReaderSize(nil, 2+maxStreamQuery)} }
	return s
}

// serve answers until the server is closed, and returns nil then.
func (s *streamServer) serve() error {
	var conversations sync.WaitGroup
	defer conversations.Wait()
	for {
		s.slots <- struct{}{}
		conn, err := s.listener.Accept()
		if err == nil && s.admit(conn) {
			conversations.Go(func() {
				defer s.release(conn)
				s.converse(conn)
			})
			continue
		}
		<-s.slots
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // it was of that connection, or of too many open files: that passes
			time.Sleep(acceptPause)
		}
	}
}

// close ends serve, after the replies to what was asked already.
func (s *streamServer) close() error {
	s.closing.Store(true)
	err := s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		conn.SetReadDeadline(time.Unix(1, 0))
	}
	return err
}

// admit reports whether the host of a connection may have another one, and closes it if not.
func (s *streamServer) admit(conn net.Conn) bool {
	host := hostOf(fromOf(conn))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[host] >= maxStreamsOfHost {
		conn.Close()
		return false
	}
	s.hosts[host]++
	s.open[conn] = struct{}{}
	return true
}

func (s *streamServer) release(conn net.Conn) {
	conn.Close()
	host := hostOf(fromOf(conn))
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
	if s.hosts[host]--; s.hosts[host] == 0 {
		delete(s.hosts, host)
	}
	<-s.slots
}

func fromOf(conn net.Conn) netip.Addr {
	return conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
}

// scarce reports whether more than half of the places for connections are taken.
func (s *streamServer) scarce() bool { return len(s.slots) > cap(s.slots)/2 }

// idle returns how long a connection may be idle now.
func (s *streamServer) idle() time.Duration {
	if s.scarce() {
		return s.times.busy
	}
	return s.times.idle
}

// expect sets the time that the other end has for what is read next. It returns an error once the server
// closes, which sets a time that has passed: before this one does or after.
func (s *streamServer) expect(conn net.Conn, within time.Duration) error {
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if s.closing.Load() {
		return net.ErrClosed
	}
	return nil
}

// converse answers over one connection until either end has enough.
func (s *streamServer) converse(conn net.Conn) {
	raw := conn
	if s.tls != nil {
		t := tls.Server(conn, s.tls)
		defer t.Close()
		conn.SetWriteDeadline(time.Now().Add(s.times.write))
		if s.expect(conn, s.times.query) != nil || t.Handshake() != nil {
			return
		}
		conn = t
	}
	c := s.memory.Get().(*stream)
	defer s.memory.Put(c)
	c.conn, c.raw, c.from, c.out = conn, raw, fromOf(raw), c.out[:0]
	c.worker.tally, c.worker.limit = s.dns.tally(), maxStreamReply
	c.in.Reset(conn)
	defer c.in.Reset(nil)
	if c.answerAll() == nil {
		c.finish()
	}
}

// A stream is one connection, and the memory to serve it.
type stream struct {
	server *streamServer
	conn   net.Conn // what raw is, or TLS over it
	raw    net.Conn
	from   netip.Addr
	in     *bufio.Reader
	out    []byte // replies that are not sent yet, each behind its length
	worker worker
	buf    [dns.MaxMsgSize]byte
}

// answerAll answers queries in the order in which they come. No answer waits for anything, so that another
// order, which RFC 7766 allows in section 6.2.1.1, would gain nothing. An error is of the connection; nil
// says that this end has enough.
func (c *stream) answerAll() error {
	for answered := 0; answered < maxStreamQueries || !c.server.scarce(); answered++ {
		query, whole, err := c.next()
		if err != nil {
			return err
		}
		began := time.Now()
		n := copy(c.buf[:], query)
		c.in.Discard(2 + n)
		size := c.answer(n)
		c.worker.tally.flush(time.Since(began))
		if size == 0 { // whoever sends this does not speak DNS
			return nil
		}
		c.out = binary.BigEndian.AppendUint16(c.out, uint16(size))
		c.out = append(c.out, c.buf[:size]...)
		if !whole {
			return nil
		}
		if len(c.out) >= sendAt {
			if err := c.send(); err != nil {
				return err
			}
		}
	}
	return nil
}

// next returns the next query, or, if that is too long, the beginning of it.
func (c *stream) next() (query []byte, whole bool, err error) {
	if c.in.Buffered() == 0 {
		if _, err := c.await(1, c.server.idle()); err != nil {
			return nil, false, err
		}
	}
	length, err := c.await(2, c.server.times.query)
	if err != nil {
		return nil, false, err
	}
	n := int(binary.BigEndian.Uint16(length))
	whole = n <= maxStreamQuery
	query, err = c.await(2+min(n, maxStreamQuery), c.server.times.query)
	if err != nil {
		return nil, false, err
	}
	return query[2:], whole, nil
}

// await returns the next n octets, which stay unread. Replies go out before it waits.
func (c *stream) await(n int, within time.Duration) ([]byte, error) {
	if c.in.Buffered() < n {
		if err := c.send(); err != nil {
			return nil, err
		}
		if err := c.server.expect(c.conn, within); err != nil {
			return nil, err
		}
	}
	return c.in.Peek(n)
}

// send sends the replies collected, in one piece with their lengths: RFC 7766, section 8.
func (c *stream) send() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.server.times.write)); err != nil {
		return err
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		c.raw.Close() // TLS would wait once more, to take leave
	}
	return err
}

// finish tells the other end that nothing more comes, and takes in for a while what it has sent: with
// octets left unread, the system would take back replies that have not arrived yet.
func (c *stream) finish() {
	half := c.conn.(interface{ CloseWrite() error })
	if c.send() == nil && half.CloseWrite() == nil && c.server.expect(c.conn, c.server.times.linger) == nil {
		io.Copy(io.Discard, io.LimitReader(c.conn, maxStreamQueries))
	}
}
