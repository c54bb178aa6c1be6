package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

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
	for _, t := range c.doc.texts {
		c.sweep(t)
	}
	if len(c.concealed)+len(c.foundations) > 0 {
		c.doc.sweepOthers(c.sweep)
	}
	// Copies come last, so that nothing is told in them that is not told in what they are copies of.
	for _, t := range c.doc.texts {
		t.putBesides()
	}
	return nil
}

// encryptCandidates decides what becomes of each candidate of a body. Host candidates come first, so
// that it is known which addresses are concealed when the others are looked at.
func (c *call) encryptCandidates() error {
	c.tellHosts()
	c.concealHosts()
	reports := c.reports()
	for _, hosts := range [...]bool{true, false} {
		next, alike, seen := 0, 0, 0
		for _, t := range c.doc.texts {
			for i := range t.desc.Candidates {
				cand, r := &t.desc.Candidates[i], &reports[next]
				next++
				if isHost(t, cand) != hosts {
					continue
				}
				if alike == 0 { // they are counted together, which saves time
					alike = t.countAlike(i)
					seen = c.count(t, cand, allSeen, alike) - alike
				}
				seen, alike = seen+1, alike-1
				var err error
				if *r, err = c.encryptCandidate(t, cand, seen); err != nil {
					return err
				}
				if r.Result == FateDropped {
					t.drop(cand)
					c.hide(cand.Related.Addr)
				}
				r.locate(t, cand)
			}
		}
		for _, addr := range c.hidden {
			c.conceal(addr)
		}
	}
	c.report.count()
	return nil
}

// countAlike counts the candidates from one on that are of the same session, and hosts or not as that is,
// up to the first that is of another session.
func (t *text) countAlike(from int) (n int) {
	first := &t.desc.Candidates[from]
	for i := from; i < len(t.desc.Candidates); i++ {
		cand := &t.desc.Candidates[i]
		if isHost(t, cand) != isHost(t, first) {
			continue
		}
		if t.ufragOf(cand) != t.ufragOf(first) {
			break
		}
		n++
	}
	return n
}

// tellHosts finds the addresses of hosts that the policy tells in one candidate, though it may conceal
// them in another: of one transport, for instance. The order of candidates must not matter.
func (c *call) tellHosts() {
	if !c.hostsTold {
		return
	}
	for _, t := range c.doc.texts {
		for i := range t.desc.Candidates {
			cand := &t.desc.Candidates[i]
			addr := cand.Host.Addr
			if !isHost(t, cand) || !cand.Ciphertext.Empty() || !policy.Reachable(addr) {
				continue
			}
			if t.tells(c.decide(t, cand, addr)) {
				c.tell(addr)
			}
		}
	}
}

// concealHosts conceals the further addresses of the endpoint that the policy would not tell in a candidate.
func (c *call) concealHosts() {
	for _, addr := range c.request.Hosts {
		addr = endpoint(addr)
		if addr.IsLinkLocalUnicast() || policy.Reachable(addr) && !c.tellsHosts(addr) {
			c.conceal(addr)
		}
	}
}

// tells reports whether an address is still told after a verdict: what is to be augmented is encrypted only
// where there is no room for two.
func (t *text) tells(v policy.Verdict) bool {
	return v.Action.Tells() && (v.Action != policy.Augment || t.hasRoomBeside())
}

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

// refusedUnder is refused for what a policy has encrypted.
func refusedUnder(v policy.Verdict, reason string) (CandidateReport, error) {
	return CandidateReport{Result: FateDropped, Reason: reason, Refused: true, By: v.By}, nil
}

func refused(reason string) (CandidateReport, error) {
	return CandidateReport{Result: FateDropped, Reason: reason, Refused: true}, nil
}

// decided reports what a policy did, with what there is to say besides.
func decided(v policy.Verdict, fate Fate, besides string) (CandidateReport, error) {
	reason := ""
	switch {
	case v.By == nil:
		reason = string(fate) + ": no policy matches"
	case besides != "":
		reason = fmt.Sprintf("%s by %s: %s", fate, v.By.Rule(), besides)
	case fate != FateEncrypted && fate != FateAugmented: // which need no reason
		reason = fmt.Sprintf("%s by %s", fate, v.By.Rule())
	}
	return CandidateReport{Result: fate, Reason: reason, By: v.By}, nil
}

// candidateTypes are those that a policy can allow: RFC 8839, section 5.1.
var candidateTypes = [...]string{hostType, "srflx", "prflx", "relay"}

const hostType = "host"

// encryptCandidate decides what becomes of a candidate. seen is how many of its session have been seen, this
// one included.
func (c *call) encryptCandidate(t *text, cand *sdp.Candidate, seen int) (CandidateReport, error) {
	if seen > MaxCandidates {
		c.concealDropped(t, cand)
		return refused(fmt.Sprintf("it is beyond the first %d of its session", MaxCandidates))
	}
	if !slices.Contains(candidateTypes[:], typeOf(t, cand)) {
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
	ours := c.isOurs(t, cand)
	if !ours {
		name, ok := localName(cand.Host.Of(t.s))
		if !ok {
			return dropped("its address is a name that is neither a browser's nor encrypted under a key of the ring")
		}
		if addr := c.names[name]; addr.IsValid() {
			return c.encryptAddress(t, cand, addr, name)
		}
	}
	// The address that the policy asks for is not known, or not to be asked for: whoever has an
	// encrypted name could put guesses beside it, and see which one goes.
	v := c.decide(t, cand, netip.Addr{})
	if v.Action == policy.Drop {
		return decided(v, FateDropped, "")
	}
	if r := c.bounded(t, cand, v); r != nil {
		return *r, nil
	}
	c.redactRelated(t, cand, v)
	switch {
	case ours:
		return CandidateReport{Result: FateKept, Reason: "it is encrypted already", By: v.By}, nil
	case c.gateway.config.Names == nil:
		return CandidateReport{Result: FateUnresolved, Reason: "browsers' names are not resolved here", By: v.By}, nil
	}
	return CandidateReport{Result: FateUnresolved, Reason: "nobody on the client's link answered for its name", By: v.By}, nil
}

// decide asks the policy what becomes of a candidate, of which addr is the address.
func (c *call) decide(t *text, cand *sdp.Candidate, addr netip.Addr) policy.Verdict {
	return c.policy.DecideCandidate(policy.Candidate{
		Client: c.request.Client, Origin: c.request.Origin,
		Type: typeOf(t, cand), Transport: transportOf(t, cand), Addr: addr,
	})
}

// tellsHosts reports whether the policy tells an address if it is a host's.
func (c *call) tellsHosts(addr netip.Addr) bool {
	if !c.hostsTold {
		return false
	}
	v := c.policy.DecideCandidate(policy.Candidate{
		Client: c.request.Client, Origin: c.request.Origin, Type: hostType, Transport: "udp", Addr: addr,
	})
	return v.Action.Tells()
}

// bounded counts a candidate of a type that its policy bounds, and returns a report if it does not pass. It
// is to be known of which session it is, or the bound would hold for nothing.
func (c *call) bounded(t *text, cand *sdp.Candidate, v policy.Verdict) *CandidateReport {
	if v.Max == 0 {
		return nil
	}
	var r CandidateReport
	if _, wrong := c.password(t, cand); wrong != "" {
		r, _ = refusedUnder(v, wrong)
		return &r
	}
	if c.count(t, cand, 1+slices.Index(candidateTypes[:], typeOf(t, cand)), 1) <= v.Max {
		return nil
	}
	besides := fmt.Sprintf("%d of its type pass in a session, and this is one more", v.Max)
	r, _ = decided(policy.Verdict{By: v.MaxBy}, FateDropped, besides)
	return &r
}

// encryptAddress is for candidates whose address is known. origin is the browser's name for it, if it
// has one.
func (c *call) encryptAddress(t *text, cand *sdp.Candidate, addr netip.Addr, origin string) (CandidateReport, error) {
	if s := c.sealedBefore(t, cand, addr, origin); s != nil {
		return c.putSealed(t, cand, s)
	}
	raw := origin == ""
	if !policy.Reachable(addr) {
		if raw && addr.IsLinkLocalUnicast() { // which may be made of a hardware address
			c.conceal(addr)
		}
		return dropped("no other host can reach an address of its kind")
	}
	v := c.decide(t, cand, addr)
	if v.Action == policy.Drop {
		if raw {
			c.hide(addr)
		}
		return decided(v, FateDropped, "")
	}
	if r := c.bounded(t, cand, v); r != nil {
		if raw {
			c.hide(addr)
		}
		return *r, nil
	}
	tells := t.tells(v)
	switch {
	case tells && raw && c.concealed[addr]:
		return dropped("its address is that of a candidate that is concealed")
	case tells && (raw || v.Action == policy.Reveal):
		c.tell(addr)
	case raw:
		c.conceal(addr)
	}
	switch {
	case v.Action == policy.Reveal && !raw:
		return c.reveal(t, cand, v, addr)
	case v.Action == policy.Keep, v.Action == policy.Reveal:
		return c.keep(t, cand, v, raw)
	}
	return c.encrypt(t, cand, v, addr, origin)
}

// encrypt puts a name in place of the address of a candidate, or the candidate with the name beside it.
func (c *call) encrypt(t *text, cand *sdp.Candidate, v policy.Verdict, addr netip.Addr, origin string) (CandidateReport, error) {
	pwd, wrong := c.password(t, cand)
	if wrong != "" {
		return refusedUnder(v, wrong)
	}
	key, extension, err := c.activeKey(v)
	if err != nil {
		return CandidateReport{}, err
	}
	name, ok := c.nameBefore(key, addr, origin, pwd)
	if !ok {
		if name, err = key.Encrypt(addr, pwd, c.seedOf(addr, origin)); err != nil {
			// The password was looked at, and so were addresses that no suite takes.
			return refusedUnder(v, "the suite "+key.Suite().String()+" has no name for an address of its kind")
		}
		if key.Suite().NeedsPassword() {
			if wrong := c.gateway.guard.admit(key, pwd, origin, addr); wrong != "" {
				return CandidateReport{Result: FateDropped, Reason: wrong, By: v.By}, nil
			}
			c.seen(name, pwd)
		}
	}
	s := c.remember(sealing{
		typ: typeOf(t, cand), transport: transportOf(t, cand), addr: addr, origin: origin, pwd: pwd,
		verdict: v, extension: extension, key: key, name: name,
	})
	if !t.tells(v) {
		return c.putSealed(t, cand, s)
	}
	old := cand.Foundation.Of(t.s) // of what is encrypted, only an augmented one tells as well
	if isNewFoundation(key, old) {
		c.redactRelated(t, cand, v)
		return CandidateReport{Result: FateKept, Reason: "it is augmented already", By: v.By}, nil
	}
	t.replace(cand.Foundation, c.newFoundation(old, key, pwd, addr, origin))
	c.redactRelated(t, cand, v)
	t.besides = append(t.besides, besideOf{cand, c.writeName(nil, cand, s)})
	return decided(v, FateAugmented, "")
}

// putSealed writes an encrypted address into a candidate.
func (c *call) putSealed(t *text, cand *sdp.Candidate, s *sealing) (CandidateReport, error) {
	t.replace(cand.Foundation, c.newFoundation(cand.Foundation.Of(t.s), s.key, s.pwd, s.addr, s.origin))
	c.redactRelated(t, cand, s.verdict)
	t.edits = c.writeName(t.edits, cand, s)
	if s.verdict.Action == policy.Augment {
		return decided(s.verdict, FateEncrypted, "there is no place for a second candidate beside it")
	}
	return decided(s.verdict, FateEncrypted, "")
}

// keep passes a candidate on with its address. Unless its related address may be told, neither may
// its foundation, which may be computed from that.
func (c *call) keep(t *text, cand *sdp.Candidate, v policy.Verdict, raw bool) (CandidateReport, error) {
	if raw && !v.KeepRelated && !isHost(t, cand) {
		key, _, err := c.activeKey(v)
		if err != nil {
			return CandidateReport{}, err
		}
		if old := cand.Foundation.Of(t.s); !isNewFoundation(key, old) {
			t.replace(cand.Foundation, c.newFoundation(old, key, "", cand.Host.Addr, ""))
		}
	}
	c.redactRelated(t, cand, v)
	return decided(v, FateKept, "")
}

// reveal puts an address in place of a browser's name for it.
func (c *call) reveal(t *text, cand *sdp.Candidate, v policy.Verdict, addr netip.Addr) (CandidateReport, error) {
	t.replace(cand.Host.Span, addr.String())
	t.edits = describeNoMore(t.edits, cand)
	c.redactRelated(t, cand, v)
	return decided(v, FateRevealed, "")
}
