package resolver

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

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
		{"other family, mixed case", v4 + ".iCe.corp.example.", dns.TypeAAAA, nil, ok, "", strings.ReplaceAll(soa, "ice", "iCe"), "nodata"},
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
				authoritative := (tt.rcode == ok || tt.rcode == nxdomain) && m.Question[0].Qclass == dns.ClassINET
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
	d.links.look()
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
