package gateway

import (
	"strings"

	"github.com/candgw/candgw/internal/sdp"
)

// parse reads a description, or a fragment, in the memory that the text has for it.
func (t *text) parse(fragment bool) error { return t.description().Parse(t.s, fragment) }

// parseCandidate reads a single candidate, as parse does.
func (t *text) parseCandidate() error { return t.description().ParseCandidate(t.s) }

func (t *text) description() *sdp.Description {
	if t.desc == nil {
		t.desc = new(sdp.Description)
	}
	return t.desc
}

// mostTexts is how many texts of a document are kept for the next one: most messages have one, in a string or two.
const mostTexts = 4

// take returns an empty text.
func (d *document) take() *text {
	if d.kept == nil {
		d.kept = make([]text, mostTexts)
	}
	if d.taken == len(d.kept) {
		return new(text)
	}
	d.taken++
	return &d.kept[d.taken-1]
}

// reset forgets a text, and keeps the memory in which it was read and edited.
func (t *text) reset() {
	if d := t.desc; d != nil {
		d.Candidates, d.Fields = emptied(d.Candidates), emptied(d.Fields)
	}
	*t = text{desc: t.desc, edits: emptied(t.edits[:cap(t.edits)]), keep: emptied(t.keep), besides: emptied(t.besides)}
}

func (d *document) reset() {
	for i := range d.kept[:d.taken] {
		d.kept[i].reset()
	}
	*d = document{
		texts: emptied(d.texts), others: emptied(d.others), open: emptied(d.open), unnamed: emptied(d.unnamed[:cap(d.unnamed)]),
		kept: d.kept, unescaped: emptied(d.unescaped),
	}
}

// typeOf returns the type of a candidate as policies write it.
func typeOf(t *text, cand *sdp.Candidate) string { return lower(cand.Type.Of(t.s)) }

func transportOf(t *text, cand *sdp.Candidate) string { return lower(cand.Transport.Of(t.s)) }

// lower returns a word of a candidate in lower case, and no part of the body.
func lower(word string) string {
	switch word {
	case hostType:
		return hostType
	case "srflx":
		return "srflx"
	case "prflx":
		return "prflx"
	case "relay":
		return "relay"
	case "udp":
		return "udp"
	case "tcp":
		return "tcp"
	}
	return strings.Clone(strings.ToLower(word))
}

func isHost(t *text, cand *sdp.Candidate) bool { return typeOf(t, cand) == hostType }
