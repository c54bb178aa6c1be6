package resolver

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// A server for the tests that send it packets without a socket.
func newDNS(t testing.TB) (*world, *DNS) {
	t.Helper()
	w := newWorld(t, "local", "ice.corp.example", "deep.ice.corp.example", "other.test")
	zones, err := newZones([]Zone{
		{Name: "local"},
		{Name: "ice.corp.example", Nameservers: []string{"ns1.corp.example", "ns2.corp.example"}},
		{Name: "deep.ice.corp.example", Nameservers: []string{"ns.elsewhere.test"}},
		{Name: "other.test"},
		{Name: "b.a.Other.test"}, // with a name between
		{Name: "école.example"},  // which can be written in several ways
		{Name: `o'brien\032x.example`},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.zones = zones
	return w, &DNS{resolver: w.Resolver}
}

func (d *DNS) newWorker() *worker { return &worker{tally: d.tally()} }

// short answers a packet the short way, nil if it is not for it.
func (d *DNS) shortAnswer(packet []byte, asker Asker) []byte {
	buf := make([]byte, maxQuery+1)
	n := copy(buf, packet)
	c := d.resolver.client(asker)
	size, _ := d.short(d.newWorker(), buf, n, &c, d.resolver.config.Now())
	return buf[:size]
}

func (d *DNS) longAnswer(packet []byte, asker Asker) []byte {
	buf := make([]byte, maxQuery+1)
	n := copy(buf, packet)
	c := d.resolver.client(asker)
	return buf[:d.long(d.newWorker(), buf, n, &c, nil)]
}

// queries returns packets of all sorts that resolvers send, by name.
func queries(t testing.TB, w *world) map[string][]byte {
	t.Helper()
	v4, v6 := w.name(t, cipher.AESUUID, addr4).String(), w.name(t, cipher.AESUUID, addr6).String()
	gcm := w.name(t, cipher.AESGCM, addr6).String()
	foreign, err := newKey(t, cipher.AESUUID).Encrypt(addr4, pwd, nil)
	if err != nil {
		t.Fatal(err)
	}
	unreachable := w.name(t, cipher.AESUUID, netip.MustParseAddr("127.0.0.1")).String()
	out := map[string][]byte{}
	add := func(name string, m *dns.Msg) {
		packet, err := m.Pack()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = packet
	}
	for _, zone := range []string{"local.", "LOCAL.", "ice.corp.example.", "Ice.corp.example.", "deep.ice.corp.example.", "other.test.", "OTHER.test.", "a.other.test.", "b.A.other.test.", "école.example.", "École.EXAMPLE.", `\195\169cole.examplE.`, `O'brien\ X.example.`,
		"nowhere.test.", "xlocal."} {
		for _, labels := range []string{v4, strings.ToUpper(v4), v6, gcm, gcm[:32], foreign.String(), unreachable, "printer", "x." + v4, `a\.b`, `a\`, `\000`, ""} {
			name := strings.TrimPrefix(labels+"."+zone, ".")
			for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS} {
				m := new(dns.Msg).SetQuestion(name, typ)
				add(dns.TypeToString[typ]+" "+name, m)
				m.SetEdns0(4096, typ == dns.TypeA)
				add(dns.TypeToString[typ]+" "+name+" with EDNS", m)
			}
		}
	}
	edited := func(name string, edit func(*dns.Msg)) {
		m := new(dns.Msg).SetQuestion(v4+".local.", dns.TypeA)
		edit(m)
		add(name, m)
	}
	edited("no RD", func(m *dns.Msg) { m.RecursionDesired = false })
	edited("AD, CD and Z", func(m *dns.Msg) { m.AuthenticatedData, m.CheckingDisabled, m.Zero = true, true, true })
	edited("AA, RA and a code", func(m *dns.Msg) { m.Authoritative, m.RecursionAvailable, m.Rcode = true, true, 5 })
	edited("TC", func(m *dns.Msg) { m.Truncated = true })
	edited("response", func(m *dns.Msg) { m.Response = true })
	edited("NOTIFY", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify })
	edited("class ANY", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY })
	edited("class CHAOS", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })
	edited("type ANY", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY })
	edited("type SOA", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeSOA })
	edited("two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })
	edited("no question", func(m *dns.Msg) { m.Question = nil })
	edited("EDNS version 1", func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) })
	edited("two OPT", func(m *dns.Msg) { m.SetEdns0(1232, false); m.SetEdns0(1232, false) })
	edited("cookie", func(m *dns.Msg) {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}}
	})
	for code := range uint16(22) { // some of which want to be of a form
		for _, data := range []string{"", "x", "\x00\x09\x00\x00"} {
			edited(fmt.Sprintf("option %d %q", code, data), func(m *dns.Msg) {
				m.SetEdns0(1232, false)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: code, Data: []byte(data)}}
			})
		}
	}
	edited("padding and subnet", func(m *dns.Msg) {
		m.SetEdns0(1232, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 9)},
			&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: addr4.AsSlice()}}
	})
	edited("another record than OPT", func(m *dns.Msg) {
		m.Extra = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeTXT, Class: 1}, Txt: []string{"x"}}}
	})
	query := out["A "+v4+".local."]
	out["a further octet"] = append(bytes.Clone(query), 0)
	for _, n := range []int{0, 1, 11, 12, 13, 30, len(query) - 1} {
		out[fmt.Sprint("cut after ", n)] = query[:n]
	}
	loop := bytes.Clone(query)
	loop[12], loop[13] = 0xc0, 12
	out["a pointer to itself"] = loop
	return out
}

func TestShortIsLong(t *testing.T) {
	w, d := newDNS(t)
	short := 0
	for name, packet := range queries(t, w) {
		for _, asker := range []Asker{local, {Addr: netip.MustParseAddr("203.0.113.5")}} {
			got := d.shortAnswer(packet, asker)
			if len(got) == 0 {
				continue
			}
			short++
			if want := d.longAnswer(packet, asker); !bytes.Equal(got, want) {
				t.Errorf("%s\nshort %x\nlong  %x", name, got, want)
			}
		}
	}
	t.Logf("%d went the short way", short)
}

// What ought to go the short way does.
func TestShortTakes(t *testing.T) {
	w, d := newDNS(t)
	v4 := w.name(t, cipher.AESUUID, addr4).String()
	all := queries(t, w)
	for _, name := range []string{
		"A " + v4 + ".local.", "AAAA " + v4 + ".local.", "A " + strings.ToUpper(v4) + ".LOCAL.", "A " + v4 + ".local. with EDNS",
		"A " + v4 + ".nowhere.test.", "A printer.local.", "AAAA " + v4 + ".ice.corp.example.", "A local.", "AAAA " + v4 + ".deep.ice.corp.example. with EDNS",
		"A printer.other.test.", "AAAA " + v4 + ".Ice.corp.example.", "HTTPS " + v4 + ".ice.corp.example.", "cookie", "no RD", "AD, CD and Z",
	} {
		packet, ok := all[name]
		if !ok {
			t.Fatalf("no packet %q", name)
		}
		if len(d.shortAnswer(packet, local)) == 0 {
			t.Errorf("%s goes the long way", name)
		}
	}
}

func FuzzShortIsLong(f *testing.F) {
	w, d := newDNS(f)
	seeds := queries(f, w)
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, packet := range seeds {
		f.Add(packet, true)
		f.Add(packet, false)
	}
	stranger := Asker{Addr: netip.MustParseAddr("203.0.113.5")}
	f.Fuzz(func(t *testing.T, packet []byte, allowed bool) {
		if len(packet) > maxQuery {
			return
		}
		asker := stranger
		if allowed {
			asker = local
		}
		long := d.longAnswer(packet, asker)
		if short := d.shortAnswer(packet, asker); len(short) > 0 && !bytes.Equal(short, long) {
			t.Errorf("query %x\nshort %x\nlong  %x", packet, short, long)
		}
		// What is answered is a response to that query, of a size that needs no fragments.
		if len(long) > 0 && (!bytes.Equal(long[:2], packet[:2]) || long[2]&0x80 == 0 || packet[2]&0x80 != 0 || len(long) > ednsSize) {
			t.Errorf("query %x\nanswer %x", packet, long)
		}
		if len(long) > 0 && new(dns.Msg).Unpack(long) != nil {
			t.Errorf("query %x\nanswer %x is none", packet, long)
		}
	})
}

// A name that stands between two zones exists, or nothing below it would: RFC 8020.
func TestNameBetweenZones(t *testing.T) {
	_, d := newDNS(t)
	for name, want := range map[string]int{
		"a.other.test.": dns.RcodeSuccess, "A.other.Test.": dns.RcodeSuccess,
		"b.a.other.test.": dns.RcodeSuccess, "x.other.test.": dns.RcodeNameError, "x.a.other.test.": dns.RcodeNameError,
	} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeNS} {
			packet := pack(t, new(dns.Msg).SetQuestion(name, typ))
			var m dns.Msg
			if err := m.Unpack(d.longAnswer(packet, local)); err != nil || m.Rcode != want || len(m.Answer) != 0 || len(m.Ns) != 1 {
				t.Errorf("%s: %v\n%v", name, err, &m)
			}
		}
	}
}

func TestZoneOfWire(t *testing.T) {
	zones, err := newZones([]Zone{{Name: "local"}, {Name: "a0.example"}, {Name: "b.a0.example"}, {Name: "x-y.test"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, zone, before string }{
		{"\x03abc\x05local\x00", "local", "\x03abc"},
		{"\x03abc\x05LoCaL\x00", "local", "\x03abc"},
		{"\x05local\x00", "local", ""},
		{"\x09abc\x05local\x00", "", ""}, // one label that ends like the zone
		{"\x06xlocal\x00", "", ""},
		{"\x01n\x02A0\x07EXAMPLE\x00", "a0.example", "\x01n"},
		{"\x01n\x01B\x02a0\x07example\x00", "b.a0.example", "\x01n"}, // the zone below
		{"\x01n\x02a\x10\x07example\x00", "", ""},                    // 0x10 is to 0 what A is to a, and no letter
		{"\x01n\x03x\x0dy\x04test\x00", "", ""},
		{"\x01n\x03X-y\x04test\x00", "x-y.test", "\x01n"},
		{"\x00", "", ""},
	} {
		z, at := zoneOfWire(zones, []byte(tt.name))
		switch {
		case z == nil:
			if tt.zone != "" {
				t.Errorf("%q: in no zone", tt.name)
			}
		case z.text != tt.zone || tt.name[:at] != tt.before:
			t.Errorf("%q: zone %q after %q", tt.name, z.text, tt.name[:at])
		}
	}
}

// The whole of what UDP does with a packet between two system calls.
func TestShortAllocatesNothing(t *testing.T) {
	w, d := newDNS(t)
	all := queries(t, w)
	wk, buf := d.newWorker(), make([]byte, maxQuery+1)
	v4 := w.name(t, cipher.AESUUID, addr4).String()
	for _, name := range []string{"A " + v4 + ".local.", "AAAA " + v4 + ".ice.corp.example. with EDNS", "A printer.local.", "A " + v4 + ".nowhere.test."} {
		packet := all[name]
		if n := testing.AllocsPerRun(100, func() {
			now := time.Now()
			n := copy(buf, packet)
			c := d.resolver.client(d.asker(local.Addr, now))
			if size, _ := d.short(wk, buf, n, &c, now); size == 0 {
				t.Fatal("not answered")
			}
			wk.tally.counts = wk.tally.counts[:0]
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkDNS(b *testing.B) {
	w, d := newDNS(b)
	w.config.Metrics = noMetrics{}
	packet := queries(b, w)["A "+w.name(b, cipher.AESUUID, addr4).String()+".local."]
	wk, buf := d.newWorker(), make([]byte, maxQuery+1)
	b.Run("short", func(b *testing.B) {
		b.ReportAllocs()
		now := time.Now()
		for b.Loop() {
			n := copy(buf, packet)
			c := d.resolver.client(d.asker(local.Addr, now))
			if size, _ := d.short(wk, buf, n, &c, now); size == 0 {
				b.Fatal("not answered")
			}
		}
	})
	b.Run("long", func(b *testing.B) {
		b.ReportAllocs()
		now := time.Now()
		for b.Loop() {
			n := copy(buf, packet)
			c := d.resolver.client(d.asker(local.Addr, now))
			if size := d.long(wk, buf, n, &c, nil); size == 0 {
				b.Fatal("not answered")
			}
		}
	})
}
