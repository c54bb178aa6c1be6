package resolver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
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
		// One address record alone in the answer, and an NSEC for the family that is missing: 6.1.
		{"A", ask(v4, dns.TypeA, dns.ClassINET), onLink, []string{"id 0: " + positive4}},
		{"AAAA", ask(v6, dns.TypeAAAA, dns.ClassINET), onLink, []string{"id 0: AN AAAA 120 2001:db8:77:1::2 flush; AR NSEC 120 " + v6 + " AAAA flush"}},
		{"ANY", ask(v4, dns.TypeANY, dns.ClassINET), onLink, []string{"id 0: " + positive4}},
		{"class ANY", ask(v4, dns.TypeA, dns.ClassANY), onLink, []string{"id 0: " + positive4}},
		{"upper case", ask(strings.ToUpper(v4), dns.TypeA, dns.ClassINET), onLink, []string{"id 0: " + positive4}},
		// The missing family: nothing but an NSEC, and that not in the answer.
		{"AAAA of an IPv4 name", ask(v4, dns.TypeAAAA, dns.ClassINET), onLink, []string{"id 0: AR NSEC 120 " + v4 + " A flush"}},
		{"HTTPS", ask(v4, dns.TypeHTTPS, dns.ClassINET), onLink, []string{"id 0: AR NSEC 120 " + v4 + " A flush"}},
		// 5.4: QU; 5.5: direct unicast; 6.7: legacy, with id, question, short life and no cache-flush.
		{"QU", ask(v4, dns.TypeA, qu), onLink, []string{"unicast id 7: " + positive4}},
		{"direct unicast", ask(v4, dns.TypeA, dns.ClassINET), direct, []string{"unicast id 7: " + positive4}},
		{"legacy", ask(v4, dns.TypeA, dns.ClassINET), legacy, []string{"unicast id 7: Q " + v4 + " A; AN A 10 10.77.1.2; AR NSEC 10 " + v4 + " A"}},
		// 7.1: known answers, with more than half of their life and with less.
		{"known", known(ask(v4, dns.TypeA, dns.ClassINET), v4+" 60 IN A 10.77.1.2"), onLink, nil},
		{"known, nearly over", known(ask(v4, dns.TypeA, dns.ClassINET), v4+" 59 IN A 10.77.1.2"), onLink, []string{"id 0: " + positive4}},
		{"known wrongly", known(ask(v4, dns.TypeA, dns.ClassINET), v4+" 120 IN A 10.77.1.3"), onLink, []string{"id 0: " + positive4}},
		{"known, IPv6", known(ask(v6, dns.TypeAAAA, dns.ClassINET), v6+" 120 IN AAAA 2001:db8:77:1::2"), onLink, nil},
		{"known not to be", known(ask(v4, dns.TypeAAAA, dns.ClassINET), v4+" 120 IN NSEC "+v4+" A"), onLink, nil},
		{"known of another name", known(ask(v4, dns.TypeA, dns.ClassINET), "x.local. 120 IN A 10.77.1.2"), onLink, []string{"id 0: " + positive4}},
		// 11: off the link nobody is sent anything; the group may hear what it asked for.
		{"off-link, to the group", ask(v4, dns.TypeA, dns.ClassINET), offLink(onLink), []string{"id 0: " + positive4}},
		{"off-link, QU", ask(v4, dns.TypeA, qu), offLink(onLink), []string{"id 0: " + positive4}},
		{"off-link, legacy", ask(v4, dns.TypeA, dns.ClassINET), offLink(legacy), nil},
		{"off-link, direct unicast", ask(v4, dns.TypeA, dns.ClassINET), offLink(direct), nil},
		// One answer to one question, however often it stands in a packet.
		{"repeated", &dns.Msg{Question: slices.Repeat(ask(v4, dns.TypeA, qu).Question, 100)}, onLink, []string{"unicast id 0: " + positive4}},
		// Silence.
		{"foreign name", ask(foreign.String()+".local.", dns.TypeA, dns.ClassINET), onLink, nil},
		{"printer", ask("printer.local.", dns.TypeA, dns.ClassINET), onLink, nil},
		{"service", ask("_ipp._tcp.local.", dns.TypePTR, dns.ClassINET), onLink, nil},
		{"local itself", ask("local.", dns.TypeSOA, dns.ClassINET), onLink, nil},
		{"class CHAOS", ask(v4, dns.TypeA, dns.ClassCHAOS), onLink, nil},
		{"response", &dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Question: ask(v4, dns.TypeA, dns.ClassINET).Question}, onLink, nil},
		{"update", &dns.Msg{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeUpdate}, Question: ask(v4, dns.TypeA, dns.ClassINET).Question}, onLink, nil},
		{"error", &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}, Question: ask(v4, dns.TypeA, dns.ClassINET).Question}, onLink, nil},
		// Several questions in a packet, one of them not ours.
		{"several", &dns.Msg{Question: []dns.Question{{Name: v4, Qtype: dns.TypeA, Qclass: 1}, {Name: "x.local.", Qtype: dns.TypeA, Qclass: 1}, {Name: v4, Qtype: dns.TypeAAAA, Qclass: 1}}}, onLink,
			[]string{"id 0: " + positive4, "id 0: AR NSEC 120 " + v4 + " A flush"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, r := range w.replies(pack(t, tt.m), tt.q) {
				p, err := r.pack(true)
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
	if w.seen["mdns answered"] == 0 || w.seen["mdns unauthenticated"] == 0 {
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

// One multicast per record and second; what comes early is put off, once, and never lost: section 6.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		start := time.Now()
		var mu sync.Mutex
		var sent []string
		ask := func(r pacedRecord) {
			p.send(r, func() {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, fmt.Sprintf("%s at %v", r.name, time.Since(start)))
			})
		}
		a, b := pacedRecord{name: "a"}, pacedRecord{name: "b"}
		ask(a)
		ask(b)
		time.Sleep(100 * time.Millisecond)
		ask(a)
		ask(a)
		time.Sleep(1400 * time.Millisecond) // a was sent at 1s again
		ask(a)
		time.Sleep(5 * time.Second)
		ask(b)
		synctest.Wait()
		want := []string{"a at 0s", "b at 0s", "a at 1s", "a at 2s", "b at 6.5s"}
		if !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(p.sent) != 0 {
			t.Errorf("%d records are remembered for nothing", len(p.sent))
		}
	})
}

// An NSEC that was sent by itself a moment ago does not hold the address back, nor go out again.
func TestPacerAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		nsec, address := pacedRecord{nsec: true}, pacedRecord{}
		p.send(nsec, func() {})
		now := false
		p.send(address, func() {
			now = true
			if p.along(nsec, address) {
				t.Error("the NSEC goes out twice in one second")
			}
		})
		if !now {
			t.Error("the address waits for the NSEC")
		}
		time.Sleep(pauseBetween)
		synctest.Wait()
		if !p.along(nsec, address) {
			t.Error("a second later the NSEC may go along")
		}
	})
}

// One packet does not call for a flood, however many names it asks for.
func TestMDNSManyQuestions(t *testing.T) {
	w := newWorld(t)
	k, err := w.ring.Active(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	for i := range 100 {
		n, err := k.Encrypt(addr4, pwd, []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		m.Question = append(m.Question, dns.Question{Name: n.String() + ".local.", Qtype: dns.TypeA, Qclass: dns.ClassINET})
	}
	if got := len(w.replies(pack(t, m), onLink)); got != maxReplies {
		t.Errorf("%d replies, want %d", got, maxReplies)
	}
}

// A record that was put off while the table was full is not held back for ever.
func TestPacerFullAndPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		var sent atomic.Int32
		r := pacedRecord{name: "r"}
		ask := func() { p.send(r, func() { sent.Add(1) }) }
		ask()
		for i := range maxPaced {
			p.send(pacedRecord{name: fmt.Sprint(i)}, func() {})
		}
		ask() // put off
		time.Sleep(10 * time.Second)
		ask()
		synctest.Wait()
		if sent.Load() != 3 {
			t.Errorf("sent %d times, want 3", sent.Load())
		}
	})
}

// An answer that was put off to the end of the second goes out whole.
func TestPacerAlongPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		address, nsec := pacedRecord{name: "a"}, pacedRecord{name: "a", nsec: true}
		var along []bool
		answer := func() {
			p.send(address, func() {
				if len(along) == 0 {
					time.Sleep(time.Millisecond) // as much as there is between the two
				}
				along = append(along, p.along(nsec, address))
			})
		}
		answer()
		time.Sleep(100 * time.Millisecond)
		answer()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(along) != 2 || !along[0] || !along[1] {
			t.Errorf("the NSEC goes along: %v, want both times", along)
		}
	})
}

func TestPacerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		sent := 0
		for i := range maxPaced + 10 {
			p.send(pacedRecord{name: fmt.Sprint(i)}, func() { sent++ })
		}
		if sent != maxPaced+10 || len(p.sent) != maxPaced {
			t.Errorf("sent %d, remembers %d", sent, len(p.sent))
		}
	})
}

// Whatever comes in, what goes out is a small response about the name that was asked for.
func FuzzMDNSReplies(f *testing.F) {
	w := newWorld(f)
	v4 := w.name(f, cipher.AESUUID, addr4).String() + ".local."
	f.Add(pack(f, new(dns.Msg).SetQuestion(v4, dns.TypeA)), uint16(5353), true)
	f.Add(pack(f, new(dns.Msg).SetQuestion(v4, dns.TypeAAAA)), uint16(40000), true)
	f.Add(pack(f, &dns.Msg{Question: []dns.Question{{Name: v4, Qtype: dns.TypeANY, Qclass: topBit | 1}, {Name: "local.", Qtype: 6, Qclass: 1}}}), uint16(5353), false)
	f.Fuzz(func(t *testing.T, packet []byte, port uint16, multicast bool) {
		for _, r := range w.replies(packet, query{netip.AddrPortFrom(addr4, port), multicast, true}) {
			p, err := r.pack(true)
			if err != nil || len(p) > 512 {
				t.Fatalf("%d octets, %v", len(p), err)
			}
			var m dns.Msg
			if err := m.Unpack(p); err != nil {
				t.Fatal(err)
			}
			for _, rr := range append(m.Answer, m.Extra...) {
				if !strings.EqualFold(rr.Header().Name, v4) {
					t.Fatalf("it was not asked for %v", rr)
				}
			}
		}
	})
}
