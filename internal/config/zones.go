package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

// The rules for zones are those of resolver.New, which stands above this package, but for WrongZone's letters; a
// test holds them together.

// zones reads the list and the blocks of zones.
func (r *reader) zones(to *DNS, list *hcl.Attribute, blocks []*zoneHCL) {
	known := map[string]bool{}
	zone := func(z element) {
		name := canonical(z.text)
		switch {
		case WrongZone(z.text) != "":
			r.fail(z.at, "Not a zone", WrongZone(z.text))
		case known[name]:
			r.fail(z.at, "Zone twice", fmt.Sprintf("%q is there already, in the list zones or as a block zone: leave out one of them.", z.text))
		}
		known[name] = true
	}
	elements, ok := r.list(list, "zones", "local")
	if ok && len(elements)+len(blocks) == 0 {
		r.fail(list.Expr.Range(), "No zone", "Names stand under a zone: write one, as in [\"local\"], or leave zones out.")
	}
	if list != nil {
		to.Zones = nil
	} else {
		for _, z := range to.Zones {
			known[canonical(z)] = true
		}
	}
	for _, e := range elements {
		zone(e)
		to.Zones = append(to.Zones, e.text)
	}
	hosts := make([][]element, len(blocks))
	for i, b := range blocks {
		if isLocal(b.Name) {
			r.fail(b.Range, "Zone without name servers", fmt.Sprintf("%q belongs to Multicast DNS, and nobody delegates it: put it into the list zones.", b.Name))
		} else {
			zone(element{b.Name, b.Range})
		}
		var h zoneBodyHCL
		r.decode("zone", b.Body, &h)
		r.needs(b.Body, h.Nameservers, "nameservers", "the hosts that the zone above delegates to")
		hosts[i], ok = r.list(h.Nameservers, "names of hosts", "candgw1.corp.example")
		if ok && len(hosts[i]) == 0 {
			r.fail(h.Nameservers.Expr.Range(), "No name server", "Name the hosts that the zone above delegates to, or put the zone into the list zones, without a block.")
		}
	}
	for i, b := range blocks { // now that all zones are known
		to.Delegated = append(to.Delegated, Zone{b.Name, r.nameservers(hosts[i], known)})
	}
}

// nameservers returns the names of hosts that are in none of the zones.
func (r *reader) nameservers(hosts []element, zones map[string]bool) (out []string) {
	known := map[string]bool{}
	for _, e := range hosts {
		name := canonical(e.text)
		in := zoneAbove(name, zones)
		switch {
		case !isHost(name):
			r.fail(e.at, "Not a host", fmt.Sprintf("A name server has a name, as in \"candgw1.corp.example\", and its address stands in the zone of that: %q is none.", e.text))
		case in != "":
			r.fail(e.at, "Name server in a zone of candgw", fmt.Sprintf("In %q there are no addresses of hosts: give %q a name in the zone above.", in, e.text))
		case known[name]:
			r.fail(e.at, "Name server twice", fmt.Sprintf("%q is there already: leave it out.", e.text))
		}
		known[name] = true
		out = append(out, e.text)
	}
	return out
}

// zoneAbove returns the one of the zones that a name is in, "" if it is in none.
func zoneAbove(name string, zones map[string]bool) string {
	for {
		if zones[name] {
			return name
		}
		_, above, ok := strings.Cut(name, ".")
		if !ok {
			return ""
		}
		name = above
	}
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// WrongZone returns what to write instead of what candgw serves no zone of, "" if it does. Of the names that
// DNS allows it serves those that can be written without escapes, in an SDP, a policy or another server's
// configuration.
func WrongZone(name string) string {
	_, ok := dns.IsDomainName("hostmaster." + name) // the mailbox in its SOA
	switch {
	case strings.ContainsFunc(name, func(c rune) bool { return c != '.' && c != '_' && isNotLDH(c) }):
		hint := ""
		if label, err := idna.Lookup.ToASCII(name); err == nil {
			hint = fmt.Sprintf(" Write it in A-labels (RFC 5890, section 2.3.2.1): %q.", label)
		}
		return fmt.Sprintf("A zone has letters, digits, '-', '_' and dots, unlike %q.%s", name, hint)
	case !ok || name == "" || name == ".":
		return fmt.Sprintf("Write a domain name, as in \"local\" or \"ice.corp.example\", not %q.", name)
	}
	return ""
}

// isLocal reports whether a zone belongs to Multicast DNS: RFC 6762, section 3.
func isLocal(zone string) bool {
	name := canonical(zone)
	return name == "local" || strings.HasSuffix(name, ".local")
}
