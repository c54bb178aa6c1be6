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

// A reply is what the questions of a packet about one name call for.
//
// A packet of 9000 octets has room for some 200 different names in the form of ours, and each gets a packet
// of its own. More is not gained by sending them together than by sending them one by one, so nothing else
// bounds them: further questions about a name, which cost six octets each, call for nothing more.
type reply struct {
	name   string // as asked, in lower case
	answer Answer
	asked  time.Time
	// Which records are to be sent: that of the address, and the NSEC that says that there is no other.
	address, nsec bool
	unicast       bool
	legacy        bool
	defends       bool // the question is a probe
	id            uint16
	questions     []dns.Question // for legacy: one that asks for each of the two at most
}

// A call is what a packet calls for.
type call struct {
	message dns.Msg
	replies []reply
	// others says that there are questions to which this node has no answer, and others may have.
	others bool
}

// hear returns what a packet calls for, and false if that is nothing whatever comes after it. No answer is
// called for by names that do not open, or if the asker says that it has it.
func (r *Resolver) hear(packet []byte, q query) (c call, ok bool) {
	m := &c.message
	// Section 18: responses, other operations and errors are ignored in silence.
	if m.Unpack(packet) != nil {
		r.malformed()
		return c, false
	}
	if m.Response || m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess {
		return c, false
	}
	legacy := q.from.Port() != mdnsPort // section 6.7
	// Section 11: only what was sent to the group cannot have passed a router. Nor is anything sent to
	// one host that is not on the link: the address may be forged.
	if !q.onLink && (legacy || !q.multicast) {
		return c, false
	}
	t := tally{resolver: r, front: FrontMDNS}
	began := time.Now()
	defer func() { t.flush(time.Since(began)) }()
	var asked map[string]int // where the name is in replies, -1 if it is not; a single question needs none
	if len(m.Question) > 1 {
		asked = make(map[string]int)
	}
	for _, ask := range m.Question {
		if class := ask.Qclass &^ topBit; class != dns.ClassINET && class != dns.ClassANY {
			c.others = true
			continue
		}
		name := strings.ToLower(ask.Name) // section 16
		at, again := asked[name]
		if !again {
			at = -1
			a := r.Resolve(ask.Name, Asker{q.from.Addr(), true})
			if a.Result != Answered {
				t.add(a.Result, a.Key)
			} else {
				at = len(c.replies)
				c.replies = append(c.replies, reply{
					name: name, answer: a, asked: began, id: m.Id, legacy: legacy, unicast: true,
					defends: slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return strings.EqualFold(rr.Header().Name, name) }), // section 8.1
				})
			}
			if asked != nil {
				asked[name] = at
			}
		}
		if at < 0 {
			c.others = true
			continue
		}
		rep := &c.replies[at]
		kind, result := &rep.nsec, NoData // section 6.1
		if rep.answer.has(ask.Qtype) {
			kind, result = &rep.address, Answered
		}
		if !*kind {
			*kind = true
			t.add(result, rep.answer.Key)
			if legacy {
				rep.questions = append(rep.questions, ask)
			}
		}
		// Sections 5.4 and 5.5. The first would rather have a record multicast that was not for a while, to
		// keep the caches of all hosts on the link up to date and to find conflicts. Nobody but the asker
		// has a use for an encrypted name and nobody else can have made it, so that he alone is answered.
		rep.unicast = rep.unicast && (legacy || ask.Qclass&topBit != 0 && q.onLink || !q.multicast)
	}
	c.replies = unknown(c.replies, m.Answer)
	return c, true
}

func (r *Resolver) malformed() { r.config.Metrics.Lookups(FrontMDNS, Malformed, nil, 1) }

// unknown takes from replies, in place, what the asker says that it knows.
func unknown(replies []reply, records []dns.RR) []reply {
	left := replies[:0]
	for _, r := range replies {
		if r.drop(records); r.address || r.nsec {
			left = append(left, r)
		}
	}
	return left
}

// drop takes from a reply the records that the asker knows for at least half their life: section 7.1.
func (r *reply) drop(records []dns.RR) {
	for _, known := range records {
		h := known.Header()
		if h.Class&^topBit != dns.ClassINET || time.Duration(h.Ttl)*time.Second < r.answer.TTL/2 || !strings.EqualFold(h.Name, r.name) {
			continue
		}
		switch k := known.(type) {
		case *dns.A:
			r.address = r.address && !(r.answer.Addr.Is4() && k.A.Equal(r.answer.Addr.AsSlice()))
		case *dns.AAAA:
			r.address = r.address && !(r.answer.Addr.Is6() && k.AAAA.Equal(r.answer.Addr.AsSlice()))
		case *dns.NSEC: // what it says is the next name is of no meaning: section 6.1
			r.nsec = r.nsec && !slices.Equal(k.TypeBitMap, []uint16{r.answer.recordType()})
		}
	}
}

// pack returns the packet of a reply. With an address record the answer section holds nothing else, nor are
// replies put together (section 6.4), because Firefox drops a query whose answer holds more; for the same
// reason the NSEC that denies the other family, without which Chromium waits for seconds, is always an
// additional record.
func (r *reply) pack() ([]byte, error) {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}}
	a, flush := r.answer, uint16(topBit)
	name := r.name
	if r.unicast {
		m.Id = r.id // section 18.1
	}
	if r.legacy { // section 6.7
		flush = 0
		a.TTL = min(a.TTL, legacyTTL)
		m.Question = r.questions
		name = r.questions[0].Name
	}
	rr := addressRecord(name, a)
	rr.Header().Class |= flush
	if r.address {
		m.Answer = []dns.RR{rr}
	}
	if r.nsec || r.unicast { // section 6.1
		m.Extra = []dns.RR{&dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: rr.Header().Class, Ttl: rr.Header().Ttl},
			NextDomain: name,
			TypeBitMap: []uint16{rr.Header().Rrtype},
		}}
	}
	return m.Pack()
}
