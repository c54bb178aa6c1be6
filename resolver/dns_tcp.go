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

	"github.com/candgw/candgw/internal/limit"
)

const (
	// maxStreams bounds the connections of a port at once; for a further one, another makes room.
	maxStreams = 512
	// maxStreamsOfHost bounds those of one host, so that it cannot take them all.
	maxStreamsOfHost = 64
	// maxStreamQueries is how many queries in a row one connection may bring while places are scarce.
	maxStreamQueries = 10_000
	// maxStreamQuery is how much of a query over a connection is read; a longer one is the last.
	maxStreamQuery = 4096
	// sendAt is how many octets of replies are collected at most while there are more queries to read.
	sendAt = 8 << 10
	// keptOut is how much memory for replies a connection keeps while it waits.
	keptOut = 16 << 10

	acceptPause = 50 * time.Millisecond
)

// streamTimes are how long the other end of a connection may take.
type streamTimes struct {
	handshake time.Duration // of TLS
	// idle is the time to the next query, or, while places are scarce, busy: RFC 7766, section 6.2.3.
	idle, busy time.Duration
	query      time.Duration // from the first octet of a query to the last
	write      time.Duration // to take replies
	linger     time.Duration // to close, once it was told to
	closing    time.Duration // to bring what is under way, once the server closes
}

// A streamServer answers over the connections of a port: TCP (RFC 7766), or TLS (RFC 7858).
type streamServer struct {
	dns      *DNS
	listener net.Listener
	tls      *tls.Config // nil for TCP
	times    streamTimes
	places   int // for connections at once
	taken    atomic.Int64
	end      atomic.Pointer[time.Time] // of what is read, once the server closes
	memory   sync.Pool                 // of *streamMemory

	mu    sync.Mutex
	open  map[*stream]struct{}
	hosts map[netip.Addr]int // how many connections each has
}

func newStreamServer(d *DNS, l net.Listener, config *tls.Config) *streamServer {
	return &streamServer{
		dns: d, listener: l, tls: config, places: maxStreams,
		times: streamTimes{
			handshake: 3 * time.Second, idle: 10 * time.Second, busy: time.Second, query: 3 * time.Second,
			write: 5 * time.Second, linger: time.Second, closing: 100 * time.Millisecond,
		},
		memory: sync.Pool{New: func() any { return new(streamMemory) }},
		open:   map[*stream]struct{}{}, hosts: map[netip.Addr]int{},
	}
}

// serve answers until the server is closed, and returns nil then.
func (s *streamServer) serve() error {
	var conversations sync.WaitGroup
	defer conversations.Wait()
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // it was of that connection, or of too many open files: that passes
			time.Sleep(acceptPause)
			continue
		}
		if c := s.admit(conn); c != nil {
			conversations.Go(func() {
				defer s.release(c)
				c.converse()
			})
		}
	}
}

// close ends serve, after the replies to what was asked already.
func (s *streamServer) close() error {
	end := time.Now().Add(s.times.closing)
	s.end.Store(&end)
	err := s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		s.setDeadlines(c.raw, end)
	}
	return err
}

// admit gives a connection a place. It closes it and returns nil if its host has enough of them.
func (s *streamServer) admit(conn net.Conn) *stream {
	from := fromOf(conn)
	c := &stream{server: s, conn: conn, raw: conn, from: from, host: placeHost(from)}
	c.asked.Store(time.Now().UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[c.host] >= maxStreamsOfHost {
		conn.Close()
		return nil
	}
	if len(s.open) >= s.places {
		s.makeRoom()
	}
	s.hosts[c.host]++
	s.open[c] = struct{}{}
	s.taken.Store(int64(len(s.open)))
	return c
}

// makeRoom closes the connection that has been idle longest, of the host that has most. To let newcomers wait
// instead would leave all places to those who ask often enough to keep theirs. The lock is held.
func (s *streamServer) makeRoom() {
	var out *stream
	for c := range s.open {
		if out == nil || s.hosts[c.host] > s.hosts[out.host] ||
			s.hosts[c.host] == s.hosts[out.host] && c.asked.Load() < out.asked.Load() {
			out = c
		}
	}
	s.remove(out)
}

func (s *streamServer) release(c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
}

// remove closes a connection and takes its place, unless that was done before. The lock is held.
func (s *streamServer) remove(c *stream) {
	c.raw.Close()
	if _, ok := s.open[c]; !ok {
		return
	}
	delete(s.open, c)
	s.taken.Store(int64(len(s.open)))
	if s.hosts[c.host]--; s.hosts[c.host] == 0 {
		delete(s.hosts, c.host)
	}
}

func fromOf(conn net.Conn) netip.Addr {
	return conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
}

// placeHost returns what counts as one host where places are given out: what [limit.Host] says, but all of the link-local
// addresses of one interface, of which a host takes as many as it likes.
func placeHost(from netip.Addr) netip.Addr {
	host := limit.Host(from)
	if from.Is6() && from.IsLinkLocalUnicast() {
		clear(host[8:])
	}
	return netip.AddrFrom16(host).WithZone(from.Zone())
}

// scarce reports whether more than half of the places for connections are taken.
func (s *streamServer) scarce() bool { return s.taken.Load() > int64(s.places/2) }

// idle returns how long a connection may be idle now.
func (s *streamServer) idle() time.Duration {
	if s.scarce() {
		return s.times.busy
	}
	return s.times.idle
}

// in returns the time that is so far ahead, or the end of what is read, if that is before.
func (s *streamServer) in(d time.Duration) time.Time {
	t := time.Now().Add(d)
	if end := s.end.Load(); end != nil && end.Before(t) {
		return *end
	}
	return t
}

// expect sets the time that the other end has for what is read next.
func (s *streamServer) expect(conn net.Conn, within time.Duration) error {
	err := s.setDeadlines(conn, s.in(within))
	if err == nil && s.end.Load() != nil { // since then, maybe, and what close has set is lost
		err = s.setDeadlines(conn, s.in(within))
	}
	return err
}

// setDeadlines sets until when is read, and until when is written meanwhile: TLS answers some of what it reads
// by itself (RFC 8446, section 4.6.3).
func (s *streamServer) setDeadlines(conn net.Conn, read time.Time) error {
	return errors.Join(conn.SetReadDeadline(read), conn.SetWriteDeadline(read.Add(s.times.write)))
}

// A stream is one connection.
type stream struct {
	server *streamServer
	conn   net.Conn // what raw is, or TLS over it
	raw    net.Conn
	from   netip.Addr
	host   netip.Addr   // that its place counts for
	asked  atomic.Int64 // when the last query came, or else the connection, in nanoseconds of Unix time
	in     *bufio.Reader
	out    []byte // replies that are not sent yet, each behind its length
}

// A streamMemory is what it takes to answer one query. An idle connection holds none.
type streamMemory struct {
	worker worker
	buf    [dns.MaxMsgSize]byte
}

// converse answers over the connection until either end has enough.
func (c *stream) converse() {
	s := c.server
	if s.tls != nil {
		t := tls.Server(c.raw, s.tls)
		defer t.Close()
		if s.expect(t, s.times.handshake) != nil || t.Handshake() != nil {
			return
		}
		c.conn = t
	}
	c.in = bufio.NewReaderSize(c.conn, 2+maxStreamQuery)
	if c.answerAll() == nil || s.end.Load() != nil {
		c.finish()
	}
}

// answerAll answers queries in the order in which they come. No answer waits for anything, so that another
// order, which RFC 7766 allows in section 6.2.1.1, would gain nothing. An error is of the connection; nil
// says that this end has enough.
func (c *stream) answerAll() error {
	for whileScarce := 0; whileScarce < maxStreamQueries; whileScarce++ {
		query, whole, err := c.next()
		if err != nil {
			return err
		}
		speaksDNS, rcode := c.reply(query)
		if !speaksDNS || !whole {
			return nil
		}
		switch scarce := c.server.scarce(); {
		case !scarce:
			whileScarce = -1
		case rcode == dns.RcodeRefused: // others have more use for the place
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

// reply takes the query in hand, and collects the reply. It reports false if there is none to give.
func (c *stream) reply(query []byte) (ok bool, rcode int) {
	began := time.Now()
	c.asked.Store(began.UnixNano())
	m := c.server.memory.Get().(*streamMemory)
	defer c.server.memory.Put(m)
	n := copy(m.buf[:], query)
	c.in.Discard(2 + n)
	m.worker.tally, m.worker.limit = c.server.dns.tally(), maxStreamReply
	size := c.answer(m, n)
	m.worker.tally.flush(time.Since(began))
	if size == 0 {
		return false, 0
	}
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(size))
	c.out = append(c.out, m.buf[:size]...)
	return true, int(m.buf[flagsAt+1] & 0xf)
}

// next returns the next query, or, if that is too long, the beginning of it. It stays unread.
func (c *stream) next() (query []byte, whole bool, err error) {
	if c.in.Buffered() == 0 {
		if err := c.await(c.server.idle()); err != nil {
			return nil, false, err
		}
		if _, err := c.in.Peek(1); err != nil {
			return nil, false, err
		}
	}
	if !c.holdsQuery() {
		if err := c.await(c.server.times.query); err != nil {
			return nil, false, err
		}
	}
	length, err := c.in.Peek(2)
	if err != nil {
		return nil, false, err
	}
	n := int(binary.BigEndian.Uint16(length))
	if query, err = c.in.Peek(2 + min(n, maxStreamQuery)); err != nil {
		return nil, false, err
	}
	return query[2:], n <= maxStreamQuery, nil
}

// holdsQuery reports whether next needs to read nothing.
func (c *stream) holdsQuery() bool {
	held := c.in.Buffered()
	if held < 2 {
		return false
	}
	length, _ := c.in.Peek(2)
	return held >= 2+min(int(binary.BigEndian.Uint16(length)), maxStreamQuery)
}

// await gets ready to read what comes within a time. Replies go out before it waits.
func (c *stream) await(within time.Duration) error {
	if err := c.send(); err != nil {
		return err
	}
	return c.server.expect(c.conn, within)
}

// send sends the replies collected, in one piece with their lengths: RFC 7766, section 8.
func (c *stream) send() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.conn.SetWriteDeadline(c.server.in(0).Add(c.server.times.write)); err != nil {
		return err
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	if cap(c.out) > keptOut {
		c.out = nil
	}
	if err != nil {
		c.raw.Close() // TLS would wait once more, to take leave
	}
	return err
}

// finish tells the other end that nothing more comes, and takes in for a while what it has sent: with
// octets left unread, the system would take back replies that have not arrived yet.
func (c *stream) finish() {
	half := c.conn.(interface{ CloseWrite() error })
	if c.send() == nil && half.CloseWrite() == nil && c.raw.SetReadDeadline(time.Now().Add(c.server.times.linger)) == nil {
		io.Copy(io.Discard, c.raw)
	}
}
