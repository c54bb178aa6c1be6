package gateway

import (
	"slices"

	"github.com/candgw/candgw/internal/sdp"
)

// apply returns the body with the edits of its texts made.
func apply(body string, texts []*text, doc *document) []byte {
	var edits []edit
	for _, t := range texts {
		switch {
		case t.gone && t.array != nil:
			t.array.gone[t.element] = true
		case t.gone: // in an object of the application's own: an empty candidate does no harm
			edits = append(edits, t.inBody(edit{Span: sdp.Span{End: len(t.s)}}))
		default:
			for _, e := range t.edits {
				edits = append(edits, t.inBody(e))
			}
		}
	}
	if doc != nil {
		for _, a := range doc.arrays {
			edits = append(edits, a.leaveOut()...)
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.Start - b.Start })
	out := make([]byte, 0, len(body)+len(edits)*8)
	at := 0
	for _, e := range edits {
		if e.Start < at {
			continue // inside an element that was left out
		}
		out = append(append(out, body[at:e.Start]...), e.with...)
		at = e.End
	}
	return append(out, body[at:]...)
}

// inBody returns an edit of a text as one of the body. What is put in needs no escapes in JSON.
func (t *text) inBody(e edit) edit {
	if t.raw != nil {
		e.Span = sdp.Span{Start: t.raw[e.Start], End: t.raw[e.End]}
	}
	return e
}

// leaveOut returns the edits that take elements out of an array, each with one of its commas.
func (a *container) leaveOut() (edits []edit) {
	left := -1 // the last element that stays
	for i, e := range a.elements {
		switch {
		case !a.gone[i]:
			left = i
		case i+1 < len(a.elements):
			edits = append(edits, edit{Span: sdp.Span{Start: e.Start, End: a.elements[i+1].Start}})
		case left >= 0: // the last: with the comma after the last that stays, over the gaps between
			edits = slices.DeleteFunc(edits, func(x edit) bool { return x.Start > a.elements[left].End })
			edits = append(edits, edit{Span: sdp.Span{Start: a.elements[left].End, End: e.End}})
		default:
			edits = append(edits, edit{Span: e})
		}
	}
	return edits
}
