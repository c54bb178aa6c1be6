package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
	"github.com/hashicorp/hcl/v2"
)

const (
	// maxWhere bounds the pairs of a network in clients and an origin: each is an entry of a table.
	maxWhere = 4 << 20
	// maxReach bounds the work of finding policies that are never reached, which is done anew for every
	// origin.
	maxReach = 16 << 20
)

// compile makes the set of what was read, and warns of policies that do not decide what they say.
func (r *reader) compile() *Set {
	s := &Set{policies: make([]rule, len(r.rules))}
	var anywhere, asks []member
	at := map[Origin][]member{}
	pairs := 0
	for i, p := range r.rules {
		s.policies[i] = p.rule
		m := member{index(i + 1), p.anyClient, p.clients}
		if p.anyOrigin {
			anywhere = append(anywhere, m)
		}
		for _, o := range p.origins {
			at[o] = append(at[o], m)
			if pairs += len(p.clients) + 1; pairs > maxWhere {
				r.fail(p.at, "Too many clients and origins", fmt.Sprintf("All policies together have at most %d pairs of a network in clients and an origin.", maxWhere))
				return nil
			}
		}
		if p.asks {
			asks = append(asks, member{m.number, p.anyAsker, p.askers})
		}
		if p.ownLinks && s.ownLinks == none {
			s.ownLinks = m.number
		}
		if suffix := p.unknown.Name.Suffix; !slices.Contains(s.suffixes, suffix) {
			s.suffixes = append(s.suffixes, suffix)
		}
		if suite := p.unknown.Name.Suite; !slices.Contains(s.suites, suite) {
			s.suites = append(s.suites, suite)
		}
	}
	signaling, atOrigins, lookups, unused := newReach(len(r.rules)), newReach(len(r.rules)), newReach(len(r.rules)), newReach(len(r.rules))
	s.signals = byOrigin{tableOf(anywhere, signaling), map[Origin]*firstMatch{}}
	atOrigins.decides = signaling.decides
	work := len(at) * countNetworks(anywhere)
	for _, o := range slices.Sorted(maps.Keys(at)) {
		m := tableOf(at[o], unused)
		s.signals.at[o] = &m
		if work <= maxReach {
			tableOf(append(slices.Clip(anywhere), at[o]...), atOrigins)
			continue
		}
		for _, m := range at[o] { // as far as is known
			signaling.decides[m.number] = true
		}
	}
	for i, p := range r.rules { // what a policy that asks for no origin is missing at one is not missing
		if number := index(i + 1); !p.anyOrigin {
			if shadow, ok := atOrigins.shadows[number]; ok {
				signaling.shadows[number] = shadow
			}
		}
	}
	s.asks = tableOf(asks, lookups)
	for i, p := range r.rules {
		if p.ownLinks {
			lookups.note(index(i+1), first(s.asks.everyone, s.ownLinks))
		}
	}
	r.warnOfReach(signaling, lookups)
	return s
}

// A member is a policy among those of a table, and whom it is for there.
type member struct {
	number   index
	everyone bool // known or not
	networks writtenList
}

func countNetworks(members []member) (n int) {
	for _, m := range members {
		n += len(m.networks) + 1
	}
	return n
}

// A reach is where policies decide.
type reach struct {
	decides []bool // by index
	shadows map[index]shadow
}

// note takes down that a policy would decide on everything, were it not for another one before it.
func (f *reach) note(number, decides index) {
	if number <= decides {
		f.decides[number] = true
	} else if _, ok := f.shadows[number]; !ok {
		f.shadows[number] = shadow{by: decides}
	}
}

// A shadow is the first network of a policy for which one before it decides.
type shadow struct {
	network writtenNetwork
	by      index
}

func newReach(policies int) *reach {
	return &reach{make([]bool, policies+1), map[index]shadow{}}
}

var everything = writtenList{
	{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)},
	{Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0)},
}

// tableOf makes the table of some policies, and notes where they decide.
//
// Networks come in the order of their addresses, and of those that begin alike the larger first: so
// each comes right after those that hold it, which are on a stack, and before those that it holds.
func tableOf(members []member, found *reach) firstMatch {
	type entry struct {
		*writtenNetwork
		number index
	}
	var entries []entry
	var out firstMatch
	for _, m := range members {
		if m.everyone {
			out.everyone = first(out.everyone, m.number)
			m.networks = everything
		}
		for i := range m.networks {
			entries = append(entries, entry{&m.networks[i], m.number})
		}
	}
	found.decides[out.everyone] = true // for those who are not known
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), cmp.Compare(a.number, b.number))
	})
	shade := func(number, by index, network *writtenNetwork) {
		if _, ok := found.shadows[number]; !ok {
			found.shadows[number] = shadow{*network, by}
		}
	}
	var stack []span
	pop := func() {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch {
		case !top.covered():
			found.decides[top.decides] = true
		case top.decides == top.number && !top.inside:
			shade(top.number, top.by, top.writtenNetwork)
		}
	}
	for _, e := range entries {
		for len(stack) > 0 && !stack[len(stack)-1].Contains(e.Addr()) {
			pop()
		}
		decides := e.number
		if len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.decides < e.number {
				decides = top.decides
				shade(e.number, decides, e.writtenNetwork)
			}
			if top.Prefix == e.Prefix {
				continue
			}
			top.cover(e.Prefix, decides)
		}
		if out.networks == nil {
			out.networks = new(bart.Table[index])
		}
		out.networks.Insert(e.Prefix, decides)
		stack = append(stack, span{writtenNetwork: e.writtenNetwork, number: e.number, decides: decides, next: e.Addr()})
	}
	for len(stack) > 0 {
		pop()
	}
	return out
}

// A span is a network on its way through tableOf.
type span struct {
	*writtenNetwork
	number, decides index
	next            netip.Addr // the first address after the networks inside it, as long as they leave none out
	gap             bool
	inside          bool  // the same policy decides for a network inside
	by              index // another one that does
}

// cover notes a network inside and what decides for it; they come in order.
func (s *span) cover(n netip.Prefix, decides index) {
	s.gap = s.gap || n.Addr() != s.next
	s.next = lastOf(n).Next()
	s.inside = s.inside || decides == s.decides
	s.by = first(s.by, decides)
}

// covered reports whether the networks inside leave no address out.
func (s *span) covered() bool { return !s.gap && s.next == lastOf(s.Prefix).Next() }

// lastOf returns the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	octets := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		octets[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(octets)
	return last
}

func (r *reader) warnOfReach(signaling, lookups *reach) {
	for i, p := range r.rules {
		number := index(i + 1)
		answers := p.asker.rule != nil
		switch {
		case !signaling.decides[number]:
			r.warn(p.at, "Policy is never reached", r.whyNever(number, signaling, !p.anyClient && len(p.clients) == 0 || !p.anyOrigin && len(p.origins) == 0))
		case p.anyOrigin:
			r.warnOfShadow(number, signaling)
		}
		switch {
		case answers && !lookups.decides[number]:
			r.warn(p.resolveAt, "Lookups are never reached", r.whyNever(number, lookups, !p.anyAsker && len(p.askers) == 0))
		case answers && p.ownAskers:
			r.warnOfShadow(number, lookups)
		}
	}
}

// whyNever tells why a policy never decides. It may be for nobody to begin with.
func (r *reader) whyNever(number index, found *reach, nobody bool) string {
	shadow, ok := found.shadows[number]
	switch {
	case ok:
		by := r.rules[shadow.by-1]
		return fmt.Sprintf("For everyone that it is for a policy before it decides, as %q does (%s:%d). Move this one up, or leave it out.", by.name, by.at.Filename, by.at.Start.Line)
	case nobody:
		return "It is for nobody: a list of it is empty. Write whom it is for, or leave it out."
	}
	return "For everyone that it is for a policy before it decides. Move this one up, or leave it out."
}

// warnOfShadow warns of a network for which a policy is written, and another one decides. Of networks that
// have a name, which come all together, and of everyone, some may well be another policy's.
func (r *reader) warnOfShadow(number index, found *reach) {
	shadow, ok := found.shadows[number]
	n := shadow.network
	if !ok || n.at == (hcl.Range{}) || !n.literal && isNamed(n.Prefix) {
		return
	}
	by := r.rules[shadow.by-1]
	r.warn(n.at, "Policies overlap", fmt.Sprintf("For %v a policy before this one decides, as %q does (%s:%d). Move this one up, or leave the network out.", n.Prefix, by.name, by.at.Filename, by.at.Start.Line))
}

// isNamed reports whether a network is one of those that have a name in policies.
func isNamed(n netip.Prefix) bool {
	return slices.Contains(privateNetworks, n.String()) || slices.Contains(loopbackNetworks, n.String())
}
