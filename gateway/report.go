package gateway

// A Report is what became of a body. It holds no address and no name.
type Report struct {
	Encrypted int `json:"encrypted"`
	// Decrypted counts names that became addresses; always 0 when encrypting.
	Decrypted int `json:"decrypted,omitempty"`
	Kept      int `json:"kept"`
	Dropped   int `json:"dropped"`
	// Redacted counts fields other than candidates' own addresses that no longer tell one.
	Redacted int `json:"redacted"`
	// Unresolved counts browsers' names that nobody answered for; they stay as they were.
	Unresolved int               `json:"unresolved"`
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
}

// A Fate is one of the things that become of a candidate.
type Fate string

const (
	FateEncrypted  Fate = "encrypted"
	FateDecrypted  Fate = "decrypted"
	FateKept       Fate = "kept"
	FateDropped    Fate = "dropped"
	FateUnresolved Fate = "unresolved"
)

func (r *Report) add(c CandidateReport) {
	switch c.Result {
	case FateEncrypted:
		r.Encrypted++
	case FateDecrypted:
		r.Decrypted++
	case FateKept:
		r.Kept++
	case FateDropped:
		r.Dropped++
	case FateUnresolved:
		r.Unresolved++
	}
	r.Candidates = append(r.Candidates, c)
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
