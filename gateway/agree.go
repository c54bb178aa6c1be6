package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pion/ice/v2"

	"github.com/candgw/candgw/internal/sdp"
)

// agree has pion/ice read the candidate as well, unless it is plain. What it makes of one decides how ICE
// stacks understand it: where the two readers take different addresses from one line, the line is refused.
func agree(s string, cand *sdp.Candidate) error {
	if isPlain(s, cand) {
		return nil
	}
	return agreeWithPion(s, cand)
}

// isPlain reports whether a candidate is written as nearly all are, so that every reader finds the same words
// in it. Our own reader takes single spaces between fields and nothing else; here the prefix and the type are in lower
// case besides, and the port has no zeros before it. A fuzz test holds that pion/ice agrees on all of these; having
// it read them took a fifth of the time.
func isPlain(s string, c *sdp.Candidate) bool {
	return strings.HasPrefix(c.Text.Of(s), "candidate:") && s[c.Port.Start] != '0' &&
		slices.Contains(candidateTypes[:], c.Type.Of(s))
}

// agreeWithPion compares what pion/ice reads.
func agreeWithPion(s string, cand *sdp.Candidate) error {
	text := cand.Text.Of(s)
	theirs, err := ice.UnmarshalCandidate(text[strings.IndexByte(text, ':')+1:])
	if err != nil {
		return nil // a type, transport or name that it does not know
	}
	same := strings.EqualFold(theirs.Address(), cand.Host.Of(s))
	if cand.Host.Addr.IsValid() {
		addr, err := netip.ParseAddr(theirs.Address())
		same = err == nil && addr.Unmap() == cand.Host.Addr
	}
	if !same || fmt.Sprint(theirs.Port()) != strings.TrimLeft(cand.Port.Of(s), "0") && theirs.Port() != 0 ||
		!strings.EqualFold(theirs.Type().String(), cand.Type.Of(s)) {
		return &sdp.Error{Line: cand.Line, What: "the candidate reads as another one to other ICE stacks"}
	}
	return nil
}
