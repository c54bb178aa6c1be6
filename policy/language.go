package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// The words of the language where a value must be one of a few.
var (
	candidateTypes = [...]string{"host", "srflx", "prflx", "relay"}
	actions        = map[string]Action{"encrypt": Encrypt, "augment": Augment, "keep": Keep, "drop": Drop, "reveal": Reveal}
	actionWords    = []string{"encrypt", "augment", "keep", "drop", "reveal"}
	suites         = []string{defaultSuite, "aes-gcm", "aes-ctr-hmac", "aes-cbc-hmac"}
)

const (
	defaultSuite  = "aes-uuid"
	defaultSuffix = "local"

	// longestSuffix leaves room for the longest name before it: 98 octets of the draft's suites, in the
	// 253 that a name may have.
	longestSuffix = 253 - 98 - 1

	defaultTTL, minTTL, maxTTL = 120 * time.Second, time.Second, time.Hour

	mostCandidates = 64      // of one type in one session
	mostLookups    = 1000000 // of one host in one second
)

// What holds where no policy says otherwise.
var defaultName = NameForm{Suite: defaultSuite, Suffix: defaultSuffix}

// parsed is one policy, and whom it is for.
type parsed struct {
	rule
	name string
	at   hcl.Range

	// Who signals. Unset clients are everybody, known or not.
	anyClient bool
	clients   writtenList
	anyOrigin bool
	origins   []Origin

	// Who looks up.
	asks      bool
	anyAsker  bool
	askers    writtenList
	ownAskers bool // other than those who signal
	ownLinks  bool
	resolveAt hcl.Range
}

func (r *reader) policy(p policyHCL) {
	if at, ok := r.names[p.Name]; ok {
		r.fail(p.Range, "Second policy of one name", fmt.Sprintf("There is a policy %q in %s:%d already: give this one another name.", p.Name, at.Filename, at.Start.Line))
	}
	if p.Name == "" {
		r.fail(p.Range, "Policy without a name", "Write one between the quotes: what a policy decides is told by its name.")
	}
	r.names[p.Name] = p.Range
	out := &parsed{name: p.Name, at: p.Range, anyClient: p.Clients == nil, anyOrigin: p.Origins == nil}
	if p.Description != nil {
		r.text(p.Description)
	}
	if p.Clients != nil {
		out.clients = r.networks(p.Clients)
	}
	if p.Origins != nil {
		out.origins = r.origins(p.Origins)
		out.rule.forPages = true
	}
	r.session(out, &p)
	r.candidates(out, &p)
	r.resolve(out, p.Resolve)
	r.rules = append(r.rules, out)
}

// place returns a place of a policy.
func (p *parsed) place(block string, at hcl.Range) *Place {
	return &Place{Policy: p.name, Block: block, File: at.Filename, Line: at.Start.Line}
}

// placeOf returns the place of an attribute, or of its block if that is unset.
func (p *parsed) placeOf(block string, blockAt hcl.Range, attrs ...*hcl.Attribute) *Place {
	for _, a := range attrs {
		if a != nil {
			return p.place(block+", "+a.Name, a.Range)
		}
	}
	return p.place(block, blockAt)
}

func (r *reader) session(out *parsed, p *policyHCL) {
	out.rule.session = Session{InboundBy: out.place("no inbound", p.Range)}
	if b := p.Inbound; b != nil {
		out.rule.session.Decrypt = b.Action != nil && r.oneOf(b.Action, []string{"keep", "decrypt"}) == "decrypt"
		out.rule.session.InboundBy = out.placeOf("inbound", b.Range, b.Action)
	}
	b := p.Session
	if b == nil {
		return
	}
	if r.flag(b.ForbidSDES) {
		out.rule.session.ForbidSDES = out.place("session, forbid_sdes", b.ForbidSDES.Range)
	}
	if r.flag(b.RequireFingerprint) {
		out.rule.session.RequireFingerprint = out.place("session, require_fingerprint", b.RequireFingerprint.Range)
	}
	out.rule.session.RelayOnly = r.flag(b.RelayOnly)
	if b.Identity != nil {
		out.rule.session.Identity = r.identity(out, b.Identity)
	}
}

func (r *reader) identity(out *parsed, b *identityHCL) *Identity {
	id := &Identity{By: out.place("session, identity", b.Range), providers: map[string]domains{}}
	if r.flag(b.Require) {
		id.Require = out.place("session, identity, require", b.Require.Range)
	}
	for _, p := range b.Providers {
		name := strings.ToLower(p.Domain)
		if _, ok := id.providers[name]; ok {
			r.fail(p.DomainRange, "Second block of one provider", fmt.Sprintf("Put all of provider %q into one block.", p.Domain))
		}
		r.checkDomain(p.Domain, p.DomainRange)
		d := domains{set: p.Domains != nil, list: map[string]bool{}}
		if d.set {
			for _, e := range r.list(p.Domains, "domains", "example.com") {
				r.checkDomain(e.text, e.at)
				d.list[strings.ToLower(e.text)] = true
			}
		}
		id.providers[name] = d
	}
	return id
}

// checkDomain reports what is no domain name of letters, digits and hyphens.
func (r *reader) checkDomain(s string, at hcl.Range) {
	if !isDomain(s) {
		r.fail(at, "Not a domain", fmt.Sprintf("Write a domain name as in \"example.com\", without dots at its ends, not %q.", s))
	}
}

func isDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, isNotLDH) {
			return false
		}
	}
	return len(s) <= 253
}

func isNotLDH(c rune) bool {
	return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

func (r *reader) candidates(out *parsed, p *policyHCL) {
	name := r.nameForm(p.NameForm)
	blocks := map[string]*candidateHCL{}
	for i := range p.Candidates {
		c := &p.Candidates[i]
		switch {
		case !slices.Contains(candidateTypes[:], c.Type):
			r.fail(c.TypeRange, "Unknown candidate type", choice(c.Type, candidateTypes[:]))
		case blocks[c.Type] != nil:
			r.fail(c.TypeRange, "Second block of one candidate type", fmt.Sprintf("Put all of candidate %q into one block.", c.Type))
		default:
			blocks[c.Type] = c
		}
	}
	out.unknown = Verdict{Name: name, By: out.place("", p.Range)}
	for i, t := range candidateTypes {
		rule := &out.rule.candidates[i]
		switch {
		case blocks[t] != nil:
			*rule = r.candidate(out, blocks[t], name)
		default:
			rule.match = Verdict{Action: defaultAction(t, Drop), Name: name, By: out.place(fmt.Sprintf("no candidate %q", t), p.Range)}
		}
		if out.rule.session.RelayOnly {
			by := out.place("session, relay_only", p.Session.RelayOnly.Range)
			if t != "relay" {
				*rule = candidateRule{match: Verdict{Name: name, By: by}}
			}
			rule.match.KeepRelated, rule.otherAddress.KeepRelated, rule.otherTransport.KeepRelated = false, false, false
		}
	}
}

// defaultAction returns what becomes of candidates of a type, given what does of hosts.
func defaultAction(candidateType string, host Action) Action {
	if candidateType == "host" {
		return host
	}
	return Keep
}

func (r *reader) candidate(out *parsed, c *candidateHCL, name *NameForm) candidateRule {
	block := fmt.Sprintf("candidate %q", c.Type)
	v := Verdict{Action: defaultAction(c.Type, Encrypt), Name: name, By: out.placeOf(block, c.Range, c.Action)}
	if c.Action != nil {
		v.Action = actions[r.oneOf(c.Action, actionWords)]
	}
	if c.RelatedAddress != nil {
		v.KeepRelated = r.oneOf(c.RelatedAddress, []string{"redact", "keep"}) == "keep"
	}
	if c.Max != nil {
		v.Max, v.MaxBy = r.number(c.Max, 0, mostCandidates), out.placeOf(block, c.Range, c.Max)
	}
	other := v
	other.Action = Drop
	if c.Otherwise != nil {
		other.Action = actions[r.oneOf(c.Otherwise, actionWords)]
		if c.Addresses == nil && c.Transports == nil {
			r.warn(c.Otherwise.Range, "No effect", "otherwise is for addresses and transports that are not listed, and neither is: set addresses or transports, or leave it out.")
		}
	}
	for _, a := range []*hcl.Attribute{c.Action, c.Otherwise} {
		if a != nil && out.anyClient && out.anyOrigin && actions[r.oneOf(a, actionWords)] == Reveal {
			r.fail(a.Expr.Range(), "Reveal to everybody", "This tells the addresses behind browsers' names: set clients or origins of the policy to say for whom.")
		}
	}
	rule := candidateRule{
		addresses:  r.optionalNetworks(c.Addresses),
		transports: r.words(c.Transports, []string{"udp", "tcp"}),
		match:      v, otherAddress: other, otherTransport: other,
	}
	rule.otherAddress.By = out.placeOf(block, c.Range, c.Otherwise, c.Addresses)
	rule.otherTransport.By = out.placeOf(block, c.Range, c.Otherwise, c.Transports)
	if c.Max != nil && v.Max == 0 {
		none := Verdict{Name: name, By: v.MaxBy}
		rule.match, rule.otherAddress, rule.otherTransport = none, none, none
	}
	return rule
}

func (r *reader) nameForm(b *nameHCL) *NameForm {
	n := defaultName
	if b == nil {
		return &n
	}
	if b.Suite != nil {
		n.Suite = r.oneOf(b.Suite, suites)
	}
	draft := n.Suite != defaultSuite && slices.Contains(suites, n.Suite)
	if draft {
		r.warn(b.Suite.Expr.Range(), "Suite of the draft", fmt.Sprintf("%s encrypts one address of each ice-pwd and drops every other, and its names open only where the ice-pwd is known. Use %q unless endpoints hold the key themselves.", n.Suite, defaultSuite))
	}
	if b.Form != nil {
		n.Extension = r.oneOf(b.Form, []string{"name", "extension"}) == "extension"
		if n.Extension && !draft {
			r.fail(b.Form.Expr.Range(), "No such form", fmt.Sprintf("%s has names alone: set a suite of the draft, %s.", defaultSuite, strings.Join(suites[1:], ", ")))
		}
	}
	if b.Suffix != nil {
		n.Suffix = r.suffix(b.Suffix)
		if n.Extension {
			r.fail(b.Suffix.Expr.Range(), "No suffix", "An extension has no name that could have one: leave suffix out.")
		}
	}
	for _, e := range r.words(b.Extensions, []string{"addrtype", "keyid"}) {
		n.AddrType = n.AddrType || e == "addrtype"
		n.KeyID = n.KeyID || e == "keyid"
	}
	return &n
}

func (r *reader) suffix(a *hcl.Attribute) string {
	s := r.text(a)
	if s == "" { // reported by text
		return s
	}
	s = strings.ToLower(strings.TrimPrefix(s, "."))
	switch {
	case !isDomain(s) || len(s) > longestSuffix:
		r.fail(a.Expr.Range(), "Not a suffix", fmt.Sprintf("Write a domain name of at most %d characters, as in \"local\" or \"ice.example.com\".", longestSuffix))
	case s != defaultSuffix:
		r.warn(a.Expr.Range(), "Not for browsers", "For a name outside .local browsers show scripts its address (getStats), and not every browser takes one. Use it for native endpoints.")
	}
	return s
}

func (r *reader) resolve(out *parsed, b *resolveHCL) {
	out.anyAsker, out.askers, out.resolveAt = out.anyClient, out.clients, out.at
	if b == nil {
		// Who signals under this policy and asks has its answer here: none. A lookup has no origin.
		out.asks = out.anyOrigin
		out.asker = Asker{By: out.place("no resolve", out.at)}
		return
	}
	out.asks, out.resolveAt = true, b.Range
	if b.Clients != nil {
		out.anyAsker, out.askers, out.resolveAt, out.ownAskers = false, r.networks(b.Clients), b.Clients.Range, true
	}
	out.ownLinks = r.flag(b.OwnLinks)
	rule := &resolveRule{
		addresses: r.optionalNetworks(b.Addresses),
		allow:     Answer{Allow: true, TTL: defaultTTL, By: out.placeOf("resolve", b.Range, b.Addresses)},
		deny:      Answer{By: out.placeOf("resolve", b.Range, b.Addresses)},
	}
	if b.TTL != nil {
		rule.allow.TTL = r.duration(b.TTL, minTTL, maxTTL)
	}
	out.asker = Asker{Allow: !rule.addresses.set || rule.addresses.table != nil, By: rule.deny.By, rule: rule}
	switch {
	case b.Rate != nil:
		out.asker.Rate = r.number(b.Rate, 1, mostLookups)
		out.asker.Burst = out.asker.Rate
		if b.Burst != nil {
			out.asker.Burst = r.number(b.Burst, 1, mostLookups)
		}
	case b.Burst != nil:
		r.fail(b.Burst.Range, "Burst without rate", "burst is how many lookups may come at once under a rate: set rate as well.")
	}
}
