//go:build linux

package resolver

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/candgw/candgw/cipher"
)

// What the system's filter and the look at the questions leave of each packet.
func TestSift(t *testing.T) {
	w := newWorld(t, "local", "ice.corp.example")
	v4 := w.name(t, cipher.AESUUID, addr4).String()
	gcm := w.name(t, cipher.AESGCM, addr6).String()
	ask := func(names ...string) *dns.Msg {
		m := new(dns.Msg)
		for _, n := range names {
			m.Question = append(m.Question, dns.Question{Name: n, Qtype: dns.TypeA, Qclass: topBit | dns.ClassINET})
		}
		return m
	}
	edit := func(m *dns.Msg, f func(*dns.Msg)) *dns.Msg { f(m); return m }
	known := []dns.RR{newRR(t, v4+".local. 120 IN A 10.77.1.2")}
	filter, err := sift(link{})
	if err != nil {
		t.Fatal(err)
	}
	program, ok := bpf.Disassemble(filter)
	if !ok {
		t.Fatal("the filter is no program")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	query := pack(t, ask(v4+".local."))
	for _, tt := range []struct {
		name   string
		packet []byte
		kept   bool
		want   sifted
	}{
		{"ours", query, true, forUs},
		{"upper case, IPv6", pack(t, ask("0123ABCD-0123-4123-8123-0123456789AB0123456789ABCDEF0123456789.LOCAL.")), true, forUs},
		{"two labels", pack(t, ask(gcm+".local.")), true, forUs},
		{"zone of the operator", pack(t, ask(v4+".ice.corp.example.")), true, forUs},
		{"another one first", pack(t, ask("printer.local.", v4+".local.")), true, forUs},
		{"with a pointer", pack(t, edit(ask("printer.local.", v4+".local."), func(m *dns.Msg) { m.Compress = true })), true, forUs},
		{"others' names", pack(t, ask("printer.local.", "_ipp._tcp.local.")), true, notForUs},
		{"the zone", pack(t, ask("local.")), true, notForUs},
		{"another zone", pack(t, ask(v4+".example.")), true, notForUs},
		{"rest of known answers", pack(t, &dns.Msg{Answer: known}), true, notForUs},
		{"response", pack(t, edit(ask(v4+".local."), func(m *dns.Msg) { m.Response = true })), false, forUs},
		{"operation", pack(t, edit(ask(v4+".local."), func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate })), false, forUs},
		{"error", pack(t, edit(ask(v4+".local."), func(m *dns.Msg) { m.Rcode = dns.RcodeRefused })), false, forUs},
		{"flags that are ignored", pack(t, edit(ask(v4+".local."), func(m *dns.Msg) {
			m.Authoritative, m.Truncated, m.RecursionDesired, m.RecursionAvailable, m.Zero, m.CheckingDisabled = true, true, true, true, true, true
		})), true, forUs},
		{"nothing, and more to come", pack(t, &dns.Msg{MsgHdr: dns.MsgHdr{Truncated: true}}), true, notForUs},
		{"cut in the name", query[:30], true, broken},
		{"cut in the type", query[:len(query)-3], true, broken},
		{"header alone", query[:12], true, broken},
		{"short", query[:11], false, broken},
		{"empty", nil, false, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := vm.Run(append(make([]byte, 8), tt.packet...))
			if err != nil {
				t.Fatal(err)
			}
			if (n > 0) != tt.kept || n > 0 && n < 8+len(tt.packet) {
				t.Errorf("the filter keeps %d octets", n)
			}
			if got := w.look(tt.packet); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// Nothing is passed over that would be answered.
func FuzzSift(f *testing.F) {
	w := newWorld(f, "local", "ice.corp.example")
	seeds := queries(f, w)
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, packet := range seeds {
		f.Add(packet)
	}
	filter, err := sift(link{})
	if err != nil {
		f.Fatal(err)
	}
	program, _ := bpf.Disassemble(filter)
	vm, err := bpf.NewVM(program)
	if err != nil {
		f.Fatal(err)
	}
	from := query{from: netip.AddrPortFrom(local.Addr, mdnsPort), multicast: true, onLink: true}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > maxPacket {
			return
		}
		c, _ := w.hear(packet, from)
		if len(c.replies) == 0 {
			return
		}
		if got := w.look(packet); got != forUs {
			t.Errorf("%x is answered and was passed over: %d", packet, got)
		}
		if n, err := vm.Run(append(make([]byte, 8), packet...)); err != nil || n < 8+len(packet) {
			t.Errorf("%x is answered and was filtered: %d, %v", packet, n, err)
		}
	})
}

// The system takes the filter for sockets of both IP versions, and keeps to it.
func TestSiftInSystem(t *testing.T) {
	w := newWorld(t)
	query := pack(t, new(dns.Msg).SetQuestion(w.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA))
	response := bytes.Clone(query)
	response[2] |= 0x80
	for _, tt := range []struct {
		network, addr string
		set           func(net.PacketConn, []bpf.RawInstruction) error
		v6            bool
	}{
		{"udp4", "127.0.0.1:0", func(c net.PacketConn, f []bpf.RawInstruction) error { return ipv4.NewPacketConn(c).SetBPF(f) }, false},
		{"udp6", "[::1]:0", func(c net.PacketConn, f []bpf.RawInstruction) error { return ipv6.NewPacketConn(c).SetBPF(f) }, true},
	} {
		c, err := net.ListenPacket(tt.network, tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		filter, err := sift(link{index: 1 << 20, v6: tt.v6}) // another link: what comes to this host passes
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.set(c, filter); err != nil {
			t.Fatal(err)
		}
		for _, packet := range [][]byte{response, query} {
			if _, err := c.WriteTo(packet, c.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 2000)
		if n, _, err := c.ReadFrom(buf); err != nil || !bytes.Equal(buf[:n], query) {
			t.Errorf("%s: the first to pass is %x, %v", tt.network, buf[:n], err)
		}
	}
}
