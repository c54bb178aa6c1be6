// Package doctor examines a node for what keeps calls from going direct, and says what to do about it.
// No finding holds an address, a name or a key.
package doctor

import (
	"context"
	"net/netip"
	"time"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// A Status says how a check went.
type Status string

const (
	OK Status = "ok"
	// Warn is for what works, and is better otherwise, or will fail some day.
	Warn Status = "warn"
	// Fail is for what keeps calls from going direct.
	Fail Status = "fail"
	// Skip is for what could not be looked at here.
	Skip Status = "skip"
)

// A Finding is what one check found.
type Finding struct {
	// Check is what was looked at, as in "key ring" or "link eth0".
	Check  string `json:"check"`
	Status Status `json:"status"`
	What   string `json:"what"`
	// Do tells what to do about it, "" if nothing is to be done.
	Do string `json:"do,omitempty"`
}

// A Node is what is examined. Config must be set.
type Node struct {
	Config *config.Config
	// Ring is nil if it cannot be loaded; RingError then tells why.
	Ring      *keyring.Ring
	RingError error
	// Told is what nodes have told of the ring's keys.
	Told keyring.Status
	// KEKBeside says that the ring is sealed under a key that lies in its own folder.
	KEKBeside bool
	// Policy is nil if it cannot be loaded; PolicyError then tells why.
	Policy      *policy.Set
	PolicyError error
	// Certificates are the files of certificates that the configuration names.
	Certificates []string
	// Peer is where another node answers DNS, not valid if none is to be asked.
	Peer netip.AddrPort
	// Root is the folder under which the files of the system lie: "/".
	Root string
	// Now is the clock.
	Now func() time.Time
}

// Examine makes every check that can be made, and returns what they found. It takes some seconds where nobody
// answers, and ends early when ctx does.
func Examine(ctx context.Context, n *Node) []Finding {
	var r report
	n.checkRing(&r)
	n.checkPolicy(&r)
	n.checkClock(&r)
	n.checkCertificates(&r)
	n.checkAPI(ctx, &r)
	n.checkExtension(ctx, &r)
	n.checkPort(&r)
	n.checkDNS(ctx, &r)
	n.checkLinks(ctx, &r)
	n.checkPeer(ctx, &r)
	n.checkBrowsers(&r)
	return r
}

type report []Finding

func (r *report) add(check string, status Status, what, do string) {
	*r = append(*r, Finding{check, status, what, do})
}

func (r *report) ok(check, what string) { r.add(check, OK, what, "") }
