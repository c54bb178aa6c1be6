package gateway

import (
	"net/netip"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// encryptCandidates decides what becomes of each candidate of a text. Host candidates come first, so
// that it is known which addresses are concealed when the others are looked at.
func (c *call) encryptCandidates(t *text) error {
	reports := make([]CandidateReport, len(t.desc.Candidates))
	for _, hosts := range []bool{true, false} {
		for i := range t.desc.Candidates {
			cand := &t.desc.Candidates[i]
			if strings.EqualFold(cand.Type.Of(t.s), "host") != hosts {
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
			reports[i] = r
		}
	}
	for _, r := range reports {
		c.report.add(r)
	}
	return nil
}

// drop takes a candidate out: its line, or, if it is all of its text, the text.
func (t *text) drop(cand *sdp.Candidate) {
	t.gone = t.single
	t.edits = append(t.edits, edit{Span: cand.Whole})
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

func (c *call) encryptCandidate(t *text, cand *sdp.Candidate) (CandidateReport, error) {
	if !c.gateway.sessions.admit(c.sessionKey(c.ufragOf(t, cand))) {
		return refused("it is beyond the first 64 of its session")
	}
	if !cand.Ciphertext.Empty() || !cand.Host.Addr.IsValid() {
		return c.encryptNamed(t, cand)
	}
	return c.encryptAddress(t, cand, cand.Host.Addr, "")
}

// encryptNamed is for candidates whose connection-address is a name, or stands for a ciphertext.
func (c *call) encryptNamed(t *text, cand *sdp.Candidate) (CandidateReport, error) {
	if c.isOurs(t, cand) {
		return kept("it is encrypted already")
	}
	name, ok := localName(cand.Host.Of(t.s))
	if !ok {
		return dropped("its address is a name that is neither a browser's nor encrypted under a key of the ring")
	}
	if addr, ok := c.names[name]; ok {
		return c.encryptAddress(t, cand, addr, name)
	}
	c.redactRelated(t, cand, c.decide(cand, t, netip.Addr{}))
	return CandidateReport{Result: FateUnresolved, Reason: "nobody on the client's link answered for its name"}, nil
}

func (c *call) decide(cand *sdp.Candidate, t *text, addr netip.Addr) policy.Verdict {
	return c.policy.DecideCandidate(policy.Candidate{
		Client: c.request.Client, Type: strings.ToLower(cand.Type.Of(t.s)), Addr: addr,
	})
}

// encryptAddress is for candidates whose address is known. origin is the browser's name for it, if it
// has one.
func (c *call) encryptAddress(t *text, cand *sdp.Candidate, addr netip.Addr, origin string) (CandidateReport, error) {
	if !serves(addr) {
		if addr.IsLinkLocalUnicast() { // which may be made of a hardware address
			c.conceal(addr)
		}
		return dropped("no other host can reach an address of its kind")
	}
	v := c.decide(cand, t, addr)
	isHost := strings.EqualFold(cand.Type.Of(t.s), "host")
	switch {
	case v.Action == policy.Drop:
		if isHost {
			c.conceal(addr)
		}
		return dropped(decidedBy(v, "drops it"))
	case v.Action == policy.Keep && origin != "":
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
	c.conceal(addr)
	pwd, wrong := c.password(t, cand)
	if wrong != "" {
		return refused(wrong)
	}
	suite, err := c.suite(v)
	if err != nil {
		return CandidateReport{}, err
	}
	key, err := c.ring.Active(suite)
	if err != nil {
		return CandidateReport{}, err
	}
	if suite.NeedsPassword() && !c.gateway.guard.admit(key, pwd, origin, addr) {
		return dropped("the suite " + suite.String() + " encrypts one address of an ice-pwd, and this is another")
	}
	if origin == "" {
		origin = c.originOf(addr)
	}
	name, err := key.Encrypt(addr, pwd, []byte(origin))
	if err != nil {
		return refused(err.Error())
	}
	if suite.NeedsPassword() {
		c.gateway.config.Seen(name, pwd)
	}
	t.replace(cand.Host.Span, name.String()+suffix)
	c.newFoundation(t, cand, key, pwd, origin)
	c.redactRelated(t, cand, v)
	return CandidateReport{Result: FateEncrypted}, nil
}

// keep passes a candidate on with its address. Unless its related address may be told, neither may
// its foundation, which may be computed from that.
func (c *call) keep(t *text, cand *sdp.Candidate, v policy.Verdict) (CandidateReport, error) {
	if !v.KeepRelated && !strings.EqualFold(cand.Type.Of(t.s), "host") {
		suite, err := c.suite(v)
		if err != nil {
			return CandidateReport{}, err
		}
		key, err := c.ring.Active(suite)
		if err != nil {
			return CandidateReport{}, err
		}
		c.newFoundation(t, cand, key, "", c.originOf(cand.Host.Addr))
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

func (c *call) conceal(addr netip.Addr) {
	if c.concealed == nil {
		c.concealed = map[netip.Addr]bool{}
	}
	c.concealed[addr] = true
}

// serves reports whether another host can send to an address at all.
func serves(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() &&
		!addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
