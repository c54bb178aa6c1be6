package resolver

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// TestMalformed has messages that no library makes.
func TestMalformed(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	query, err := new(dns.Msg).SetQuestion(s.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	edited := func(f func(p []byte) []byte) []byte { return f(bytes.Clone(query)) }
	opt := []byte{0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0}
	for _, tt := range []struct {
		name   string
		packet []byte
		rcode  int // -1 for no reply
		result string
	}{
		{"nothing but a header", query[:12], dns.RcodeFormatError, "malformed"},
		{"less than a header", query[:11], -1, "malformed"},
		{"two octets", query[:2], -1, "malformed"},
		{"a reply", edited(func(p []byte) []byte { p[2] |= 0x80; return p }), -1, "malformed"},
		{"question cut in its name", query[:30], dns.RcodeFormatError, "malformed"},
		{"question cut in its type", query[:len(query)-3], dns.RcodeFormatError, "malformed"},
		{"a pointer to itself", append(edited(func(p []byte) []byte { return p[:12] }), 0xc0, 12, 0, 1, 0, 1), dns.RcodeFormatError, "malformed"},
		{"a pointer beyond the end", append(edited(func(p []byte) []byte { return p[:12] }), 0xff, 0xff, 0, 1, 0, 1), dns.RcodeFormatError, "malformed"},
		{"a label of no type", append(edited(func(p []byte) []byte { return p[:12] }), 0x41, 'a', 0, 0, 1, 0, 1), dns.RcodeFormatError, "malformed"},
		{"a name too long", append(append(edited(func(p []byte) []byte { return p[:12] }), bytes.Repeat([]byte("\x01a"), 130)...), 0, 0, 1, 0, 1), dns.RcodeFormatError, "malformed"},
		{"an option that goes on after its record", append(edited(func(p []byte) []byte { p[11] = 1; return p }), append(opt[:9:9], 0, 4, 0, 10, 0, 8)...), dns.RcodeFormatError, "malformed"},
		{"an OPT record cut", append(edited(func(p []byte) []byte { p[11] = 1; return p }), opt[:7]...), dns.RcodeFormatError, "malformed"},
		{"octets at the end", append(edited(func(p []byte) []byte { return p }), 1, 2, 3), dns.RcodeSuccess, "answered"},
		{"a record in the answer section", append(edited(func(p []byte) []byte { p[7] = 1; return p }), 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 1, 2, 3), dns.RcodeSuccess, "answered"},
		{"TC", edited(func(p []byte) []byte { p[2] |= 2; return p }), dns.RcodeSuccess, "answered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var first []byte
			for _, transport := range transports {
				if tt.rcode < 0 && transport == "udp" {
					s.checkSilent(t, tt.packet)
					if got := s.counts(t, 2); got != "map[dns foreign:1 dns malformed:1]" {
						t.Errorf("%s: counted %s", transport, got)
					}
					continue
				}
				reply := s.ask(t, transport, tt.packet)
				rcode := -1
				if len(reply) >= 12 {
					rcode = int(reply[3] & 15)
				}
				if rcode != tt.rcode || rcode >= 0 && (!bytes.Equal(reply[:2], tt.packet[:2]) || reply[2]&0x80 == 0) {
					t.Errorf("%s: got %x", transport, reply)
				}
				if first == nil {
					first = reply
				}
				if !bytes.Equal(reply, first) {
					t.Errorf("%s: got %x, by UDP %x", transport, reply, first)
				}
				if got := s.counts(t, 1); got != "map[dns "+tt.result+":1]" {
					t.Errorf("%s: counted %s", transport, got)
				}
			}
		})
	}
}

// What does not fit into a datagram is cut there, and whole over connections.
func TestTruncated(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	for _, tt := range []struct {
		name      string
		edns      uint16 // 0 for none
		transport string
		cut       bool
		most      int
	}{
		{"plain", 0, "udp", true, 512},
		{"EDNS with 100 octets", 100, "udp", true, 512},
		{"EDNS with 700 octets", 700, "udp", true, 700},
		{"EDNS with all", 4096, "udp", false, ednsSize},
		{"over TCP", 0, "tcp", false, 4096},
		{"over TCP with 512 octets for UDP", 512, "tcp", false, 4096},
		{"over TLS", 0, "tcp-tls", false, 4096},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(dns.Msg).SetQuestion("big.test.", dns.TypeNS)
			if tt.edns > 0 {
				m.SetEdns0(tt.edns, false)
			}
			packet, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			raw, got := s.ask(t, tt.transport, packet), new(dns.Msg)
			if err := got.Unpack(raw); err != nil {
				t.Fatal(err)
			}
			if got.Truncated != tt.cut || (len(got.Answer) == 12) == tt.cut || len(raw) > tt.most || (got.IsEdns0() != nil) != (tt.edns > 0) {
				t.Errorf("%d octets\n%v", len(raw), got)
			}
		})
	}
}
