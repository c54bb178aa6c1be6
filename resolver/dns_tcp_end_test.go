package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// A server that ends closes connections that are idle, and answers what has come.
func TestStreamsAtTheEnd(t *testing.T) {
	w := newZonedWorld(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s, done := startDNS(t, ctx, w, func(d *DNS) {
		for _, server := range []*streamServer{d.tcp, d.tls} {
			server.times = forEver
			server.times.closing = 500 * time.Millisecond
			server.times.linger = time.Second
		}
	})
	name := w.name(t, cipher.AESUUID, addr4).String() + ".local."
	const n = 500
	var all []*dns.Conn
	for _, transport := range transports[1:] {
		idle, half, used, busy := s.dial(t, transport), s.dial(t, transport), s.dial(t, transport), s.dial(t, transport)
		for _, conn := range []*dns.Conn{used, busy} { // the server has them by then
			conn.Conn.Write(framed(t, name, dns.TypeA, 1))
			checkInOrder(t, conn, 1, false)
		}
		half.Conn.Write([]byte{0, 99, 1})
		used.Conn.Write(framed(t, name, dns.TypeA, 1))
		busy.Conn.Write(framed(t, name, dns.TypeA, n))
		all = append(all, idle, half, used, busy)
	}
	stop()
	for i, conn := range all {
		switch i % 4 {
		case 0, 1:
			checkEnds(t, conn.Conn)
		case 2:
			checkInOrder(t, conn, 1, true)
		case 3:
			checkInOrder(t, conn, n, true)
		}
		conn.Close()
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Serve does not end")
	}
	for _, addr := range []net.Addr{s.Addr(), s.TLSAddr()} {
		if _, err := net.Dial("tcp", addr.String()); err == nil {
			t.Error("the port is still open")
		}
	}
}

// Replies that were sent arrive, whatever the server leaves unread when it ends.
func TestStreamsAtTheEndUnread(t *testing.T) {
	w := newZonedWorld(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s, done := startDNS(t, ctx, w, func(d *DNS) {
		d.tcp.times = forEver
		d.tcp.times.closing = time.Millisecond
	})
	conn := s.dial(t, "tcp")
	queries := framed(t, w.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA, 50_000)
	go func() {
		conn.Conn.Write(queries)
		conn.Conn.(*net.TCPConn).CloseWrite()
	}()
	checkInOrder(t, conn, 1, false)
	stop()
	for {
		if _, err := conn.ReadMsg(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Neither who never stops asking nor who takes no replies keeps a server from its end.
func TestStreamsAtTheEndBusy(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprintf("reads is %v", reads), func(t *testing.T) {
			w := newZonedWorld(t)
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			s, done := startDNS(t, ctx, w, func(d *DNS) {
				d.tcp.times = forEver
				d.tcp.times.closing, d.tcp.times.linger, d.tcp.times.write = 10*time.Millisecond, 10*time.Millisecond, 100*time.Millisecond
			})
			conn := s.dial(t, "tcp")
			queries := framed(t, "big.test.", dns.TypeNS, 1000)
			go func() {
				for {
					if _, err := conn.Conn.Write(queries); err != nil {
						return
					}
				}
			}()
			if m, err := conn.ReadMsg(); err != nil {
				t.Fatalf("got %v, %v", m, err)
			}
			if reads {
				go io.Copy(io.Discard, conn.Conn)
			}
			stop()
			select {
			case <-done:
			case <-time.After(patience):
				t.Fatal("Serve does not end")
			}
		})
	}
}
