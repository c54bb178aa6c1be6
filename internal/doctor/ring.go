package doctor

import (
	"errors"
	"fmt"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const (
	// old is the age from which on a key that encrypts and that nothing rotates is worth a word.
	old = 90 * 24 * time.Hour
	// slack is by how much the clocks of two nodes may differ.
	slack = time.Minute
)

func (n *Node) checkRing(r *report) {
	const check = "key ring"
	switch {
	case errors.Is(n.RingError, keyring.ErrNoRing):
		r.add(check, Fail, "there is none", "Start 'candgw serve', which makes one, or copy the ring of the other nodes: a node opens the names of its own ring alone.")
		return
	case n.RingError != nil:
		r.add(check, Fail, n.RingError.Error(), "Until the ring loads, a node that starts cannot serve, and one that runs does not see new keys.")
		return
	}
	now := n.Now()
	r.ok(check, fmt.Sprintf("revision %d loads", n.Ring.Revision()))
	for e := range n.Ring.Entries() {
		n.checkKey(r, &e, now)
	}
	if n.KEKBeside {
		r.add(check, Warn, "it is sealed under a key in its own folder: who takes the disk has both", "Move the key-encryption key elsewhere: candgw keys rekey --kek-file FILE")
	}
}

func (n *Node) checkKey(r *report, e *keyring.Entry, now time.Time) {
	check := fmt.Sprintf("key %v", e.Key.ID())
	for _, at := range []time.Time{e.Created, e.ActiveSince} {
		if ahead := at.Sub(now); ahead > slack {
			r.add(check, Fail, fmt.Sprintf("it was made or activated %v from now", ahead.Round(time.Second)), "The clock here is behind, or that of the node which made it was ahead: set the clocks by NTP.")
			return
		}
	}
	switch e.State {
	case keyring.Active:
		what := fmt.Sprintf("it encrypts under %v", e.Key.Suite())
		next := n.Told.NextRotation[e.Key.Suite()]
		switch {
		case !next.IsZero() && now.Sub(next) > slack:
			r.add(check, Fail, fmt.Sprintf("%s, and should have been replaced %v ago", what, now.Sub(next).Round(time.Second)), "No node rotates any more: see that a 'serve' runs whose configuration has a block rotate, and what it logs.")
		case !next.IsZero():
			r.ok(check, fmt.Sprintf("%s, and is replaced in %v", what, next.Sub(now).Round(time.Second)))
		case now.Sub(e.ActiveSince) > old:
			r.add(check, Warn, fmt.Sprintf("%s since %d days, and nothing replaces it", what, int(now.Sub(e.ActiveSince).Hours()/24)), "Run 'candgw keys rotate', or have it done by the clock: rotate { every = \"24h\" }")
		default:
			r.ok(check, what)
		}
	case keyring.Standby:
		if wait := e.Created.Add(e.Settle); e.Next && now.Sub(wait) > slack {
			r.add(check, Warn, "a rotation has not activated it", "Run 'candgw keys rotate' again: it goes on with this key.")
		}
	case keyring.Retired:
		if left := e.AcceptUntil.Sub(now); left > 0 {
			r.ok(check, fmt.Sprintf("it is retired and opens names for another %v", left.Round(time.Second)))
		}
	}
}

func (n *Node) checkPolicy(r *report) {
	const check = "policies"
	if n.PolicyError != nil {
		const do = "Until they load, a node that starts cannot serve, and one that runs keeps those that it has. 'candgw policy check' shows the mistakes."
		var invalid *policy.Invalid
		if !errors.As(n.PolicyError, &invalid) {
			r.add(check, Fail, n.PolicyError.Error(), do)
			return
		}
		for _, p := range invalid.Problems {
			if p.Severity == "error" {
				r.add(check, Fail, "invalid policy: "+p.Place()+": "+p.Summary, do)
			}
		}
		return
	}
	r.ok(check, fmt.Sprintf("%d in use", n.Policy.Len()))
	for _, w := range n.Policy.Warnings() {
		r.add(check, Warn, w.Place()+": "+w.Summary, "Run 'candgw policy check', which shows it.")
	}
	if n.Ring == nil {
		return
	}
	for _, name := range n.Policy.Suites() {
		suite, err := cipher.ParseSuite(name)
		if err == nil {
			_, err = n.Ring.Active(suite)
		}
		if err != nil {
			r.add(check, Fail, "a policy encrypts under "+name+", for which no key does", "Run 'candgw keys generate --suite "+name+" --state active'.")
		}
	}
}
