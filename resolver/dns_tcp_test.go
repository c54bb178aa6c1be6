package resolver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// framed returns queries for the address of a name as they stand on a connection, with the ids 0, 1, 2…
func framed(t testing.TB, name string, typ uint16, n int) []byte {
	t.Helper()
	var out []byte
	for id := range n {
		m := new(dns.Msg).SetQuestion(name, typ)
		m.Id = uint16(id)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(packet)))
		out = append(out, packet...)
	}
	return out
}

// checkInOrder reads the replies to so many framed queries, and then the end of the connection if so.
func checkInOrder(t *testing.T, conn *dns.Conn, n int, thenEnd bool) {
	t.Helper()
	for id := range n {
		m, err := conn.ReadMsg()
		if err != nil {
			t.Fatalf("reply %d: %v", id, err)
		}
		if m.Id != uint16(id) || m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
			t.Fatalf("reply %d: %v", id, m)
		}
	}
	if !thenEnd {
		return
	}
	if m, err := conn.ReadMsg(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v at the end", m, err)
	}
}

// checkEnds reads until the other end closes the connection, in whatever way.
func checkEnds(t *testing.T, conn net.Conn) {
	t.Helper()
	var timeout net.Error
	if _, err := io.Copy(io.Discard, conn); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection is not closed")
	}
}

// forEver are the times of a server that ends nothing before the test does.
var forEver = streamTimes{time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, 100 * time.Millisecond}

// waitEmpty waits until a server has no connection any more.
func (s *streamServer) waitEmpty(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		none := len(s.open) == 0 && len(s.hosts) == 0
		s.mu.Unlock()
		if none && s.taken.Load() == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d places are taken, by %d connections", s.taken.Load(), len(s.open))
		}
	}
}

func TestStreamOfQueries(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	name := s.name(t, cipher.AESUUID, addr4).String() + ".local."
	const n = 300
	queries := framed(t, name, dns.TypeA, n)
	for _, transport := range transports[1:] {
		for _, tt := range []struct {
			name string
			size int // of the pieces that they are sent in
		}{{"at once", len(queries)}, {"in pieces", 1000}, {"in small pieces", 7}} {
			t.Run(tt.name+"/"+transport, func(t *testing.T) {
				conn := s.dial(t, transport)
				go func() {
					for rest := queries; len(rest) > 0; {
						k := min(tt.size, len(rest))
						if _, err := conn.Conn.Write(rest[:k]); err != nil {
							t.Error(err)
							return
						}
						rest = rest[k:]
					}
					conn.Conn.(interface{ CloseWrite() error }).CloseWrite()
				}()
				checkInOrder(t, conn, n, true)
				if got := s.counts(t, n); got != "map[dns answered:300]" {
					t.Errorf("counted %s", got)
				}
			})
		}
	}
	s.tcp.waitEmpty(t)
	s.DNS.tls.waitEmpty(t)
}

// A reply does not wait for the rest of the next query.
func TestStreamHalfAQuery(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	queries := framed(t, s.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA, 2)
	conn := s.dial(t, "tcp")
	half := len(queries) * 3 / 4
	conn.Conn.Write(queries[:half])
	if m, err := conn.ReadMsg(); err != nil || m.Id != 0 {
		t.Fatalf("got %v, %v", m, err)
	}
	conn.Conn.Write(queries[half:])
	if m, err := conn.ReadMsg(); err != nil || m.Id != 1 {
		t.Fatalf("got %v, %v", m, err)
	}
}

// Who sends nothing, or not all of a query, or does not read, is cut off.
func TestStreamTimes(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*streamTimes)
		send func(t *testing.T, s *testServer, conn *dns.Conn)
	}{
		{"idle from the beginning", func(l *streamTimes) { l.idle = 50 * time.Millisecond }, func(*testing.T, *testServer, *dns.Conn) {}},
		{"idle after a query", func(l *streamTimes) { l.idle = 50 * time.Millisecond }, func(t *testing.T, s *testServer, conn *dns.Conn) {
			conn.Write(framed(t, "x.local.", dns.TypeA, 1)[2:])
		}},
		{"one octet", func(l *streamTimes) { l.query = 50 * time.Millisecond }, func(t *testing.T, s *testServer, conn *dns.Conn) {
			conn.Conn.Write([]byte{0})
		}},
		{"octet by octet", func(l *streamTimes) { l.query = 50 * time.Millisecond }, func(t *testing.T, s *testServer, conn *dns.Conn) {
			for {
				if _, err := conn.Conn.Write([]byte{1}); err != nil { // 257 octets are announced by the first two
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}},
		{"a length, and then nothing", func(l *streamTimes) { l.query = 50 * time.Millisecond }, func(t *testing.T, s *testServer, conn *dns.Conn) {
			conn.Conn.Write([]byte{0, 99})
		}},
		{"no room for replies", func(l *streamTimes) { l.write = 50 * time.Millisecond }, func(t *testing.T, s *testServer, conn *dns.Conn) {
			queries := framed(t, "big.test.", dns.TypeNS, maxStreamQueries-1)
			conn.Conn.Write(queries) // whatever of it is taken
		}},
	} {
		for _, transport := range transports[1:] {
			t.Run(tt.name+"/"+transport, func(t *testing.T) {
				s := serveDNS(t, newZonedWorld(t), func(d *DNS) {
					for _, server := range []*streamServer{d.tcp, d.tls} {
						server.times = forEver
						tt.set(&server.times)
					}
				})
				conn := s.dial(t, transport)
				if c, ok := conn.Conn.(*net.TCPConn); ok {
					c.SetReadBuffer(4096)
				}
				tt.send(t, s, conn)
				server := s.tcp
				if transport == "tcp-tls" {
					server = s.DNS.tls
				}
				server.waitEmpty(t)
				checkEnds(t, conn.Conn)
			})
		}
	}
}

// The time of a query is one for its length and what follows.
func TestStreamQueryTime(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t), func(d *DNS) {
		d.tcp.times = forEver
		d.tcp.times.query = 400 * time.Millisecond
	})
	conn := s.dial(t, "tcp")
	query := framed(t, "local.", dns.TypeSOA, 1)
	for _, part := range [][]byte{query[:1], query[1:2], query[2:]} {
		conn.Conn.Write(part)
		time.Sleep(300 * time.Millisecond)
	}
	if m, err := conn.ReadMsg(); err == nil {
		t.Errorf("got %v", m)
	}
}

// A query that is too long is the last one, and so is what is none.
func TestStreamEndsAfter(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	query := framed(t, "local.", dns.TypeSOA, 1)
	for _, tt := range []struct {
		name    string
		message []byte // with its length
		replies int
	}{
		{"too long", append([]byte{0xff, 0xff}, append(bytes.Clone(query[2:]), make([]byte, 65535-len(query)+2)...)...), 1},
		{"too long, and not even a question", append([]byte{0xff, 0xff}, bytes.Repeat([]byte{1}, 65535)...), 1},
		{"empty", []byte{0, 0}, 0},
		{"no header", []byte{0, 3, 1, 2, 3}, 0},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: candgw\r\n\r\n"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := s.dial(t, "tcp")
			conn.Conn.Write(append(bytes.Clone(tt.message), query...))
			if tt.name == "HTTP" { // it announces more than there is
				conn.Conn.(*net.TCPConn).CloseWrite()
			}
			for range tt.replies {
				if _, err := conn.ReadMsg(); err != nil {
					t.Fatal(err)
				}
			}
			if m, err := conn.ReadMsg(); !errors.Is(err, io.EOF) {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}

// A connection that waits for a query holds neither the memory of the last one nor of its reply.
func TestStreamMemory(t *testing.T) {
	w := newZonedWorld(t)
	zone := Zone{Name: "bigger.test"}
	for i := range 400 {
		zone.Nameservers = append(zone.Nameservers, fmt.Sprintf("%d%s.example", i, strings.Repeat("n", 60)))
	}
	zones, err := newZones([]Zone{zone}, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.zones = zones
	s := serveDNS(t, w, func(d *DNS) { d.tcp.times = forEver })
	heap := func() uint64 {
		runtime.GC() // the first leaves what pools hold
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const n = maxStreamsOfHost
	for range n {
		conn := s.dial(t, "tcp")
		conn.Conn.Write(framed(t, "bigger.test.", dns.TypeNS, 1))
		if m, err := conn.ReadMsg(); err != nil || m.Len() <= keptOut {
			t.Fatalf("got %d octets, %v", m.Len(), err)
		}
	}
	if got := (int64(heap()) - int64(before)) / n; got > 16<<10 {
		t.Errorf("%d octets for a connection", got)
	}
}

// Who takes no replies is cut off at once: TLS would wait once more, to take leave.
func TestStreamFailedWrite(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &stream{server: &streamServer{times: streamTimes{write: -time.Second}}, conn: conn, raw: conn, out: []byte{1}}
	if err := c.send(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("send: %v", err)
	}
	if err := conn.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is open: %v", err)
	}
}

func TestKeepAlive(t *testing.T) {
	for _, tt := range []struct {
		name   string
		places int
		want   uint16
	}{{"room", 8, 100}, {"half", 2, 100}, {"crowded", 1, 10}} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveDNS(t, newZonedWorld(t), func(d *DNS) {
				d.tcp.places, d.tls.places = tt.places, tt.places
			})
			for _, transport := range transports {
				conn := s.dial(t, transport)
				for _, asks := range []bool{true, false} {
					m := new(dns.Msg).SetQuestion(s.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA)
					m.SetEdns0(1232, false)
					if asks {
						m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}}
					}
					if err := conn.WriteMsg(m); err != nil {
						t.Fatal(err)
					}
					got, err := conn.ReadMsg()
					if err != nil {
						t.Fatal(err)
					}
					options := got.IsEdns0().Option
					if !asks || transport == "udp" { // RFC 7828, section 3.2.2
						if len(options) > 0 {
							t.Errorf("%s: got %v", transport, options)
						}
						continue
					}
					if o, ok := options[0].(*dns.EDNS0_TCP_KEEPALIVE); len(options) != 1 || !ok || o.Timeout != tt.want || len(got.Answer) != 1 {
						t.Errorf("%s: got %v", transport, got)
					}
				}
			}
		})
	}
}
