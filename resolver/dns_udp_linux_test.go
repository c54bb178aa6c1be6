package resolver

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/policy"
)

// dial connects a socket to the port of a server on an address.
func dial(t testing.TB, d *DNS, host string) net.Conn {
	t.Helper()
	_, port, err := net.SplitHostPort(d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func listen(t testing.TB, w *world, addr string) *DNS {
	t.Helper()
	d, err := ListenDNS(w.Resolver, addr)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// serve runs a server until the test ends.
func serve(t testing.TB, d *DNS) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// What looks like a query for a name of ours waits in a socket where nothing else does.
func TestSteering(t *testing.T) {
	w := newWorld(t)
	v4 := w.name(t, cipher.AESUUID, addr4).String() + ".local."
	all := queries(t, w)
	edns := new(dns.Msg).SetQuestion(v4, dns.TypeA)
	edns.SetEdns0(1232, true)
	packed, err := edns.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		packet []byte
		short  bool
	}{
		{"IPv4", all["A "+v4], true},
		{"IPv6", all["AAAA "+w.name(t, cipher.AESUUID, addr6).String()+".local."], true},
		{"two labels", all["A "+w.name(t, cipher.AESGCM, addr6).String()+".local."], true},
		{"with EDNS", packed, true},
		{"another label", all["A printer.local."], false},
		{"response", all["response"], false},
		{"NOTIFY", all["NOTIFY"], false},
		{"truncated flag", all["TC"], false},
		{"two questions", all["two questions"], false},
		{"two OPT", all["two OPT"], false},
		{"header alone", all["A "+v4][:12], false},
		{"one octet", []byte{0}, false},
		{"empty", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := listen(t, w, "127.0.0.1:0")
			defer d.closeAll()
			c := dial(t, d, "127.0.0.1")
			lanes := len(d.udp) - 1
			copies := 4 * lanes // with as many ids
			for i := range copies {
				packet := slices.Clone(tt.packet)
				if len(packet) > 1 {
					binary.BigEndian.PutUint16(packet, uint16(i))
				}
				if _, err := c.Write(packet); err != nil {
					t.Fatal(err)
				}
			}
			for i, s := range d.udp {
				want := 0
				switch {
				case tt.short && i < lanes:
					want = 4
				case !tt.short && i == lanes:
					want = copies
				}
				if got := waiting(t, s.conn); got != want {
					t.Errorf("%d packets in socket %d of %d, want %d", got, i, len(d.udp), want)
				}
			}
		})
	}
}

// waiting returns how many packets wait in a socket.
func waiting(t *testing.T, c *net.UDPConn) (n int) {
	t.Helper()
	buf := make([]byte, 2000)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool {
		for {
			if _, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT); err != nil {
				return true
			}
			n++
		}
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func (d *DNS) closeAll() {
	for _, s := range d.sockets() {
		s.close()
	}
}

// Many queries that wait together are all answered, each with its own answer, whatever is sent in one piece.
func TestBatches(t *testing.T) {
	w := newWorld(t)
	var names []string
	var want []netip.Addr
	for i := range 200 {
		a := netip.AddrFrom4([4]byte{10, 77, byte(i), 9})
		if i%3 == 0 {
			a = netip.AddrFrom16([16]byte{0xfd, 0x77, byte(i), 15: 9})
		}
		k, err := w.ring.Active(cipher.AESUUID)
		if err != nil {
			t.Fatal(err)
		}
		n, err := k.Encrypt(a, pwd, []byte(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		names, want = append(names, n.String()+".local."), append(want, a)
	}
	for _, tt := range []struct {
		name, listen string
		hosts        []string
		whole        bool // the system cannot cut pieces
	}{
		{"one address", "127.0.0.1:0", []string{"127.0.0.1"}, false},
		{"one address, no pieces", "127.0.0.1:0", []string{"127.0.0.1"}, true},
		{"every IPv4 address", "0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2"}, false},
		{"IPv6", "[::1]:0", []string{"::1"}, false},
		{"every address", "[::]:0", []string{"127.0.0.1", "::1", "127.0.0.3"}, false},
		{"every address, no pieces", "[::]:0", []string{"127.0.0.1", "::1"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := listen(t, w, tt.listen)
			for _, s := range d.udp {
				if !s.segments {
					t.Log("the system cuts no pieces")
				}
				s.segments = s.segments && !tt.whole
			}
			// A connected socket takes nothing but what comes from the address that it asked.
			var conns []net.Conn
			for _, host := range append(tt.hosts, tt.hosts[0]) {
				conns = append(conns, dial(t, d, host))
			}
			for i, name := range names {
				typ := dns.TypeA
				if want[i].Is6() != (i%5 == 0) { // for one in five what the name does not have
					typ = dns.TypeAAAA
				}
				m := new(dns.Msg).SetQuestion(name, typ)
				m.Id = uint16(i)
				packet, err := m.Pack()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := conns[i/10%len(conns)].Write(packet); err != nil {
					t.Fatal(err)
				}
			}
			serve(t, d)
			for i := range names {
				// The answers of one socket may come in another order.
				c := &dns.Conn{Conn: conns[i/10%len(conns)]}
				m, err := c.ReadMsg()
				if err != nil {
					t.Fatalf("after %d answers: %v", i, err)
				}
				got := int(m.Id)
				if got >= len(names) || m.Question[0].Name != names[got] {
					t.Fatalf("got\n%v", m)
				}
				if got%5 == 0 {
					if len(m.Answer) != 0 || m.Rcode != dns.RcodeSuccess {
						t.Errorf("got\n%v", m)
					}
					continue
				}
				if len(m.Answer) != 1 {
					t.Fatalf("got\n%v", m)
				}
				var a netip.Addr
				switch rr := m.Answer[0].(type) {
				case *dns.A:
					a, _ = netip.AddrFromSlice(rr.A.To4())
				case *dns.AAAA:
					a, _ = netip.AddrFromSlice(rr.AAAA)
				}
				if a != want[got] {
					t.Errorf("query %d: got %v, want %v", got, a, want[got])
				}
			}
		})
	}
}

// A piece that the system refuses is sent packet by packet.
func TestPieceRefused(t *testing.T) {
	w := newWorld(t)
	d := listen(t, w, "127.0.0.1:0")
	defer d.closeAll()
	s := d.udp[0]
	s.segments = true
	raw, err := s.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// 60 packets of 1200 octets are more than fit into what one system call may send.
	b := newBatch(s, raw)
	sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.from[0]))
	*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	binary.BigEndian.PutUint16(unsafe.Slice((*byte)(unsafe.Pointer(&sa.Port)), 2), uint16(client.LocalAddr().(*net.UDPAddr).Port))
	const n = 60
	for i := range n {
		b.from[i] = b.from[0]
		b.in[i].Namelen = unix.SizeofSockaddrInet4
		b.packets[i][0] = byte(i)
	}
	for i := range n {
		b.add(i, 1200)
	}
	if b.pieces != 2 {
		t.Fatalf("%d pieces of 60 packets of 1200 octets", b.pieces)
	}
	b.piece[0].count, b.pieces = n, 1
	if err := raw.Control(func(fd uintptr) { b.send(fd) }); err != nil {
		t.Fatal(err)
	}
	client.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 2000)
	for i := range n {
		size, _, err := client.ReadFrom(buf)
		if err != nil || size != 1200 || buf[0] != byte(i) {
			t.Fatalf("packet %d: %d octets, the first one %d, %v", i, size, buf[0], err)
		}
	}
}

// Each of two hosts whose queries come together has the answers that the policies have for it.
func TestBatchOfTwoHosts(t *testing.T) {
	w := newWorld(t)
	set, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte("policy \"a\" {\n clients = [\"127.0.0.1/32\"]\n resolve {\n}\n}")})
	if err != nil {
		t.Fatal(err)
	}
	w.config.Policy = func() *policy.Set { return set }
	d := listen(t, w, "127.0.0.1:0")
	friend := dial(t, d, "127.0.0.1")
	stranger, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)}, friend.RemoteAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	stranger.SetDeadline(time.Now().Add(10 * time.Second))
	packet := queries(t, w)["A "+w.name(t, cipher.AESUUID, addr4).String()+".local."]
	const each = 20
	for range each {
		for _, c := range []net.Conn{friend, stranger} {
			if _, err := c.Write(packet); err != nil {
				t.Fatal(err)
			}
		}
	}
	serve(t, d)
	for c, want := range map[net.Conn]int{friend: dns.RcodeSuccess, stranger: dns.RcodeRefused} {
		for range each {
			if m, err := (&dns.Conn{Conn: c}).ReadMsg(); err != nil || m.Rcode != want {
				t.Fatalf("%v: got %v, %v", c.LocalAddr(), m, err)
			}
		}
	}
}

// Of a full batch that wants the long way, where the short way is the rule, only a part is answered.
func TestFullBatchOfLongQueries(t *testing.T) {
	w := newWorld(t)
	d := listen(t, w, "127.0.0.1:0")
	c := dial(t, d, "127.0.0.1")
	lanes := len(d.udp) - 1
	m := new(dns.Msg).SetQuestion(w.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EXPIRE{Code: dns.EDNS0EXPIRE, Empty: true}}
	for i := range batchSize {
		m.Id = uint16(i * lanes) // all for the first socket
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, d)
	for i := range maxLong {
		if _, err := (&dns.Conn{Conn: c}).ReadMsg(); err != nil {
			t.Fatalf("after %d answers: %v", i, err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		answered, dropped, took := w.seen["dns answered"], w.seen["dns overload"], w.took
		w.mu.Unlock()
		if answered+dropped == batchSize && took == batchSize {
			if answered != maxLong {
				t.Errorf("%d answered, want %d", answered, maxLong)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d answered, %d dropped, the time of %d told", answered, dropped, took)
		}
	}
}

// Nothing but this server has the port: who shares ports would get queries.
func TestPortIsOurs(t *testing.T) {
	w := newWorld(t)
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	other, err := share.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if d, err := ListenDNS(w.Resolver, other.LocalAddr().String()); err == nil {
		d.closeAll()
		t.Error("it listens where another process does")
	}
}

// An IPv4 address is not one of IPv6, unspecified though it is.
func TestIPv4Alone(t *testing.T) {
	w := newWorld(t)
	d := listen(t, w, "0.0.0.0:0")
	serve(t, d)
	packet := queries(t, w)["A printer.local."]
	for host, want := range map[string]bool{"127.0.0.1": true, "::1": false} {
		c := dial(t, d, host)
		c.SetDeadline(time.Now().Add(time.Second))
		if want {
			c.SetDeadline(time.Now().Add(10 * time.Second))
		}
		_, err := c.Write(packet)
		if err == nil {
			_, err = c.Read(make([]byte, 2000))
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// What answers everything is not answered.
func TestReflectingPorts(t *testing.T) {
	w := newWorld(t)
	d := listen(t, w, "127.0.0.1:0")
	defer d.closeAll()
	raw, err := d.udp[0].conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	packet := queries(t, w)["A printer.local."]
	for port, want := range map[uint16]int{19: 0, 0: 0, 7: 0, 53: 1, 5353: 1, 40000: 1} {
		b := newBatch(d.udp[0], raw)
		b.queries, b.began = 1, b.now()
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.from[0]))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
		binary.BigEndian.PutUint16(unsafe.Slice((*byte)(unsafe.Pointer(&sa.Port)), 2), port)
		b.in[0].n = uint32(copy(b.packets[0][:], packet))
		b.answer()
		if b.replies != want {
			t.Errorf("port %d: %d replies", port, b.replies)
		}
	}
}

// All that happens from one wait to the next allocates nothing.
func TestBatchAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	w.config.Metrics = noMetrics{}
	d := listen(t, w, "127.0.0.1:0")
	defer d.closeAll()
	c := dial(t, d, "127.0.0.1")
	packet := slices.Clone(queries(t, w)["A "+w.name(t, cipher.AESUUID, addr4).String()+".local."])
	binary.BigEndian.PutUint16(packet, 0) // for the first socket
	raw, err := d.udp[0].conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	b := newBatch(d.udp[0], raw)
	answered := 0
	if err := raw.Read(func(fd uintptr) bool {
		if n := testing.AllocsPerRun(100, func() {
			for range 3 {
				c.Write(packet)
			}
			if errno := b.receive(fd); errno != 0 {
				t.Error(errno)
			}
			b.answer()
			b.send(fd)
			answered += b.replies
			b.worker.tally.flush(b.now().Sub(b.began))
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if answered < 300 {
		t.Errorf("%d answered", answered)
	}
}
