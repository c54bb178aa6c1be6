package resolver

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A Zone is what encrypted names stand under.
//
// "local" is the zone of Multicast DNS. It belongs to nobody, and so has neither SOA nor NS: nss-mdns
// would take an SOA as a sign to give up Multicast DNS altogether (RFC 6762, appendix G).
// Every other zone has an SOA, and the NS records of its name servers.
type Zone struct {
	// Name is the zone's, with or without a final dot.
	Name string
	// Nameservers are the host names of the nodes that answer for the zone, as the zone above delegates it
	// to them. They stand outside of all zones, where their addresses are. Without any the zone can be
	// forwarded to candgw, and not delegated.
	Nameservers []string
}

const (
	// The fields of the SOA: RFC 1035, section 3.3.13. Nobody transfers the zone, so that only the last
	// one, which bounds how long a negative answer is kept (RFC 2308, section 4), has an effect. A name
	// that opens nowhere may open a moment later, when the key has arrived.
	soaSerial   = 1
	soaRefresh  = 3600
	soaRetry    = 600
	soaExpire   = 7 * 24 * 3600
	negativeTTL = 10 * time.Second

	nsTTL = time.Hour

	mailbox = "hostmaster." // RFC 2142, section 7
)

// A zone is a [Zone] in the forms that lookups need.
type zone struct {
	text string // lower case, without a final dot
	wire []byte // lower case, as it stands at the end of a name in a packet: RFC 1035, section 3.1
	ns   []dns.RR
	soa  *dns.SOA // nil for local
	// soaWire is the SOA after a question that ends in the zone in lower case, with its pointers counted from
	// where the zone begins there; pointers says where in it they stand.
	soaWire  []byte
	pointers []int
}

// newZones returns the zones, the longer names first: of two that contain a name, the one below counts.
func newZones(zones []Zone) ([]*zone, error) {
	var out []*zone
	for _, z := range zones {
		if err := checkZone(z.Name); err != nil {
			return nil, err
		}
		n := &zone{text: strings.ToLower(strings.TrimSuffix(z.Name, "."))}
		n.wire = make([]byte, 256)
		end, err := dns.PackDomainName(n.text+".", n.wire, 0, nil, false)
		if err != nil {
			return nil, fmt.Errorf("%q is not the name of a zone: %w", z.Name, err)
		}
		n.wire = n.wire[:end]
		if slices.ContainsFunc(out, func(o *zone) bool { return o.text == n.text }) {
			return nil, fmt.Errorf("zone %q is there twice", z.Name)
		}
		out = append(out, n)
	}
	slices.SortStableFunc(out, func(a, b *zone) int { return len(b.wire) - len(a.wire) })
	for _, z := range zones {
		n := out[slices.IndexFunc(out, func(o *zone) bool { return strings.EqualFold(o.text, strings.TrimSuffix(z.Name, ".")) })]
		if err := n.addAuthority(z.Nameservers, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// addAuthority makes the SOA and the NS records of a zone.
func (z *zone) addAuthority(nameservers []string, zones []*zone) error {
	if isLocal(z.text) {
		if len(nameservers) > 0 {
			return fmt.Errorf("zone %q has no name servers: it belongs to Multicast DNS", z.text)
		}
		return nil
	}
	header := func(rrtype uint16, ttl time.Duration) dns.RR_Header {
		return dns.RR_Header{Name: z.text + ".", Rrtype: rrtype, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
	}
	primary := z.text + "."
	for i, host := range nameservers {
		name := dns.CanonicalName(host)
		if _, ok := dns.IsDomainName(name); !ok || name == "." {
			return fmt.Errorf("zone %q: %q is not the name of a name server", z.text, host)
		}
		if in, _ := zoneOf(zones, strings.TrimSuffix(name, ".")); in != nil {
			return fmt.Errorf("zone %q: the name server %q is in the zone %q, which has no addresses of hosts: give it a name in the zone above", z.text, host, in.text)
		}
		if i == 0 {
			primary = name
		}
		z.ns = append(z.ns, &dns.NS{Hdr: header(dns.TypeNS, nsTTL), Ns: name})
	}
	z.soa = &dns.SOA{
		Hdr: header(dns.TypeSOA, negativeTTL), Ns: primary, Mbox: mailbox + z.text + ".",
		Serial: soaSerial, Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: uint32(negativeTTL / time.Second),
	}
	return z.packSOA()
}

// packSOA packs the SOA as the long way does, behind a question for a name in the zone.
func (z *zone) packSOA() error {
	const before = headerSize + 2 // the label of x
	m := new(dns.Msg).SetQuestion("x."+z.text+".", dns.TypeA)
	m.Compress = true
	m.Ns = []dns.RR{z.soa}
	packet, err := m.Pack()
	if err != nil {
		return fmt.Errorf("zone %q: the name is too long: %w", z.text, err)
	}
	z.soaWire = packet[before+len(z.wire)+4:]
	// The owner, and after type, class, TTL and length the two names of the SOA.
	at := 0
	for _, skip := range []int{0, 10, 0} {
		for at += skip; ; at += 1 + int(z.soaWire[at]) {
			if z.soaWire[at] == 0 {
				at++
				break
			}
			if p := binary.BigEndian.Uint16(z.soaWire[at:]); p >= pointer {
				binary.BigEndian.PutUint16(z.soaWire[at:], p-before)
				z.pointers = append(z.pointers, at)
				at += 2
				break
			}
		}
	}
	return nil
}

// putSOA writes the SOA into a packet whose question ends in the zone from zoneAt on. It returns false where
// the long way has to.
func (z *zone) putSOA(buf []byte, at, zoneAt int) (end int, ok bool) {
	end = at + len(z.soaWire)
	// Compression is of names in the same case; and what is longer may have to be cut.
	if !bytes.Equal(buf[zoneAt:zoneAt+len(z.wire)], z.wire) || end+optSize > dns.MinMsgSize {
		return at, false
	}
	copy(buf[at:], z.soaWire)
	for _, p := range z.pointers {
		field := buf[at+p:]
		binary.BigEndian.PutUint16(field, binary.BigEndian.Uint16(field)+uint16(zoneAt))
	}
	return end, true
}

// isLocal reports whether a zone belongs to Multicast DNS: RFC 6762, section 3.
func isLocal(zone string) bool { return zone == "local" || strings.HasSuffix(zone, ".local") }

// zoneOf returns the zone that a name without a final dot is in, nil if it is in none, and what stands
// before it.
func (r *Resolver) zoneOf(name string) (*zone, string) { return zoneOf(r.zones, name) }

func zoneOf(zones []*zone, name string) (*zone, string) {
	for _, z := range zones {
		if strings.EqualFold(name, z.text) {
			return z, ""
		}
		if at := len(name) - len(z.text) - 1; at > 0 && isDot(name, at) && strings.EqualFold(name[at+1:], z.text) {
			return z, name[:at]
		}
	}
	return nil, ""
}

// isDot reports whether there is a dot between labels at that place of a name: RFC 1035, section 5.1.
func isDot(name string, at int) bool {
	escapes := at - len(strings.TrimRight(name[:at], `\`))
	return name[at] == '.' && escapes%2 == 0
}

// CheckZones returns an error if [New] would.
func CheckZones(zones []Zone) error {
	_, err := newZones(zones)
	return err
}

func checkZone(zone string) error {
	// There must be room for the mailbox in the SOA.
	if _, ok := dns.IsDomainName(mailbox + zone); !ok || zone == "" || zone == "." {
		return fmt.Errorf("%q is not the name of a zone", zone)
	}
	return nil
}
