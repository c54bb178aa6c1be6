package resolver

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// Whatever comes in, what goes out is a small response about the name that was asked for, with one record in
// its answer section; and a question for a name that opens is answered.
func FuzzMDNSReplies(f *testing.F) {
	w := newWorld(f)
	v4 := w.name(f, cipher.AESUUID, addr4).String() + ".local."
	seeds := [][]byte{
		pack(f, new(dns.Msg).SetQuestion(v4, dns.TypeA)),
		pack(f, new(dns.Msg).SetQuestion(strings.ToUpper(v4), dns.TypeAAAA)),
		pack(f, &dns.Msg{Question: []dns.Question{{Name: v4, Qtype: dns.TypeANY, Qclass: topBit | 1}, {Name: "local.", Qtype: 6, Qclass: 1}}}),
		pack(f, &dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: []dns.RR{newRR(f, v4+" 120 IN A 10.77.1.2")}}),
		pack(f, &dns.Msg{MsgHdr: dns.MsgHdr{Truncated: true}, Question: new(dns.Msg).SetQuestion(v4, dns.TypeA).Question,
			Answer: []dns.RR{newRR(f, v4+" 59 IN A 10.77.1.2"), newRR(f, v4+" 120 IN NSEC "+v4+" A")}}),
		pack(f, &dns.Msg{Question: new(dns.Msg).SetQuestion(v4, dns.TypeANY).Question, Ns: []dns.RR{newRR(f, v4+" 120 IN A 10.77.1.3")}}),
		pack(f, thousandTypes(v4, 1)),
	}
	for _, packet := range seeds {
		f.Add(packet, uint16(5353), true, uint16(dns.TypeA), false)
		f.Add(packet, uint16(40000), true, uint16(dns.TypeAAAA), true)
		f.Add(packet, uint16(5353), false, uint16(dns.TypeANY), true)
	}
	f.Fuzz(func(t *testing.T, packet []byte, port uint16, multicast bool, kind uint16, quBit bool) {
		q := query{netip.AddrPortFrom(addr4, port), multicast, true}
		c, ok := w.hear(packet, q)
		if len(packet) > 2 && packet[2]&0x80 != 0 && (ok || len(c.replies) > 0) {
			t.Fatal("a response is answered")
		}
		checkReplies(t, c.replies, v4)

		ask := new(dns.Msg).SetQuestion(v4, kind)
		if quBit {
			ask.Question[0].Qclass |= topBit
		}
		ask.Id, ask.Truncated = port, quBit
		c, ok = w.hear(pack(t, ask), q)
		if !ok || len(c.replies) != 1 || c.others {
			t.Fatalf("%d replies to a question for type %d", len(c.replies), kind)
		}
		if r := c.replies[0]; r.address != (kind == dns.TypeA || kind == dns.TypeANY) || r.address == r.nsec || r.unicast != (quBit || !multicast || port != mdnsPort) {
			t.Fatalf("%+v for type %d", r, kind)
		}
		checkReplies(t, c.replies, v4)
	})
}

func checkReplies(t *testing.T, replies []reply, name string) {
	t.Helper()
	if len(replies) > 1 {
		t.Fatalf("%d replies about one name", len(replies))
	}
	for _, r := range replies {
		r.nsec = true // as it may go along
		p, err := r.pack()
		if err != nil || len(p) > 512 {
			t.Fatalf("%d octets, %v", len(p), err)
		}
		var m dns.Msg
		if err := m.Unpack(p); err != nil {
			t.Fatal(err)
		}
		if !m.Response || m.Rcode != 0 || len(m.Answer) > 1 || len(m.Extra) != 1 || len(m.Ns) != 0 || !r.legacy && len(m.Question) != 0 {
			t.Fatalf("no answer that a browser takes: %v", &m)
		}
		for _, rr := range append(m.Answer, m.Extra...) {
			if !strings.EqualFold(rr.Header().Name, name) {
				t.Fatalf("it was not asked for %v", rr)
			}
		}
	}
}

func newRR(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}
