package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

func (c *call) encryptBody(ctx context.Context) error {
	c.resolveNames(ctx)
	if err := c.encryptCandidates(); err != nil {
		return err
	}
	// The fields come after all candidates: a later text may say that an address is concealed.
	for _, t := range c.doc.texts {
		c.redactFields(t)
	}
	for _, t := range slices.Concat(c.doc.texts, c.doc.rest) {
		c.sweep(t)
	}
	return nil
}

// encryptCandidates decides what becomes of each candidate of a body. Host candidates come first, so
// that it is known which addresses are concealed when the others are looked at.
func (c *call) encryptCandidates() error {
	reports := make([][]CandidateReport, len(c.doc.texts))
	for _, hosts := range []bool{true, false} {
		for i, t := range c.doc.texts {
			if reports[i] == nil {
				reports[i] = make([]CandidateReport, len(t.desc.Candidates))
			}
			for j := range t.desc.Candidates {
				cand := &t.desc.Candidates[j]
				if isHost(t, cand) != hosts {
					continue
				}
				r, err := c.encryptCandidate(t, cand)
				if err != nil {
					return err
				}
				if r.Result == FateDropped {
					t.drop(cand)
				}
				r.Item, r.Line = t.item, cand.Line
				reports[i][j] = r
			}
		}
	}
	for _, r := range slices.Concat(reports...) {
		c.report.add(r)
	}
	for _, addr := range c.related {
		c.conceal(addr)
	}
	return nil
}

// typeOf returns the type of a candidate as policies write it.
func typeOf(t *text, cand *sdp.Candidate) string { return strings.ToLower(cand.Type.Of(t.s)) }

func isHost(t *text, cand *sdp.Candidate) bool { return typeOf(t, cand) == hostType }

// drop takes a candidate out: its line, or, if it is all of its text, the text.
func (t *text) drop(cand *sdp.Candidate) {
	t.edits = append(t.edits, edit{Span: cand.Whole})
	if t.gone = t.single; t.gone && t.element != nil {
		t.element.gone++
	}
}

func dropped(reason string) (CandidateReport, error) {
	return CandidateReport{Result: FateDropped, Reason: reason}, nil
}

func refused(reason string) (CandidateReport, error) {
	return CandidateReport{Result: FateDropped, Reason: reason, Refused: true}, nil
}

func kept(reason string) (CandidateReport, error) {
	return CandidateReport{Result: FateKept, Reason: reason}, nil
}

// candidateTypes are those that a policy can allow: RFC 8839, section 5.1.
var candidateTypes = []string{hostType, "srflx", "prflx", "relay"}

const hostType = "host"

func (c *call) encryptCandidate(t *text, cand *sdp.Candidate) (CandidateReport, error) {
	if c.count(c.sessionKey(c.ufragOf(t, cand))) > MaxCandidates {
		c.concealDropped(t, cand)
		return refused(fmt.Sprintf("it is beyond the first %d of its session", MaxCandidates))
	}
	if !slices.Contains(candidateTypes, typeOf(t, cand)) {
		c.concealDropped(t, cand)
		return dropped("its type is not known, so that no policy allows it")
	}
	if !cand.Ciphertext.Empty() || !cand.Host.Addr.IsValid() {
		return c.encryptNamed(t, cand)
	}
	return c.encryptAddress(t, cand, cand.Host.Addr, "")
}

// encryptNamed is for candidates whose connection-address is a name, or stands for a ciphertext.
func (c *call) encryptNamed(t *text, cand *sdp.Candidate) (CandidateReport, error) {
	if c.isOurs(t, cand) {
		// Its address is not concealed elsewhere in the body: whoever has a name could put guesses
		// beside it, and see which one goes. The same holds for the address of a browser's name.
		c.redactRelated(t, cand, c.decide(typeOf(t, cand), netip.Addr{}))
		return kept("it is encrypted already")
	}
	name, ok := localName(cand.Host.Of(t.s))
	if !ok {
		return dropped("its address is a name that is neither a browser's nor encrypted under a key of the ring")
	}
	if addr, ok := c.names[name]; ok {
		return c.encryptAddress(t, cand, addr, name)
	}
	c.redactRelated(t, cand, c.decide(typeOf(t, cand), netip.Addr{}))
	reason := "nobody on the client's link answered for its name"
	if c.gateway.config.Names == nil {
		reason = "browsers' names are not resolved here"
	}
	return CandidateReport{Result: FateUnresolved, Reason: reason}, nil
}

func (c *call) decide(candidateType string, addr netip.Addr) policy.Verdict {
	return c.policy.DecideCandidate(policy.Candidate{Client: c.request.Client, Type: candidateType, Addr: addr})
}

// encryptAddress is for candidates whose address is known. origin is the browser's name for it, if it
// has one.
func (c *call) encryptAddress(t *text, cand *sdp.Candidate, addr netip.Addr, origin string) (CandidateReport, error) {
	raw := origin == ""
	if !policy.Reachable(addr) {
		if raw && addr.IsLinkLocalUnicast() { // which may be made of a hardware address
			c.conceal(addr)
		}
		return dropped("no other host can reach an address of its kind")
	}
	v := c.decide(typeOf(t, cand), addr)
	switch {
	case v.Action == policy.Drop:
		if raw && isHost(t, cand) {
			c.conceal(addr)
		}
		return dropped(decidedBy(v, "drops it"))
	case v.Action == policy.Keep && !raw:
		c.redactRelated(t, cand, v)
		return kept(decidedBy(v, "keeps it: its name stays"))
	case v.Action == policy.Keep && c.concealed[addr]:
		return dropped("its address is that of a candidate that is concealed")
	case v.Action == policy.Keep:
		if c.told == nil {
			c.told = map[netip.Addr]bool{}
		}
		c.told[addr] = true
		return c.keep(t, cand, v)
	}
	if raw {
		c.conceal(addr)
	}
	return c.encrypt(t, cand, v, addr, origin)
}

// encrypt puts a name in place of the address of a candidate.
func (c *call) encrypt(t *text, cand *sdp.Candidate, v policy.Verdict, addr netip.Addr, origin string) (CandidateReport, error) {
	pwd, wrong := c.password(t, cand)
	if wrong != "" {
		return refused(wrong)
	}
	key, err := c.key(v)
	if err != nil {
		return CandidateReport{}, err
	}
	seed := origin
	if origin == "" {
		seed = c.originOf(addr)
	}
	name, err := key.Encrypt(addr, pwd, []byte(seed))
	if err != nil { // the password was looked at, and so were addresses that no suite takes
		return refused("the suite " + key.Suite().String() + " has no name for an address of its kind")
	}
	if key.Suite().NeedsPassword() {
		if wrong := c.gateway.guard.admit(key, pwd, origin, addr); wrong != "" {
			return dropped(wrong)
		}
		c.seen(name, pwd)
	}
	t.replace(cand.Host.Span, name.String()+suffix)
	c.newFoundation(t, cand, key, pwd, seed)
	c.redactRelated(t, cand, v)
	return CandidateReport{Result: FateEncrypted}, nil
}

// keep passes a candidate on with its address. Unless its related address may be told, neither may
// its foundation, which may be computed from that.
func (c *call) keep(t *text, cand *sdp.Candidate, v policy.Verdict) (CandidateReport, error) {
	if !v.KeepRelated && !isHost(t, cand) {
		key, err := c.key(v)
		if err != nil {
			return CandidateReport{}, err
		}
		if !isNewFoundation(key, cand.Foundation.Of(t.s)) {
			c.newFoundation(t, cand, key, "", c.originOf(cand.Host.Addr))
		}
	}
	c.redactRelated(t, cand, v)
	return kept(decidedBy(v, "keeps it"))
}

func decidedBy(v policy.Verdict, what string) string {
	if v.Policy == "" {
		return "no policy is for its client"
	}
	return "policy " + v.Policy + " " + what
}

// concealDropped conceals the address of a candidate that is dropped before any policy was asked: it may
// be a host's, unless the policy for hosts would tell it.
func (c *call) concealDropped(t *text, cand *sdp.Candidate) {
	addr := cand.Host.Addr
	if !policy.Reachable(addr) {
		return
	}
	mayBeHost := isHost(t, cand) || !slices.Contains(candidateTypes, typeOf(t, cand))
	if mayBeHost && c.decide(hostType, addr).Action != policy.Keep {
		c.conceal(addr)
	}
}

// conceal says that an address that stands in the body is to stand there no longer, unless a
// candidate that is kept tells it.
func (c *call) conceal(addr netip.Addr) {
	if c.told[addr] {
		return
	}
	if c.concealed == nil {
		c.concealed, c.heads = map[netip.Addr]bool{}, map[head]bool{}
	}
	c.concealed[addr] = true
	c.heads[headOf(addr.String())] = true
	c.heads[head{0, ':'}] = true // of an IPv4-mapped one
}
