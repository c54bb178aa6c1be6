package gateway

import (
	"net/netip"
	"slices"

	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// concealDropped conceals the address of a candidate that is dropped before any policy was asked: it may
// be a host's, unless the policy for hosts would tell it.
func (c *call) concealDropped(t *text, cand *sdp.Candidate) {
	addr := cand.Host.Addr
	if !policy.Reachable(addr) {
		return
	}
	mayBeHost := isHost(t, cand) || !slices.Contains(candidateTypes[:], typeOf(t, cand))
	if mayBeHost && !c.tellsHosts(addr) {
		c.conceal(addr)
	}
}

// conceal says that an address that stands in the body is to stand there no longer, unless a
// candidate that is kept tells it.
func (c *call) conceal(addr netip.Addr) {
	if c.told[addr] {
		return
	}
	if c.concealed[addr] {
		return
	}
	c.concealed[addr] = true
	var text [len(longestAddr)]byte
	c.heads.add(headOf(view(addr.AppendTo(text[:0]))))
	c.heads.add(head{0, ':'}) // of an IPv4-mapped one
}

// hide conceals an address once it is known which addresses are told.
func (c *call) hide(addr netip.Addr) {
	if addr.IsValid() {
		c.hidden = append(c.hidden, addr)
	}
}

// tell says that a candidate tells an address.
func (c *call) tell(addr netip.Addr) {
	c.told[addr] = true
}
