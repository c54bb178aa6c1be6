package resolver

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// A connection that brings many queries makes room for others, where there is need of it. What it has sent
// beyond that does not cost it replies, although it reads them late.
func TestStreamQueriesAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name         string
		places, more int
		want         int // replies
	}{
		{"places are scarce", 1, 10, maxStreamQueries},
		{"places are scarce, and much is left unread", 1, maxStreamQueries / 2, maxStreamQueries},
		{"there are places", 8, 10, maxStreamQueries + 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveDNS(t, newZonedWorld(t), func(d *DNS) {
				d.tcp.places = tt.places
				d.tcp.times.linger = time.Hour
			})
			conn := s.dial(t, "tcp")
			conn.Conn.(*net.TCPConn).SetReadBuffer(128 << 10) // so that not all replies have come when the server ends
			queries := framed(t, s.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA, maxStreamQueries+tt.more)
			sent := make(chan error, 1)
			go func() {
				_, err := conn.Conn.Write(queries)
				sent <- errors.Join(err, conn.Conn.(*net.TCPConn).CloseWrite())
			}()
			checkInOrder(t, conn, tt.want, true)
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// What a connection brought while there were places does not count when they become scarce.
func TestStreamQueriesCountWhileScarce(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t), func(d *DNS) { d.tcp.places = 2; d.tcp.times = forEver })
	conn := s.dial(t, "tcp")
	name := s.name(t, cipher.AESUUID, addr4).String() + ".local."
	go conn.Conn.Write(framed(t, name, dns.TypeA, maxStreamQueries))
	checkInOrder(t, conn, maxStreamQueries, false)
	s.dial(t, "tcp")
	s.tcp.waitTaken(t, 2)
	for range 2 {
		conn.Conn.Write(framed(t, name, dns.TypeA, 1))
		checkInOrder(t, conn, 1, false)
	}
}

// Who asks what is refused keeps no place that others may need.
func TestStreamRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		places int
		ends   bool
	}{{"places are scarce", 1, true}, {"there are places", 2, false}} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveDNS(t, newZonedWorld(t), func(d *DNS) { d.tcp.places = tt.places; d.tcp.times = forEver })
			conn := s.dial(t, "tcp")
			name := s.name(t, cipher.AESUUID, addr4).String() + ".local."
			conn.Conn.Write(framed(t, name, dns.TypeA, 1))
			checkInOrder(t, conn, 1, false)
			conn.Conn.Write(append(framed(t, "example.", dns.TypeA, 1), framed(t, name, dns.TypeA, 1)...))
			if m, err := conn.ReadMsg(); err != nil || m.Rcode != dns.RcodeRefused {
				t.Fatalf("got %v, %v", m, err)
			}
			if !tt.ends {
				checkInOrder(t, conn, 1, false)
			} else if m, err := conn.ReadMsg(); !errors.Is(err, io.EOF) {
				t.Errorf("got %v, %v at the end", m, err)
			}
		})
	}
}

// dialFrom opens a connection over TCP from another loopback address.
func (s *testServer) dialFrom(t *testing.T, ip string) *dns.Conn {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("it wants more than one loopback address")
	}
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &dns.Conn{Conn: conn}
}

// answers reports whether a connection is served.
func answers(conn *dns.Conn) bool {
	conn.WriteMsg(new(dns.Msg).SetQuestion("local.", dns.TypeA))
	_, err := conn.ReadMsg()
	return err == nil
}

// waitTaken waits until so many places are taken.
func (s *streamServer) waitTaken(t *testing.T, n int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); s.taken.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d places are taken, want %d", s.taken.Load(), n)
		}
	}
}

// One host takes no more than its part of the connections.
func TestStreamsOfHostAreBounded(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	from := func(ip string) *dns.Conn { return s.dialFrom(t, ip) }
	var held []*dns.Conn
	for range maxStreamsOfHost {
		held = append(held, from("127.0.0.2"))
		if !answers(held[len(held)-1]) {
			t.Fatal("a connection within the bound is not served")
		}
	}
	if answers(from("127.0.0.2")) {
		t.Error("one more than the bound is served")
	}
	if !answers(from("127.0.0.3")) {
		t.Error("another host is not served")
	}
	held[0].Close()
	for deadline := time.Now().Add(patience); !answers(from("127.0.0.2")); {
		if time.Now().After(deadline) {
			t.Fatal("a place that is free again is not given")
		}
	}
}

// Where all places are taken, the host that has most of them gives the one that it needs least.
func TestStreamsMakeRoom(t *testing.T) {
	for _, tt := range []struct {
		name string
		from []string // in the order in which they last asked, then the one that comes
		out  int
	}{
		{"of the host that has most", []string{"127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.4"}, 1},
		{"of the newcomer's own host", []string{"127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.3"}, 1},
		{"of many hosts", []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveDNS(t, newZonedWorld(t), func(d *DNS) { d.tcp.places = 3; d.tcp.times = forEver })
			conns := make([]*dns.Conn, len(tt.from))
			for i := len(tt.from) - 2; i >= 0; i-- {
				conns[i] = s.dialFrom(t, tt.from[i])
				s.tcp.waitTaken(t, int64(len(tt.from)-1-i))
			}
			for _, conn := range conns[:3] {
				if !answers(conn) {
					t.Fatal("a connection is not served although there is a place")
				}
			}
			conns[3] = s.dialFrom(t, tt.from[3])
			if !answers(conns[3]) {
				t.Error("the newcomer is not served")
			}
			for i, conn := range conns {
				if got := !answers(conn); got != (i == tt.out) {
					t.Errorf("connection %d: out is %v", i, got)
				}
			}
			s.tcp.waitTaken(t, 3)
		})
	}
}

// Where places are scarce, those that are idle have less time.
func TestStreamsBusy(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t), func(d *DNS) {
		d.tcp.places = 1
		d.tcp.times = forEver
		d.tcp.times.busy = 50 * time.Millisecond
	})
	checkEnds(t, s.dial(t, "tcp").Conn)
}

func TestPlaceHost(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		one        bool
	}{
		{"IPv4", "192.0.2.1", "192.0.2.2", false},
		{"link-local IPv4", "169.254.0.1", "169.254.0.2", false},
		{"a /64", "2001:db8::1", "2001:db8::2", true},
		{"two /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"a link", "fe80::1%a", "fe80::2%a", true},
		{"two links", "fe80::1%a", "fe80::1%b", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := placeHost(netip.MustParseAddr(tt.a)) == placeHost(netip.MustParseAddr(tt.b)); got != tt.one {
				t.Errorf("one host is %v", got)
			}
		})
	}
}
