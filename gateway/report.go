package gateway

import (
	"fmt"

	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// A Report is what became of a body. It holds no address and no name.
type Report struct {
	Encrypted int `json:"encrypted"`
	// Augmented counts candidates that stay beside an encrypted one, Revealed browsers' names that
	// became addresses.
	Augmented int `json:"augmented,omitempty"`
	Revealed  int `json:"revealed,omitempty"`
	// Decrypted counts names that became addresses; always 0 when encrypting.
	Decrypted int `json:"decrypted,omitempty"`
	Kept      int `json:"kept"`
	Dropped   int `json:"dropped"`
	// Redacted counts fields other than candidates' own addresses that no longer tell one.
	Redacted int `json:"redacted"`
	// Unresolved counts browsers' names that nobody answered for; they stay as they were.
	Unresolved int `json:"unresolved"`
	// Assertions counts identity assertions that were taken out.
	Assertions int               `json:"assertions,omitempty"`
	Candidates []CandidateReport `json:"candidates"`
}

// A CandidateReport is what became of one candidate.
type CandidateReport struct {
	// Item counts the descriptions and candidates in a JSON body, from 1; 0 for other bodies.
	Item int `json:"item,omitempty"`
	// Line counts the lines of the description, from 1.
	Line   int    `json:"line"`
	Result Fate   `json:"result"`
	Reason string `json:"reason"`
	// Refused says that the candidate was dropped because the input is wrong, not by a policy.
	Refused bool `json:"-"`
	// Type and Transport are those of the candidate, in lower case.
	Type, Transport string `json:"-"`
	// By is the part of a policy that decided; nil where none was asked, or none matches.
	By *policy.Place `json:"-"`
}

// reports makes room for a report on each candidate of the body.
func (c *call) reports() []CandidateReport {
	n := 0
	for _, t := range c.doc.texts {
		n += len(t.desc.Candidates)
	}
	c.report.Candidates = make([]CandidateReport, n)
	return c.report.Candidates
}

func (c *CandidateReport) locate(t *text, cand *sdp.Candidate) {
	c.Item, c.Line, c.Type, c.Transport = t.item, cand.Line, typeOf(t, cand), transportOf(t, cand)
}

// Where tells which candidate of a body it is.
func (c *CandidateReport) Where() string { return where(c.Item, c.Line) }

func where(item, line int) string {
	if item == 0 {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("item %d of the JSON, line %d", item, line)
}

// A Fate is one of the things that become of a candidate.
type Fate string

const (
	FateEncrypted  Fate = "encrypted"
	FateAugmented  Fate = "augmented"
	FateRevealed   Fate = "revealed"
	FateDecrypted  Fate = "decrypted"
	FateKept       Fate = "kept"
	FateDropped    Fate = "dropped"
	FateUnresolved Fate = "unresolved"
)

// count counts what became of the candidates.
func (r *Report) count() {
	for i := range r.Candidates {
		switch r.Candidates[i].Result {
		case FateEncrypted:
			r.Encrypted++
		case FateAugmented:
			r.Augmented++
		case FateRevealed:
			r.Revealed++
		case FateDecrypted:
			r.Decrypted++
		case FateKept:
			r.Kept++
		case FateDropped:
			r.Dropped++
		case FateUnresolved:
			r.Unresolved++
		}
	}
}

// Refused returns the candidates that were dropped because something about them was wrong.
func (r *Report) Refused() []CandidateReport {
	var out []CandidateReport
	for _, c := range r.Candidates {
		if c.Refused {
			out = append(out, c)
		}
	}
	return out
}
