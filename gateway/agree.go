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
// in it: between the fields that we found stand single spaces and nothing else, the type is in lower case, and
// the port has no zeros before it. A fuzz test holds that pion/ice agrees on all of these; having it read
// them took a fifth of the time.
func isPlain(s string, c *sdp.Candidate) bool {
	const before = "candidate:"
	words := [...]sdp.Span{
		{Start: c.Text.Start + len(before), End: c.Foundation.End},
		{Start: c.Foundation.End + 1, End: c.Transport.Start - 1}, // the component
		{Start: c.Transport.Start, End: c.Transport.End},
		{Start: c.Transport.End + 1, End: c.Host.Start - 1}, // the priority
		{Start: c.Host.Start, End: c.Host.End},
		{Start: c.Host.End + 1, End: c.Port.End},
		{Start: c.Port.End + 1, End: c.Type.Start - 1}, // typ
		{Start: c.Type.Start, End: c.Type.End},
	}
	for i, w := range words {
		if w.Start >= w.End || i > 0 && s[w.Start-1] != ' ' {
			return false
		}
	}
	return words[0].Start == c.Foundation.Start && words[5].Start == c.Port.Start &&
		s[c.Text.Start:c.Foundation.Start] == before && s[c.Port.Start] != '0' &&
		strings.Count(s[c.Foundation.Start:c.Type.Start], " ") == len(words)-1 &&
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
