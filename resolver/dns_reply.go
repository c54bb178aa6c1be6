package resolver

import (
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/limit"
)

// ednsSize is the payload that fits any path without fragments (RFC 9715, section 3).
const ednsSize = 1232

// A said is what a DNS reply says of a lookup, beyond its records.
type said struct {
	result        Result
	rcode         int
	authoritative bool
}

// say returns what is said to a question of a type about a name with those labels before its zone, which is nil
// if there is none.
func say[T string | []byte](a Answer, z *zone, labels T, questionType uint16) said {
	switch a.Result {
	case Answered:
		if a.has(questionType) {
			return said{Answered, dns.RcodeSuccess, true}
		}
		return said{NoData, dns.RcodeSuccess, true} // RFC 2308, section 2.2
	case NoData:
		return said{NoData, dns.RcodeSuccess, true}
	case Unauthenticated, Revoked:
		if mayHaveNamesBelow(labels) || hasBelow(z, labels) {
			return said{a.Result, dns.RcodeSuccess, true}
		}
		return said{a.Result, dns.RcodeNameError, true}
	}
	return said{a.Result, dns.RcodeRefused, false}
}

// mayHaveNamesBelow reports whether the labels can be the last ones of a name of two or three labels. To say
// that they do not exist would say the same of every name below them (RFC 8020), and resolvers that
// minimise names (RFC 9156) ask for them first.
func mayHaveNamesBelow[T string | []byte](labels T) bool {
	const label = 32
	switch len(labels) {
	case label:
		for _, c := range []byte(labels) {
			if !isHex(c) {
				return false
			}
		}
		return true
	case 2*label + 1:
		_, err := cipher.ParseName(labels)
		return err == nil
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// reply answers any query, which is the long way. known is what the short way found out about its question,
// nil if it did not look.
func (d *DNS) reply(q *dns.Msg, c *client, known *Answer, t *tally) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Compress = true
	opts := 0
	for _, rr := range q.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			opts++
		}
	}
	fail := func(result Result, rcode int) *dns.Msg {
		t.add(result, nil)
		m.Rcode = rcode
		return m
	}
	if opts > 0 {
		m.SetEdns0(ednsSize, q.IsEdns0().Do()) // RFC 3225, section 3
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		return fail(Foreign, dns.RcodeNotImplemented)
	case len(q.Question) != 1, opts > 1: // RFC 9619; RFC 6891, section 6.1.1
		return fail(Malformed, dns.RcodeFormatError)
	case opts == 1 && q.IsEdns0().Hdr.Name != ".": // RFC 6891, section 6.1.2
		return fail(Malformed, dns.RcodeFormatError)
	case opts == 1 && q.IsEdns0().Version() != 0: // RFC 6891, section 6.1.3
		return fail(Malformed, dns.RcodeBadVers)
	}
	question := q.Question[0]
	switch question.Qtype {
	case dns.TypeAXFR, dns.TypeIXFR:
		return fail(Foreign, dns.RcodeRefused)
	case dns.TypeMAILA, dns.TypeMAILB, dns.TypeTKEY: // of no use to anybody, and not spoken
		return fail(Foreign, dns.RcodeNotImplemented)
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG: // RFC 6895, section 3.1: types that nobody asks for
		return fail(Malformed, dns.RcodeFormatError)
	}
	if question.Qclass != dns.ClassINET && question.Qclass != dns.ClassANY {
		return fail(Foreign, dns.RcodeRefused)
	}
	z, labels := d.resolver.zoneOf(strings.TrimSuffix(question.Name, "."))
	if known == nil {
		a := d.resolver.lookup(z, labels, c)
		// These are the answers that are much longer than the question.
		if a.Result == NoData && labels == "" && c.may.Rate > 0 && !d.resolver.limiter.Allow(limit.Host(c.addr), c.may.Rate, c.may.Burst, d.resolver.config.Now()) {
			a.Result = Limited
		}
		known = &a
	}
	s := say(*known, z, labels, question.Qtype)
	m.Rcode = s.rcode
	m.Authoritative = s.authoritative && question.Qclass == dns.ClassINET // RFC 1035, section 6.2
	switch {
	case s.result == Answered:
		m.Answer = []dns.RR{addressRecord(question.Name, *known)}
	case z == nil || !s.authoritative || z.soa == nil:
	case labels == "" && (question.Qtype == dns.TypeSOA || question.Qtype == dns.TypeANY): // RFC 8482, section 4.1
		m.Answer = []dns.RR{z.soaFor(question.Name)}
		s.result = Answered
	case labels == "" && question.Qtype == dns.TypeNS && len(z.ns) > 0:
		m.Answer = z.ns
		s.result = Answered
	default:
		m.Ns = []dns.RR{z.soaFor(question.Name)} // RFC 2308, section 3
	}
	t.add(s.result, known.Key)
	return m
}

// recordType returns the type of the one record that an answer has.
func (a Answer) recordType() uint16 {
	if a.Addr.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

// has reports whether a question of that type asks for the record.
func (a Answer) has(questionType uint16) bool {
	return questionType == a.recordType() || questionType == dns.TypeANY
}

// addressRecord returns the A or AAAA record of an answer.
func addressRecord(name string, a Answer) dns.RR {
	h := dns.RR_Header{Name: name, Rrtype: a.recordType(), Class: dns.ClassINET, Ttl: uint32(a.TTL / time.Second)}
	if h.Rrtype == dns.TypeA {
		return &dns.A{Hdr: h, A: a.Addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: h, AAAA: a.Addr.AsSlice()}
}
