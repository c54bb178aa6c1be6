package resolver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// A testServer answers for zones of all sorts, over UDP, TCP and TLS.
type testServer struct {
	*world
	*DNS
	tls *tls.Config // of its clients
}

var transports = []string{"udp", "tcp", "tcp-tls"}

// newZonedWorld returns a world with zones of all sorts.
func newZonedWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	big := Zone{Name: "big.test"}
	for i := range 12 {
		big.Nameservers = append(big.Nameservers, fmt.Sprintf("%d%s.example", i, strings.Repeat("n", 60)))
	}
	zones, err := newZones([]Zone{
		{Name: "local"}, {Name: "other.test"}, big,
		{Name: "ice.corp.example", Nameservers: []string{"ns1.corp.example", "ns2.corp.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.zones = zones
	return w
}

// serveDNS runs a server on loopback until the test ends. edit, if there is one, changes it before.
func serveDNS(t testing.TB, w *world, edit ...func(*DNS)) *testServer {
	t.Helper()
	d, err := ListenDNS(w.Resolver, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, roots := newCertificate(t)
	if err := d.ListenTLS("127.0.0.1:0", func() *tls.Certificate { return certificate }); err != nil {
		t.Fatal(err)
	}
	for _, f := range edit {
		f(d)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return &testServer{w, d, &tls.Config{RootCAs: roots, ServerName: "candgw.test"}}
}

// newCertificate returns a certificate for candgw.test that is its own root.
func newCertificate(t testing.TB) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"candgw.test"}, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, roots
}

// dial opens a connection over a transport, or a socket for UDP.
func (s *testServer) dial(t testing.TB, transport string) *dns.Conn {
	t.Helper()
	addr := s.Addr()
	if transport == "tcp-tls" {
		addr = s.TLSAddr()
	}
	conn, err := (&dns.Client{Net: transport, TLSConfig: s.tls, UDPSize: dns.MaxMsgSize}).Dial(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.UDPSize = dns.MaxMsgSize
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// patience is for what takes milliseconds on an idle machine.
const patience = 20 * time.Second

// ask sends a packet over a transport and returns the reply, nil if the connection is closed instead.
func (s *testServer) ask(t *testing.T, transport string, packet []byte) []byte {
	t.Helper()
	conn := s.dial(t, transport)
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(reply)
	if transport != "udp" && errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return reply[:n]
}

// checkSilent sends a datagram that gets no reply.
func (s *testServer) checkSilent(t *testing.T, packet []byte) {
	t.Helper()
	conn := s.dial(t, "udp")
	next := new(dns.Msg).SetQuestion(".", dns.TypeNS) // which comes to the same socket of the server, after it
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMsg(next); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.ReadMsg(); err != nil || got.Id != next.Id {
		t.Errorf("got %v, %v", got, err)
	}
}

// counts returns what was counted since the last call, once it is n lookups.
func (s *testServer) counts(t *testing.T, n int) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		total, seen := 0, fmt.Sprint(s.seen)
		for _, n := range s.seen {
			total += n
		}
		if total >= n {
			clear(s.seen)
		}
		s.mu.Unlock()
		if total >= n {
			return seen
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s was counted, want %d lookups", seen, n)
		}
	}
}

// TestDNS has the same answers over every transport, and counts them alike.
func TestDNS(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	v4, v6 := s.name(t, cipher.AESUUID, addr4).String(), s.name(t, cipher.AESUUID, addr6).String()
	foreign, _ := newKey(t, cipher.AESUUID).Encrypt(addr4, pwd, nil)
	gcm := s.name(t, cipher.AESGCM, addr6).String()
	const (
		ok, nxdomain, refused, formerr = dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeRefused, dns.RcodeFormatError
		notimp, badvers                = dns.RcodeNotImplemented, dns.RcodeBadVers

		soa   = "ice.corp.example. 10 IN SOA ns1.corp.example. hostmaster.ice.corp.example. 1 3600 600 604800 10"
		other = "other.test. 10 IN SOA other.test. hostmaster.other.test. 1 3600 600 604800 10"
		ns    = "ice.corp.example. 3600 IN NS ns1.corp.example.; ice.corp.example. 3600 IN NS ns2.corp.example."
	)
	class := func(c uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.Question[0].Qclass = c } }
	opcode := func(o int) func(*dns.Msg) { return func(m *dns.Msg) { m.Opcode = o } }
	for _, tt := range []struct {
		name, ask string
		typ       uint16
		edit      func(*dns.Msg)
		rcode     int
		answer    string // records, with "; " between them
		authority string
		result    string
	}{
		{"A", v4 + ".local.", dns.TypeA, nil, ok, v4 + ".local. 120 IN A 10.77.1.2", "", "answered"},
		{"AAAA", v6 + ".local.", dns.TypeAAAA, nil, ok, v6 + ".local. 120 IN AAAA 2001:db8:77:1::2", "", "answered"},
		{"mixed case comes back as it was", strings.ToUpper(v4) + ".LocaL.", dns.TypeA, nil, ok, strings.ToUpper(v4) + ".LocaL. 120 IN A 10.77.1.2", "", "answered"},
		{"zone of the operator", v4 + ".ice.corp.example.", dns.TypeA, nil, ok, v4 + ".ice.corp.example. 120 IN A 10.77.1.2", "", "answered"},
		{"other family in local", v4 + ".local.", dns.TypeAAAA, nil, ok, "", "", "nodata"},
		{"other family", v4 + ".ice.corp.example.", dns.TypeAAAA, nil, ok, "", soa, "nodata"},
		{"other family, IPv6", v6 + ".other.test.", dns.TypeA, nil, ok, "", other, "nodata"},
		{"other family, mixed case", v4 + ".iCe.corp.example.", dns.TypeAAAA, nil, ok, "", soa, "nodata"},
		{"another type", v4 + ".ice.corp.example.", dns.TypeHTTPS, nil, ok, "", soa, "nodata"},
		{"a type that nobody knows", v4 + ".ice.corp.example.", 65280, nil, ok, "", soa, "nodata"},
		{"DS", v4 + ".ice.corp.example.", dns.TypeDS, nil, ok, "", soa, "nodata"},
		{"any type (RFC 8482)", v6 + ".local.", dns.TypeANY, nil, ok, v6 + ".local. 120 IN AAAA 2001:db8:77:1::2", "", "answered"},
		{"any class", v4 + ".local.", dns.TypeA, class(dns.ClassANY), ok, v4 + ".local. 120 IN A 10.77.1.2", "", "answered"},
		{"does not open in local", foreign.String() + ".local.", dns.TypeA, nil, nxdomain, "", "", "unauthenticated"},
		{"does not open", foreign.String() + ".ice.corp.example.", dns.TypeA, nil, nxdomain, "", soa, "unauthenticated"},
		{"no name of ours", "printer.ice.corp.example.", dns.TypeSOA, nil, nxdomain, "", soa, "unauthenticated"},
		{"the last label of a longer name (RFC 8020)", gcm[len(gcm)-32:] + ".ice.corp.example.", dns.TypeA, nil, ok, "", soa, "unauthenticated"},
		{"SOA of local", "local.", dns.TypeSOA, nil, ok, "", "", "nodata"},
		{"NS of local", "local.", dns.TypeNS, nil, ok, "", "", "nodata"},
		{"SOA", "ice.corp.example.", dns.TypeSOA, nil, ok, soa, "", "answered"},
		{"NS", "ICE.corp.example.", dns.TypeNS, nil, ok, ns, "", "answered"},
		{"NS where there are none", "other.test.", dns.TypeNS, nil, ok, "", other, "nodata"},
		{"any type of the zone", "ice.corp.example.", dns.TypeANY, nil, ok, soa, "", "answered"},
		{"address of the zone", "ice.corp.example.", dns.TypeA, nil, ok, "", soa, "nodata"},
		{"DNSKEY", "ice.corp.example.", dns.TypeDNSKEY, nil, ok, "", soa, "nodata"},
		{"another zone", v4 + ".example.", dns.TypeA, nil, refused, "", "", "foreign"},
		{"the zone above", "corp.example.", dns.TypeNS, nil, refused, "", "", "foreign"},
		{"root", ".", dns.TypeNS, nil, refused, "", "", "foreign"},
		{"AXFR", "ice.corp.example.", dns.TypeAXFR, nil, refused, "", "", "foreign"},
		{"IXFR", "ice.corp.example.", dns.TypeIXFR, nil, refused, "", "", "foreign"},
		{"type 0", v4 + ".local.", dns.TypeNone, nil, formerr, "", "", "malformed"},
		{"type OPT", v4 + ".local.", dns.TypeOPT, nil, formerr, "", "", "malformed"},
		{"type TSIG", v4 + ".local.", dns.TypeTSIG, nil, formerr, "", "", "malformed"},
		{"type TKEY", v4 + ".local.", dns.TypeTKEY, nil, notimp, "", "", "foreign"},
		{"type MAILA", v4 + ".local.", dns.TypeMAILA, nil, notimp, "", "", "foreign"},
		{"type MAILB", v4 + ".local.", dns.TypeMAILB, nil, notimp, "", "", "foreign"},
		{"version.bind", "version.bind.", dns.TypeTXT, class(dns.ClassCHAOS), refused, "", "", "foreign"},
		{"class CHAOS in a zone", v4 + ".local.", dns.TypeA, class(dns.ClassCHAOS), refused, "", "", "foreign"},
		{"class NONE", v4 + ".local.", dns.TypeA, class(dns.ClassNONE), refused, "", "", "foreign"},
		{"NOTIFY", "ice.corp.example.", dns.TypeSOA, opcode(dns.OpcodeNotify), notimp, "", "", "foreign"},
		{"UPDATE", "ice.corp.example.", dns.TypeSOA, opcode(dns.OpcodeUpdate), notimp, "", "", "foreign"},
		{"opcode 15", "ice.corp.example.", dns.TypeSOA, opcode(15), notimp, "", "", "foreign"},
		{"no question", "local.", dns.TypeA, func(m *dns.Msg) { m.Question = nil }, formerr, "", "", "malformed"},
		{"two questions", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, formerr, "", "", "malformed"},
		{"two OPT records", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, false); m.SetEdns0(4096, false) }, formerr, "", "", "malformed"},
		{"an OPT record with a name", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, false); m.Extra[0].Header().Name = "x." }, formerr, "", "", "malformed"},
		{"EDNS version 1", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, false); m.IsEdns0().SetVersion(1) }, badvers, "", "", "malformed"},
		{"EDNS", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) }, ok, v4 + ".local. 120 IN A 10.77.1.2", "", "answered"},
		{"EDNS, outside", "example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false) }, refused, "", "", "foreign"},
		{"EDNS with less than plain DNS has", "ice.corp.example.", dns.TypeNS, func(m *dns.Msg) { m.SetEdns0(0, false) }, ok, ns, "", "answered"},
		{"EDNS with more than there is", "ice.corp.example.", dns.TypeNS, func(m *dns.Msg) { m.SetEdns0(65535, false) }, ok, ns, "", "answered"},
		{"EDNS with an option that nobody knows", v4 + ".local.", dns.TypeA, func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}}
		}, ok, v4 + ".local. 120 IN A 10.77.1.2", "", "answered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(dns.Msg).SetQuestion(tt.ask, tt.typ)
			if tt.edit != nil {
				tt.edit(m)
			}
			packet, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			var first []byte
			for _, transport := range transports {
				raw := s.ask(t, transport, packet)
				got := new(dns.Msg)
				if err := got.Unpack(raw); err != nil {
					t.Fatalf("%s: %v", transport, err)
				}
				authoritative := tt.rcode == ok || tt.rcode == nxdomain
				if got.Id != m.Id || !got.Response || got.Opcode != m.Opcode || got.Rcode != tt.rcode || got.Authoritative != authoritative ||
					got.RecursionAvailable || got.Truncated || records(got.Answer) != tt.answer || records(got.Ns) != tt.authority {
					t.Errorf("%s: got\n%v", transport, got)
				}
				opt := got.IsEdns0()
				if asked := m.IsEdns0(); (opt == nil) != (asked == nil) || len(got.Extra) > 1 ||
					opt != nil && (opt.UDPSize() != ednsSize || opt.Do() != asked.Do() || opt.Version() != 0 || len(opt.Option) > 0) {
					t.Errorf("%s: %v", transport, got.Extra)
				}
				if first == nil {
					first = raw
				}
				if !bytes.Equal(raw, first) {
					t.Errorf("%s: got %x, by UDP %x", transport, raw, first)
				}
				if got := s.counts(t, 1); got != "map[dns "+tt.result+":1]" {
					t.Errorf("%s: counted %s", transport, got)
				}
			}
		})
	}
}

func records(list []dns.RR) string {
	var out []string
	for _, rr := range list {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(out, "; ")
}

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

// Strangers are refused, and cannot tell a name that opens from one that does not.
func TestDNSStranger(t *testing.T) {
	w := newWorld(t)
	d := &DNS{resolver: w.Resolver}
	stranger := w.client(Asker{Addr: netip.MustParseAddr("203.0.113.5")})
	for _, name := range []string{w.name(t, cipher.AESUUID, addr4).String() + ".local.", "x.local.", "local."} {
		m := d.reply(new(dns.Msg).SetQuestion(name, dns.TypeA), &stranger, nil, &tally{resolver: w.Resolver, front: FrontDNS})
		if m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestListenDNSTwice(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	if d, err := ListenDNS(s.Resolver, s.Addr().String()); err == nil {
		t.Errorf("a second server got %v", d.Addr())
	}
	if err := s.ListenTLS(s.TLSAddr().String(), nil); err == nil {
		t.Error("a second server got the port of TLS")
	}
}

func TestAsker(t *testing.T) {
	d := new(DNS)
	for _, tt := range []struct {
		from string
		want Asker
	}{
		{"127.0.0.1", Asker{netip.MustParseAddr("127.0.0.1"), true}},
		{"::ffff:127.0.0.1", Asker{netip.MustParseAddr("127.0.0.1"), true}},
		{"203.0.113.5", Asker{netip.MustParseAddr("203.0.113.5"), false}},
		{"fe80::1%eth0", Asker{netip.MustParseAddr("fe80::1"), false}},
	} {
		if got := d.asker(netip.MustParseAddr(tt.from), time.Now()); got.Addr != tt.want.Addr || tt.from != "fe80::1%eth0" && got != tt.want {
			t.Errorf("%v: got %v", tt.from, got)
		}
	}
}
