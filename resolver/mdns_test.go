package resolver

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/mcast"
)

var onLink = query{from: netip.MustParseAddrPort("10.77.1.9:5353"), multicast: true, onLink: true}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A negative answer to nothing, a positive one: what a packet says.
func describe(t testing.TB, packet []byte) string {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(packet); err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, q := range m.Question {
		s = append(s, "Q "+q.Name+" "+dns.TypeToString[q.Qtype])
	}
	line := func(section string, rr dns.RR) string {
		h := rr.Header()
		flush := ""
		if h.Class&topBit != 0 {
			flush = " flush"
		}
		rest := strings.TrimPrefix(rr.String(), h.String())
		return fmt.Sprintf("%s %s %d %s%s", section, dns.TypeToString[h.Rrtype], h.Ttl, rest, flush)
	}
	for _, rr := range m.Answer {
		s = append(s, line("AN", rr))
	}
	for _, rr := range m.Extra {
		s = append(s, line("AR", rr))
	}
	if !m.Response || !m.Authoritative || m.Rcode != 0 || len(m.Ns) != 0 {
		s = append(s, "bad header")
	}
	return fmt.Sprintf("id %d: %s", m.Id, strings.Join(s, "; "))
}

// thousandTypes asks for everything that a name can have.
func thousandTypes(name string, class uint16) *dns.Msg {
	m := &dns.Msg{Compress: true}
	for i := range 1000 {
		m.Question = append(m.Question, dns.Question{Name: name, Qtype: 1 + uint16(i), Qclass: class})
	}
	return m
}

// replies returns what a packet calls for.
func (w *world) replies(packet []byte, q query) []reply {
	c, _ := w.hear(packet, q)
	return c.replies
}

func TestMDNSReplies(t *testing.T) {
	w := newWorld(t)
	v4, v6 := w.name(t, cipher.AESUUID, addr4).String()+".local.", w.name(t, cipher.AESUUID, addr6).String()+".local."
	foreign, _ := newKey(t, cipher.AESUUID).Encrypt(addr4, pwd, nil)
	ask := func(name string, typ, class uint16) *dns.Msg {
		return &dns.Msg{MsgHdr: dns.MsgHdr{Id: 7}, Question: []dns.Question{{Name: name, Qtype: typ, Qclass: class}}}
	}
	known := func(m *dns.Msg, rr string) *dns.Msg {
		r, err := dns.NewRR(rr)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, r)
		return m
	}
	legacy := query{netip.MustParseAddrPort("10.77.1.9:40000"), true, true}
	direct := query{netip.MustParseAddrPort("10.77.1.9:5353"), false, true}
	offLink := func(q query) query { q.onLink = false; return q }
	const qu = topBit | dns.ClassINET
	positive4 := "AN A 120 10.77.1.2 flush; AR NSEC 120 " + v4 + " A flush"
	for _, tt := range []struct {
		name string
		m    *dns.Msg
		q    query
		want []string // what each packet says; "unicast " before those that go to the asker alone
	}{
		{"RFC 6762 6.1, 6.2: A", ask(v4, dns.TypeA, dns.ClassINET), onLink, []string{"id 0: " + positive4}},
		{"RFC 6762 6.1, 6.2: AAAA", ask(v6, dns.TypeAAAA, dns.ClassINET), onLink, []string{"id 0: AN AAAA 120 2001:db8:77:1::2 flush; AR NSEC 120 " + v6 + " AAAA flush"}},
		{"RFC 6762 6.5: ANY", ask(v4, dns.TypeANY, dns.ClassINET), onLink, []string{"id 0: " + positive4}},
		{"RFC 6762 6.5: class ANY", ask(v4, dns.TypeA, dns.ClassANY), onLink, []string{"id 0: " + positive4}},
		{"RFC 6762 16: upper case", ask(strings.ToUpper(v4), dns.TypeA, dns.ClassINET), onLink, []string{"id 0: " + positive4}},
		// The missing family: nothing but an NSEC, and that not in the answer section.
		{"RFC 6762 6.1: AAAA of an IPv4 name", ask(v4, dns.TypeAAAA, dns.ClassINET), onLink, []string{"id 0: AR NSEC 120 " + v4 + " A flush"}},
		{"RFC 6762 6.1: HTTPS", ask(v4, dns.TypeHTTPS, dns.ClassINET), onLink, []string{"id 0: AR NSEC 120 " + v4 + " A flush"}},
		{"RFC 6762 5.4: QU", ask(v4, dns.TypeA, qu), onLink, []string{"unicast id 7: " + positive4}},
		{"RFC 6762 5.5: direct unicast", ask(v4, dns.TypeA, dns.ClassINET), direct, []string{"unicast id 7: " + positive4}},
		{"RFC 6762 6.7: legacy", ask(v4, dns.TypeA, dns.ClassINET), legacy, []string{"unicast id 7: Q " + v4 + " A; AN A 10 10.77.1.2; AR NSEC 10 " + v4 + " A"}},
		{"RFC 6762 7.1: known for half its life", known(ask(v4, dns.TypeA, dns.ClassINET), v4+" 60 IN A 10.77.1.2"), onLink, nil},
		{"RFC 6762 7.1: known, nearly over", known(ask(v4, dns.TypeA, dns.ClassINET), v4+" 59 IN A 10.77.1.2"), onLink, []string{"id 0: " + positive4}},
		{"RFC 6762 7.1: another address is known", known(ask(v4, dns.TypeA, dns.ClassINET), v4+" 120 IN A 10.77.1.3"), onLink, []string{"id 0: " + positive4}},
		{"RFC 6762 7.1: known, IPv6", known(ask(v6, dns.TypeAAAA, dns.ClassINET), v6+" 120 IN AAAA 2001:db8:77:1::2"), onLink, nil},
		{"RFC 6762 7.1: known not to be", known(ask(v4, dns.TypeAAAA, dns.ClassINET), v4+" 120 IN NSEC "+v4+" A"), onLink, nil},
		{"RFC 6762 7.1: known, of another class", known(ask(v4, dns.TypeA, dns.ClassINET), v4+" 120 CH A 10.77.1.2"), onLink, []string{"id 0: " + positive4}},
		{"RFC 6762 7.1: known to have something else", known(ask(v4, dns.TypeAAAA, dns.ClassINET), v4+" 120 IN NSEC "+v4+" A AAAA"), onLink, []string{"id 0: AR NSEC 120 " + v4 + " A flush"}},
		{"RFC 6762 7.1: known in another letter case", known(ask(v4, dns.TypeA, dns.ClassINET), strings.ToUpper(v4)+" 120 IN A 10.77.1.2"), onLink, nil},
		{"RFC 6762 7.1: one of two is known", known(&dns.Msg{Question: []dns.Question{{Name: v4, Qtype: dns.TypeA, Qclass: 1}, {Name: v4, Qtype: dns.TypeAAAA, Qclass: 1}}}, v4+" 120 IN A 10.77.1.2"), onLink,
			[]string{"id 0: AR NSEC 120 " + v4 + " A flush"}},
		{"RFC 6762 7.1: known of another name", known(ask(v4, dns.TypeA, dns.ClassINET), "x.local. 120 IN A 10.77.1.2"), onLink, []string{"id 0: " + positive4}},
		// Off the link nobody is sent anything; the group may hear what it asked for.
		{"RFC 6762 11: off-link, to the group", ask(v4, dns.TypeA, dns.ClassINET), offLink(onLink), []string{"id 0: " + positive4}},
		{"RFC 6762 11: off-link, QU", ask(v4, dns.TypeA, qu), offLink(onLink), []string{"id 0: " + positive4}},
		{"RFC 6762 11: off-link, legacy", ask(v4, dns.TypeA, dns.ClassINET), offLink(legacy), nil},
		{"RFC 6762 11: off-link, direct unicast", ask(v4, dns.TypeA, dns.ClassINET), offLink(direct), nil},
		// One answer to one question, however often it stands in a packet.
		{"RFC 6762 5.3: one question a hundred times", &dns.Msg{Question: slices.Repeat(ask(v4, dns.TypeA, qu).Question, 100)}, onLink, []string{"unicast id 0: " + positive4}},
		// Silence.
		{"foreign name", ask(foreign.String()+".local.", dns.TypeA, dns.ClassINET), onLink, nil},
		{"printer", ask("printer.local.", dns.TypeA, dns.ClassINET), onLink, nil},
		{"service", ask("_ipp._tcp.local.", dns.TypePTR, dns.ClassINET), onLink, nil},
		{"local itself", ask("local.", dns.TypeSOA, dns.ClassINET), onLink, nil},
		{"class CHAOS", ask(v4, dns.TypeA, dns.ClassCHAOS), onLink, nil},
		{"RFC 6762 18.2: response", &dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Question: ask(v4, dns.TypeA, dns.ClassINET).Question}, onLink, nil},
		{"RFC 6762 18.3: update", &dns.Msg{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeUpdate}, Question: ask(v4, dns.TypeA, dns.ClassINET).Question}, onLink, nil},
		{"RFC 6762 18.11: error", &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}, Question: ask(v4, dns.TypeA, dns.ClassINET).Question}, onLink, nil},
		// Several questions in a packet, one of them not ours.
		{"RFC 6762 5.3: several questions, one not ours", &dns.Msg{Question: []dns.Question{{Name: v4, Qtype: dns.TypeA, Qclass: 1}, {Name: "x.local.", Qtype: dns.TypeA, Qclass: 1}, {Name: v4, Qtype: dns.TypeAAAA, Qclass: 1}}}, onLink,
			[]string{"id 0: " + positive4}},
		{"RFC 6762 5.3: two names", &dns.Msg{Question: []dns.Question{{Name: v4, Qtype: dns.TypeA, Qclass: 1}, {Name: v6, Qtype: dns.TypeAAAA, Qclass: 1}}}, onLink,
			[]string{"id 0: " + positive4, "id 0: AN AAAA 120 2001:db8:77:1::2 flush; AR NSEC 120 " + v6 + " AAAA flush"}},
		{"RFC 6762 5.4: the group is asked for one of two records", &dns.Msg{Question: []dns.Question{{Name: v4, Qtype: dns.TypeA, Qclass: qu}, {Name: v4, Qtype: dns.TypeAAAA, Qclass: 1}}}, onLink,
			[]string{"id 0: " + positive4}},
		// Six octets for each further question must not call for a packet each.
		{"RFC 6762 5.3: a thousand types", thousandTypes(v4, qu), onLink, []string{"unicast id 0: " + positive4}},
		{"RFC 6762 6.7: a thousand types", thousandTypes(v4, 1), legacy, []string{"unicast id 0: Q " + v4 + " A; Q " + v4 + " NS; AN A 10 10.77.1.2; AR NSEC 10 " + v4 + " A"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, r := range w.replies(pack(t, tt.m), tt.q) {
				r.nsec = r.nsec || r.address // as a pacer has it that sent nothing yet
				p, err := r.pack()
				if err != nil {
					t.Fatal(err)
				}
				s := describe(t, p)
				if r.unicast {
					s = "unicast " + s
				}
				got = append(got, s)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
	if w.seen["mdns answered"] == 0 || w.seen["mdns unauthenticated"] == 0 || w.seen["mdns nodata"] == 0 {
		t.Errorf("metrics heard %v", w.seen)
	}
}

func TestMDNSGarbage(t *testing.T) {
	w := newWorld(t)
	whole := pack(t, new(dns.Msg).SetQuestion(w.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA))
	for n := range len(whole) {
		if got := w.replies(whole[:n], onLink); len(got) != 0 {
			t.Errorf("the first %d octets are answered", n)
		}
	}
}

// names returns different names of an address, with a final dot.
func (w *world) names(t testing.TB, addr netip.Addr, count int) (names []string) {
	t.Helper()
	k, err := w.ring.Active(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		n, err := k.Encrypt(addr, pwd, fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n.String()+".local.")
	}
	return names
}

// Every name that is asked for in a packet of 9000 octets is answered: RFC 6762, sections 5.3 and 17.
func TestMDNSManyQuestions(t *testing.T) {
	w := newWorld(t)
	m := &dns.Msg{Compress: true}
	for _, name := range w.names(t, addr4, 208) {
		m.Question = append(m.Question, dns.Question{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET})
	}
	packet := pack(t, m)
	if len(packet) < maxPacket-100 || len(packet) > maxPacket {
		t.Fatalf("the packet has %d octets", len(packet))
	}
	if got := len(w.replies(packet, onLink)); got != len(m.Question) {
		t.Errorf("%d replies, want %d", got, len(m.Question))
	}
}

var testLink = link{index: 7}

// newMDNS returns a responder with one port, of which the test takes what is sent.
func (w *world) newMDNS(t testing.TB) (*MDNS, *port) {
	t.Helper()
	p := &port{link: testLink, nets: mcast.Networks{netip.MustParsePrefix("10.77.1.0/24")}, out: make(chan *datagram, maxOut)}
	m := &MDNS{resolver: w.Resolver, ports: map[link]*port{testLink: p}}
	m.pace, m.waiting = newPacer(m.multicast), newWaitingRoom(m.answer)
	return m, p
}

// fromHost is the arrival of a packet to the group from a host of the test link.
func fromHost(address string) arrival {
	return arrival{testLink, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)), mcast.Group4}
}

// 200,000 names are answered, more than a pacer remembers, and nothing of them is left a second later.
func TestMDNSLeavesNothing(t *testing.T) {
	w := newWorld(t)
	const count = 200_000
	names := w.names(t, addr6, count)
	synctest.Test(t, func(t *testing.T) {
		m, p := w.newMDNS(t)
		heap := func() uint64 {
			var s runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&s)
			return s.HeapAlloc
		}
		before := heap()
		question := new(dns.Msg)
		for _, name := range names {
			m.handle(pack(t, question.SetQuestion(name, dns.TypeAAAA)), fromHost("10.77.1.9:5353"))
			if len(p.out) != 1 {
				t.Fatalf("%d packets for a name", len(p.out))
			}
			<-p.out
		}
		if names, ends := m.pace.holds(); names != maxPaced || ends != maxPaced {
			t.Errorf("the pacer remembers %d names and %d ends of pauses, want %d", names, ends, maxPaced)
		}
		t.Logf("%d KiB while it remembers", (heap()-before)/1024)
		time.Sleep(pauseBetween)
		synctest.Wait()
		if names, ends := m.pace.holds(); names != 0 || ends != 0 {
			t.Errorf("%d names and %d ends are remembered for nothing", names, ends)
		}
		if after := heap(); after > before+4<<20 {
			t.Errorf("%d KiB more than before", (after-before)/1024)
		}
		runtime.KeepAlive(names)
	})
}

// BenchmarkMDNS has a responder handle packets that ask for one name, another one each time.
func BenchmarkMDNS(b *testing.B) {
	w := newWorld(b)
	m, p := w.newMDNS(b)
	var packets [][]byte
	for _, name := range w.names(b, addr4, 1<<14) {
		packets = append(packets, pack(b, new(dns.Msg).SetQuestion(name, dns.TypeA)))
	}
	in := fromHost("10.77.1.9:5353")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		// Other IP versions and interfaces have pauses of their own.
		if in.link.index = i >> 14; i&(1<<14-1) == 0 {
			m.ports[in.link] = p
		}
		m.handle(packets[i&(1<<14-1)], in)
		if len(p.out) > 0 {
			<-p.out
		}
	}
}

// An answer that was put off until its name is no more is not given.
func TestMDNSTooLate(t *testing.T) {
	l := link{index: 1}
	for ago, want := range map[time.Duration]int{0: 1, time.Second: 1, 3 * time.Second: 0} {
		p := &port{out: make(chan *datagram, 1)}
		m := &MDNS{ports: map[link]*port{l: p}}
		m.multicast(l, &reply{name: "x.local.", answer: Answer{Answered, addr4, 2 * time.Second, nil}, address: true, asked: time.Now().Add(-ago)})
		if len(p.out) != want {
			t.Errorf("asked %v ago: %d packets, want %d", ago, len(p.out), want)
		}
	}
}
