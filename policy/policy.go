// Package policy decides what becomes of a candidate, what a description must satisfy, and who may look
// up a name, by rules written in HCL. docs/policy.md describes the language.
//
// A [Set] never changes once it is loaded; deciding is pure, allocates nothing, takes as many steps
// however many policies there are, and is safe for concurrent use.
package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// An Action is what becomes of a candidate.
type Action uint8

const (
	// Drop takes the candidate out. It is the zero value.
	Drop Action = iota
	// Keep passes the candidate on as it is: with its address, or with the browser's name.
	Keep
	// Encrypt replaces the address, or the browser's name for it, by an encrypted name.
	Encrypt
	// Augment puts an encrypted candidate beside the original one.
	Augment
	// Reveal puts the address in place of the browser's name for it.
	Reveal
)

var actionNames = [...]string{Drop: "drop", Keep: "keep", Encrypt: "encrypt", Augment: "augment", Reveal: "reveal"}

// String returns the action as policies write it.
func (a Action) String() string { return actionNames[a] }

// Tells reports whether an address that stands in a candidate is still told after the action.
func (a Action) Tells() bool { return a == Keep || a == Augment || a == Reveal }

// A Place is what decided: a policy, and the line of it that did.
type Place struct {
	Policy string
	// Block is a block or an attribute in it, as in `candidate "host", action`; empty for the policy itself.
	Block string
	File  string
	Line  int
}

// String names the place, or says that there is none if p is nil.
func (p *Place) String() string {
	if p == nil {
		return p.Rule()
	}
	return fmt.Sprintf("%s (%s:%d)", p.Rule(), p.File, p.Line)
}

// Rule is String without the file.
func (p *Place) Rule() string {
	switch {
	case p == nil:
		return "no policy matches"
	case p.Block == "":
		return fmt.Sprintf("policy %q", p.Policy)
	}
	return fmt.Sprintf("policy %q, %s", p.Policy, p.Block)
}

// Name returns the name of the place's policy, empty if p is nil.
func (p *Place) Name() string {
	if p == nil {
		return ""
	}
	return p.Policy
}

// A Candidate is what a decision on a candidate rests on.
type Candidate struct {
	// Client is the address of the endpoint that sent it; not valid where that is not known.
	Client netip.Addr
	// Origin is that of the web page that sent it, empty where that is not known.
	Origin Origin
	// Type is host, srflx, prflx or relay, and Transport udp or tcp, in lower case. No policy allows any
	// other type.
	Type, Transport string
	// Addr is not valid where it is not known. The verdict is then one that lets the candidate pass, if
	// that on any address does.
	Addr netip.Addr
}

// A Verdict on a candidate. Its zero value drops it.
type Verdict struct {
	Action Action
	// KeepRelated leaves raddr and rport as they are.
	KeepRelated bool
	// Max is how many candidates of its type pass in one session, as MaxBy says; 0 sets no bound.
	Max   int
	MaxBy *Place
	// Name is how to write an encrypted one; nil in the zero Verdict. It is the set's own.
	Name *NameForm
	// By is what decided; nil where no policy matches.
	By *Place
}

// A NameForm is how encrypted candidates are written.
type NameForm struct {
	// Suite is the name of the suite to encrypt under.
	Suite string
	// Extension asks for the draft's extension of the candidate in place of a name.
	Extension bool
	// Suffix is what a name ends with, without a dot before it.
	Suffix string
	// AddrType and KeyID ask for the candidate extensions addrtype and keyid.
	AddrType, KeyID bool
}

// A Session is what holds for all that one endpoint signals. Its zero value, for which no policy
// matches, asks nothing of descriptions and opens no names.
type Session struct {
	// ForbidSDES refuses descriptions with SDES keys (RFC 8827, section 6.5), and RequireFingerprint
	// those with media that DTLS does not protect; both are nil where they are not asked for.
	ForbidSDES, RequireFingerprint *Place
	// RelayOnly says that no address leaves but those of relays; [Set.DecideCandidate] drops the other
	// candidates.
	RelayOnly bool
	// Identity is nil where assertions pass as they are.
	Identity *Identity
	// Decrypt says that encrypted names on their way to the endpoint become addresses. For a web page it is
	// false unless the policy lists origins.
	Decrypt bool
	// NotForPages says that Decrypt is false for that reason alone.
	NotForPages bool
	// InboundBy is what decided on that; nil where no policy matches.
	InboundBy *Place
}

// An Identity says whose identity assertions (RFC 8827, section 7) are let through.
type Identity struct {
	// Require, unless nil, refuses descriptions without an assertion that is let through.
	Require *Place
	By      *Place

	providers map[string]domains
}

// domains is a list of domain names. Unset contains every one, an empty list none.
type domains struct {
	set  bool
	list map[string]bool
}

// Allows reports whether an assertion of an identity provider is let through. Provider is its domain;
// identity is user@domain, empty where the assertion does not tell it. Both are compared without
// regard to letter case.
func (i *Identity) Allows(provider, identity string) bool {
	d, ok := i.providers[strings.ToLower(provider)]
	at := strings.LastIndexByte(identity, '@')
	return ok && (!d.set || at > 0 && d.list[strings.ToLower(identity[at+1:])])
}

// A Lookup is what a decision on a lookup rests on.
type Lookup struct {
	Asker netip.Addr
	// OnLink says that the asker is on a link of this node.
	OnLink bool
	Addr   netip.Addr
}

// An Asker is what an asking host may look up.
type Asker struct {
	// Allow says that it may look up anything at all.
	Allow bool
	// Rate is how many lookups a second it may make, after Burst at once; 0 sets no bound.
	Rate, Burst int
	// By is what decided; nil where no policy matches.
	By *Place

	rule *resolveRule
}

// An Answer to a lookup. Its zero value refuses it.
type Answer struct {
	Allow bool
	TTL   time.Duration
	// By is what decided; nil where no policy matches.
	By *Place
}

// A Set is policies in the order in which they are tried. Where none matches (as in the zero Set) host
// candidates are dropped, the others' related addresses are redacted, and lookups are refused.
type Set struct {
	policies []rule
	signals  byOrigin   // who signals
	asks     firstMatch // who looks up
	ownLinks index      // the first policy that lets hosts on own links ask

	suffixes []string
	suites   []string
	warnings []Problem
}

type rule struct {
	candidates [len(candidateTypes)]candidateRule
	unknown    Verdict // for candidates of any other type
	session    Session
	forPages   bool  // its origins are listed
	asker      Asker // for who looks up
}

type candidateRule struct {
	addresses  networks
	transports []string // all, if nil
	match      Verdict
	// The verdicts differ in what they are by.
	otherAddress, otherTransport Verdict
}

type resolveRule struct {
	addresses   networks
	allow, deny Answer
}

// Len returns the number of policies.
func (s *Set) Len() int { return len(s.policies) }

// Warnings returns what is allowed but looks like a mistake, in the order of files and lines. The slice
// is the set's own.
func (s *Set) Warnings() []Problem { return s.warnings }

// Suffixes returns the suffixes that the policies write names with, each once. The slice is the set's own.
func (s *Set) Suffixes() []string { return s.suffixes }

// Suites returns the suites that the policies encrypt under, each once. The slice is the set's own.
func (s *Set) Suites() []string { return s.suites }

// DecideCandidate returns the verdict of the first policy for the candidate's client and origin.
func (s *Set) DecideCandidate(c Candidate) Verdict {
	t := slices.Index(candidateTypes[:], c.Type)
	i := s.signals.find(c.Client, c.Origin)
	switch {
	case i == none && t > 0:
		return Verdict{Action: Keep, Name: &defaultName}
	case i == none:
		return Verdict{}
	case t < 0:
		return s.policies[i-1].unknown
	}
	return s.policies[i-1].candidates[t].decide(&c)
}

func (r *candidateRule) decide(c *Candidate) Verdict {
	listed := r.addresses.contains(c.Addr)
	if !c.Addr.IsValid() && r.addresses.table != nil {
		listed = r.match.Action != Drop
	}
	switch {
	case r.transports != nil && !slices.Contains(r.transports, c.Transport):
		return r.otherTransport
	case listed:
		return r.match
	}
	return r.otherAddress
}

// DecideSession returns what the first policy for an endpoint asks of all that it signals.
func (s *Set) DecideSession(client netip.Addr, origin Origin) Session {
	i := s.signals.find(client, origin)
	if i == none {
		return Session{}
	}
	rule := &s.policies[i-1]
	session := rule.session
	if origin != "" && !rule.forPages { // whose scripts would read what the names conceal
		session.Decrypt, session.NotForPages = false, session.Decrypt
	}
	return session
}

// TellsHosts reports whether the first policy for an endpoint tells the address of any host candidate at all.
func (s *Set) TellsHosts(client netip.Addr, origin Origin) bool {
	i := s.signals.find(client, origin)
	if i == none {
		return false
	}
	r := &s.policies[i-1].candidates[0] // host
	return r.match.Action.Tells() || r.otherAddress.Action.Tells() || r.otherTransport.Action.Tells()
}

// DecideAsker returns what the first policy for an asker lets it look up.
func (s *Set) DecideAsker(asker netip.Addr, onLink bool) Asker {
	i := s.asks.find(asker)
	if onLink {
		i = first(i, s.ownLinks)
	}
	if i == none {
		return Asker{}
	}
	return s.policies[i-1].asker
}

// Answer decides on an address that a name opened to, for the asker of the name.
func (a Asker) Answer(addr netip.Addr) Answer {
	switch {
	case a.rule == nil:
		return Answer{By: a.By}
	case a.rule.addresses.contains(addr):
		return a.rule.allow
	}
	return a.rule.deny
}

// DecideLookup returns the answer of the first policy for the asker.
func (s *Set) DecideLookup(l Lookup) Answer { return s.DecideAsker(l.Asker, l.OnLink).Answer(l.Addr) }

// Reachable reports whether another host can send to an address at all. No policy encrypts, reveals
// or answers an address that fails it: in a name it could only steer an endpoint to itself.
func Reachable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
