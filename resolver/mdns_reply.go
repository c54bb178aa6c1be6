package resolver

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// The top bit of a class: in a question it asks for a unicast response (RFC 6762, section 5.4), in
	// a record it flushes caches (section 10.2).
	topBit = 1 << 15

	// legacyTTL bounds what a resolver that knows no Multicast DNS may cache, section 6.7.
	legacyTTL = 10 * time.Second
)

// A query says where a packet came from, and how.
type query struct {
	from      netip.AddrPort
	multicast bool // it was sent to the group, not to this host
	onLink    bool // the sender's address is of a network of the link
}

// maxReplies bounds what one packet calls for; browsers ask one or two questions a packet.
const maxReplies = 32

// A reply is what one question calls for.
type reply struct {
	name    string // as asked, in lower case
	answer  Answer
	has     bool // the record that was asked for exists; else it is said that it does not
	unicast bool
	legacy  bool
	id      uint16
	ask     dns.Question
}

// replies returns what a packet calls for: nothing for packets that are no queries, for names that do
// not open, and for what the asker says that it knows.
func (r *Resolver) replies(packet []byte, q query) []reply {
	var m dns.Msg
	// Section 18: responses, other operations and errors are ignored in silence.
	if m.Unpack(packet) != nil || m.Response || m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess {
		return nil
	}
	legacy := q.from.Port() != mdnsPort // section 6.7
	// Section 11: only what was sent to the group cannot have passed a router. Nor is anything sent to
	// one host that is not on the link: the address may be forged.
	if !q.onLink && (legacy || !q.multicast) {
		return nil
	}
	t := tally{resolver: r, front: FrontMDNS}
	began := time.Now()
	defer func() { t.flush(time.Since(began)) }()
	var out []reply
	for i, ask := range m.Question {
		if slices.ContainsFunc(m.Question[:i], func(q dns.Question) bool {
			return q.Qtype == ask.Qtype && q.Qclass == ask.Qclass && strings.EqualFold(q.Name, ask.Name)
		}) || len(out) == maxReplies {
			continue
		}
		if class := ask.Qclass &^ topBit; class != dns.ClassINET && class != dns.ClassANY {
			continue
		}
		a := r.Resolve(ask.Name, Asker{q.from.Addr(), true})
		result := a.Result
		if result == Answered && !a.has(ask.Qtype) {
			result = NoData
		}
		t.add(result, a.Key)
		if a.Result != Answered {
			continue
		}
		rep := reply{
			name: strings.ToLower(ask.Name), answer: a, id: m.Id, ask: ask, legacy: legacy,
			has:     a.has(ask.Qtype),
			unicast: legacy || ask.Qclass&topBit != 0 && q.onLink || !q.multicast,
		}
		if !rep.knownTo(&m) {
			out = append(out, rep)
		}
	}
	return out
}

// knownTo reports whether the packet says that the asker has the answer for at least half its
// life: section 7.1.
func (r *reply) knownTo(m *dns.Msg) bool {
	for _, known := range m.Answer {
		h := known.Header()
		if !strings.EqualFold(h.Name, r.name) || time.Duration(h.Ttl)*time.Second < r.answer.TTL/2 {
			continue
		}
		switch k := known.(type) {
		case *dns.A:
			if addr, ok := netip.AddrFromSlice(k.A.To4()); r.has && ok && addr == r.answer.Addr {
				return true
			}
		case *dns.AAAA:
			if addr, ok := netip.AddrFromSlice(k.AAAA); r.has && ok && addr == r.answer.Addr {
				return true
			}
		case *dns.NSEC:
			if !r.has {
				return true
			}
		}
	}
	return false
}

// pack returns the packet of a reply. With an address record the answer section holds nothing else,
// because Firefox drops a query whose answer holds more; for the same reason the NSEC that denies the
// other family, without which Chromium waits for seconds, is always an additional record.
func (r *reply) pack(withNSEC bool) ([]byte, error) {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}}
	a, flush := r.answer, uint16(topBit)
	name := r.name
	if r.unicast {
		m.Id = r.id // section 18.1
	}
	if r.legacy { // section 6.7
		flush = 0
		a.TTL = min(a.TTL, legacyTTL)
		m.Question = []dns.Question{r.ask}
		name = r.ask.Name
	}
	rr := addressRecord(name, a)
	rr.Header().Class |= flush
	if r.has {
		m.Answer = []dns.RR{rr}
	}
	if withNSEC { // section 6.1
		m.Extra = []dns.RR{&dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: rr.Header().Class, Ttl: rr.Header().Ttl},
			NextDomain: name,
			TypeBitMap: []uint16{rr.Header().Rrtype},
		}}
	}
	return m.Pack()
}
