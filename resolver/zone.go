package resolver

import (
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
	// The fields of the SOA: RFC 1035, section 3.3.13. Nobody transfers the zone, but resolvers that hold a
	// stub of it look here whether its name servers are others now; the serial is when this node started. The last
	// field bounds how long a negative answer is kept (RFC 2308, section 4): a name that opens nowhere
	// may open a moment later, when the key has arrived.
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
	// between is the labels of names that exist because there is a zone below them.
	between []string
	ns      []dns.RR
	soa     *dns.SOA // nil for local
	// soaWire is the SOA after a question that ends in the zone, with its pointers counted from where the
	// zone begins there; pointers says where in it they stand.
	soaWire  []byte
	pointers []int
}

// newZones returns the zones, the longer names first: of two that contain a name, the one below counts.
func newZones(zones []Zone, serial uint32) ([]*zone, error) {
	var out []*zone
	for _, z := range zones {
		n, err := newZone(z.Name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o *zone) bool { return o.text == n.text }) {
			return nil, fmt.Errorf("zone %q is there twice", z.Name)
		}
		if err := n.addAuthority(z.Nameservers, serial); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	slices.SortStableFunc(out, func(a, b *zone) int { return len(b.wire) - len(a.wire) })
	for _, z := range out {
		for _, ns := range z.ns {
			host := ns.(*dns.NS).Ns
			if in, _ := zoneOf(out, strings.TrimSuffix(host, ".")); in != nil {
				return nil, fmt.Errorf("zone %q: the name server %q is in the zone %q, which has no addresses of hosts: give it a name in the zone above", z.text, host, in.text)
			}
		}
		in, between := zoneOf(out, z.above())
		for in != nil && between != "" {
			in.between = append(in.between, between)
			_, between, _ = strings.Cut(between, ".")
		}
	}
	return out, nil
}

func newZone(name string) (*zone, error) {
	if err := checkZone(name); err != nil {
		return nil, err
	}
	wire := make([]byte, maxName+1)
	end, err := dns.PackDomainName(dns.Fqdn(name), wire, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("%q is not the name of a zone: %w", name, err)
	}
	wire = wire[:end]
	for i, c := range wire {
		if 'A' <= c && c <= 'Z' { // no octet that counts a label is a letter
			wire[i] += 'a' - 'A'
		}
	}
	// Names are compared as they are unpacked, whichever way this one was written.
	text, _, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		return nil, fmt.Errorf("%q is not the name of a zone: %w", name, err)
	}
	return &zone{text: strings.TrimSuffix(text, "."), wire: wire}, nil
}

// hasBelow reports whether there is a zone below the name with those labels before this one.
func hasBelow[T string | []byte](z *zone, labels T) bool {
	return slices.ContainsFunc(z.between, func(b string) bool { return len(b) == len(labels) && strings.EqualFold(b, string(labels)) })
}

// above returns the name above a zone, without a final dot; it is empty for a zone of one label.
func (z *zone) above() string {
	above, _, err := dns.UnpackDomainName(z.wire, 1+int(z.wire[0]))
	if err != nil {
		panic(err) // the whole name was unpacked
	}
	return strings.TrimSuffix(above, ".")
}

// addAuthority makes the SOA and the NS records of a zone.
func (z *zone) addAuthority(nameservers []string, serial uint32) error {
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
		if i == 0 {
			primary = name
		}
		z.ns = append(z.ns, &dns.NS{Hdr: header(dns.TypeNS, nsTTL), Ns: name})
	}
	z.soa = &dns.SOA{
		Hdr: header(dns.TypeSOA, negativeTTL), Ns: primary, Mbox: mailbox + z.text + ".",
		Serial: serial, Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: uint32(negativeTTL / time.Second),
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
	if end+optSize > dns.MinMsgSize { // it may have to be cut
		return at, false
	}
	copy(buf[at:], z.soaWire)
	for _, p := range z.pointers {
		field := buf[at+p:]
		binary.BigEndian.PutUint16(field, binary.BigEndian.Uint16(field)+uint16(zoneAt))
	}
	return end, true
}

// soaFor returns the SOA for a question, with its names in the letters of the question as far as they are the
// same, so that they are compressed in whichever case it was asked.
func (z *zone) soaFor(question string) *dns.SOA {
	soa := *z.soa
	for _, name := range []*string{&soa.Hdr.Name, &soa.Ns, &soa.Mbox} {
		if same := dns.CompareDomainName(*name, question); same > 0 {
			*name = (*name)[:tail(*name, same)] + question[tail(question, same):]
		}
	}
	return &soa
}

// tail returns where the last n labels of a name begin.
func tail(name string, n int) int {
	labels := dns.Split(name)
	return labels[len(labels)-n]
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
	_, err := newZones(zones, 0)
	return err
}

func checkZone(zone string) error {
	// There must be room for the mailbox in the SOA.
	if _, ok := dns.IsDomainName(mailbox + zone); !ok || zone == "" || zone == "." {
		return fmt.Errorf("%q is not the name of a zone", zone)
	}
	return nil
}
