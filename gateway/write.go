package gateway

import (
	"net/netip"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// A sealing is an address that was encrypted in this call for a candidate. For others like that one neither
// the policy is asked nor the address encrypted again.
type sealing struct {
	// What candidates that are alike have in common.
	typ, transport string
	addr           netip.Addr
	origin         string // empty for a raw address
	pwd            string

	verdict   policy.Verdict
	key       *cipher.Key
	name      cipher.Name
	extension bool   // it is written as the draft's extension of a candidate
	host      string // what stands in place of the address
}

// sealings bounds how many are remembered at a time.
const sealings = 16

// sealedBefore returns the sealing for a candidate like this one, nil if there is none.
func (c *call) sealedBefore(t *text, cand *sdp.Candidate, addr netip.Addr, origin string) *sealing {
	for i := range c.sealed {
		s := &c.sealed[i]
		if s.addr != addr || s.origin != origin || s.transport != transportOf(t, cand) || s.typ != typeOf(t, cand) ||
			s.verdict.Action != policy.Encrypt || s.verdict.Max != 0 { // which is to be counted
			continue
		}
		if pwd, wrong := c.password(t, cand); wrong == "" && s.pwd == pwd {
			return s
		}
	}
	return nil
}

// nameBefore returns the name that an address got before, if it did.
func (c *call) nameBefore(key *cipher.Key, addr netip.Addr, origin, pwd string) (cipher.Name, bool) {
	for i := range c.sealed {
		if s := &c.sealed[i]; s.addr == addr && s.key == key && s.origin == origin && s.pwd == pwd {
			return s.name, true
		}
	}
	return cipher.Name{}, false
}

// remember writes out the name of a sealing, and remembers it until there are many others.
func (c *call) remember(s sealing) *sealing {
	s.host = "0.0.0.0"
	if !s.extension {
		start := len(c.made)
		c.made = s.name.AppendText(c.made)
		c.made = append(append(c.made, '.'), s.verdict.Name.Suffix...)
		s.host = c.since(start)
	}
	if len(c.sealed) == sealings {
		c.sealed = emptied(c.sealed)
	}
	c.sealed = append(c.sealed, s)
	return &c.sealed[len(c.sealed)-1]
}

// writeName appends the edits that write an encrypted address into a candidate.
func (c *call) writeName(edits []edit, cand *sdp.Candidate, s *sealing) []edit {
	form := s.verdict.Name
	edits = describeNoMore(append(edits, edit{cand.Host.Span, s.host}), cand)
	if !form.AddrType && !form.KeyID && !s.extension {
		return edits
	}
	means, start := "dns", len(c.made)
	if s.extension {
		means = "in"
	}
	if form.AddrType {
		c.made = append(append(append(c.made, " addrtype "...), means...), family(s.addr)...)
	}
	if form.KeyID && !s.extension { // which names the key itself
		c.made = append(append(c.made, " keyid "...), s.key.ID().String()...)
	}
	if s.extension {
		e := cipher.Extension{Name: s.name, KeyID: s.key.ID(), Suite: s.key.Suite()}
		c.made = e.AppendText(append(c.made, ' '))
	}
	return append(edits, edit{sdp.Span{Start: cand.Text.End, End: cand.Text.End}, c.since(start)})
}

func family(addr netip.Addr) string {
	if addr.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// describeNoMore takes out the extensions that describe what stood in place of the address.
func describeNoMore(edits []edit, cand *sdp.Candidate) []edit {
	for _, extension := range [...]sdp.Span{cand.AddrType, cand.KeyID} {
		if !extension.Empty() {
			edits = append(edits, edit{Span: extension})
		}
	}
	return edits
}
