package gateway

import "github.com/candgw/candgw/internal/sdp"

// parse reads a description, or a fragment, in the memory that the text has for it.
func (t *text) parse(fragment bool) error {
	if t.desc == nil {
		t.desc = new(sdp.Description)
	}
	return t.desc.Parse(t.s, fragment)
}

// reset forgets a text, and keeps the memory in which it was read and edited.
func (t *text) reset() {
	if d := t.desc; d != nil {
		d.Candidates, d.Fields = emptied(d.Candidates), emptied(d.Fields)
	}
	*t = text{desc: t.desc, edits: emptied(t.edits), keep: emptied(t.keep), besides: emptied(t.besides)}
}

func (d *document) reset() {
	d.whole.reset()
	*d = document{texts: emptied(d.texts), whole: d.whole}
}
