package gateway

import (
	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// decryptBody puts the address in place of each name that opens.
func (c *call) decryptBody() {
	reports := c.reports()
	for _, t := range c.doc.texts {
		for i := range t.desc.Candidates {
			cand := &t.desc.Candidates[i]
			reports[0] = c.decryptCandidate(t, cand)
			reports[0].locate(t, cand)
			reports = reports[1:]
		}
	}
	c.report.count()
}

func (c *call) decryptCandidate(t *text, cand *sdp.Candidate) CandidateReport {
	if cand.Host.Addr.IsValid() && cand.Ciphertext.Empty() {
		return CandidateReport{Result: FateKept, Reason: "it has an address"}
	}
	if !c.session.Decrypt {
		besides := ""
		if c.session.NotForPages {
			besides = "names become addresses for a web page only under a policy with origins"
		}
		kept, _ := decided(policy.Verdict{By: c.session.InboundBy}, FateKept, besides)
		return kept
	}
	addr, ok := c.open(t, cand)
	switch {
	case !ok:
		return CandidateReport{Result: FateKept, Reason: "it opens under no key of the ring that decrypts"}
	case !policy.Reachable(addr):
		// Nobody's policy encrypts such an address: the name steers this endpoint to itself.
		t.drop(cand)
		return CandidateReport{Result: FateDropped, Reason: "no other host can reach an address of its kind"}
	}
	t.replace(cand.Host.Span, addr.String())
	t.edits = describeNoMore(t.edits, cand)
	if !cand.Ciphertext.Empty() {
		t.replace(sdp.Span{Start: cand.Ciphertext.Start - 1, End: cand.Ciphertext.End}, "")
	}
	return CandidateReport{Result: FateDecrypted, By: c.session.InboundBy}
}
