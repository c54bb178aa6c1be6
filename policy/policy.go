// Package policy decides what becomes of a candidate and who may look up a name, by rules written in
// HCL. docs/policy.md describes the language.
//
// A [Set] never changes once it is loaded; deciding is pure, allocates nothing, and is safe for
// concurrent use.
package policy

import (
	"net/netip"
	"time"
)

// An Action is what becomes of a candidate.
type Action uint8

const (
	// Drop takes the candidate out. It is the zero value: what no policy allows does not pass.
	Drop Action = iota
	// Keep passes the candidate on with its address.
	Keep
	// Encrypt replaces the address by an encrypted name.
	Encrypt
)

// A Candidate is what a decision on a candidate rests on.
type Candidate struct {
	// Client is the address of the endpoint that sent it; not valid where that is not known.
	Client netip.Addr
	// Type is host, srflx, prflx or relay, in lower case. No policy allows any other.
	Type string
	Addr netip.Addr
}

// A Verdict on a candidate. Its zero value drops it.
type Verdict struct {
	Action Action
	// KeepRelated leaves raddr and rport as they are.
	KeepRelated bool
	// Suite is the name of the suite to encrypt under.
	Suite string
	// Policy is the name of the policy that decided, empty if none did.
	Policy string
}

// A Lookup is what a decision on a lookup rests on.
type Lookup struct {
	Asker netip.Addr
	// OnLink says that the asker is on a link of this node.
	OnLink bool
	Addr   netip.Addr
}

// An Answer to a lookup. Its zero value refuses it.
type Answer struct {
	Allow bool
	TTL   time.Duration
	// Policy is the name of the policy that decided, empty if none did.
	Policy string
}

// A Set is policies in the order in which they are tried. The zero Set drops every candidate and
// refuses every lookup.
type Set struct{ policies []rule }

type rule struct {
	name       string
	clients    prefixes
	candidates map[string]candidateRule
	suite      string
	resolve    *resolveRule
}

type candidateRule struct {
	action, otherwise Action
	addresses         prefixes
	keepRelated       bool
}

type resolveRule struct {
	clients, addresses prefixes
	ownLinks           bool
	ttl                time.Duration
}

func (r *resolveRule) mayAsk(asker netip.Addr, onLink bool) bool {
	return r != nil && (r.clients.contains(asker) || r.ownLinks && onLink)
}

// prefixes is a list of networks. Unset contains every address, an empty list none.
type prefixes struct {
	set  bool
	list []netip.Prefix
}

func (p prefixes) contains(a netip.Addr) bool {
	if !p.set {
		return true
	}
	for _, n := range p.list {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// DecideCandidate returns the verdict of the first policy for the candidate's client.
func (s *Set) DecideCandidate(c Candidate) Verdict {
	for i := range s.policies {
		p := &s.policies[i]
		if !p.clients.contains(c.Client) {
			continue
		}
		v := Verdict{Policy: p.name, Suite: p.suite}
		rule, ok := p.candidates[c.Type]
		if !ok {
			return v
		}
		v.KeepRelated = rule.keepRelated
		if v.Action = rule.action; !rule.addresses.contains(c.Addr) {
			v.Action = rule.otherwise
		}
		return v
	}
	return Verdict{}
}

// DecideLookup returns the answer of the first policy that the asker may look up by.
func (s *Set) DecideLookup(l Lookup) Answer {
	for i := range s.policies {
		p := &s.policies[i]
		r := p.resolve
		if !r.mayAsk(l.Asker, l.OnLink) {
			continue
		}
		return Answer{Allow: r.addresses.contains(l.Addr), TTL: r.ttl, Policy: p.name}
	}
	return Answer{}
}

// MayAsk reports whether any policy lets an asker look up anything at all.
func (s *Set) MayAsk(asker netip.Addr, onLink bool) bool {
	for i := range s.policies {
		if s.policies[i].resolve.mayAsk(asker, onLink) {
			return true
		}
	}
	return false
}

// Reachable reports whether another host can send to an address at all. No policy encrypts, reveals
// or answers an address that fails it: in a name it could only steer an endpoint to itself.
func Reachable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
