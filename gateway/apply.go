package gateway

import (
	"slices"

	"github.com/candgw/candgw/internal/sdp"
)

// edits returns what was done to the texts of a body as edits of the body, in order; none overlap.
func (d *document) edits() []edit {
	var out []edit
	for _, t := range slices.Concat(d.texts, d.rest) {
		if t.gone { // unless its element leaves, its place must hold a candidate: the empty one
			t.edits = []edit{{Span: sdp.Span{End: len(t.s)}}}
		}
		for _, e := range t.edits {
			out = append(out, t.inBody(e))
		}
	}
	for _, a := range d.arrays {
		out = append(out, leaveOut(a)...)
	}
	slices.SortFunc(out, func(a, b edit) int { return a.Start - b.Start })
	end := 0
	return slices.DeleteFunc(out, func(e edit) bool {
		if e.Start < end { // inside an element that leaves, or its line goes for another address as well
			return true
		}
		end = e.End
		return false
	})
}

// inBody returns an edit of a text as one of the body. What is put in needs no escapes in JSON.
func (t *text) inBody(e edit) edit {
	if t.raw != nil {
		e.Span = sdp.Span{Start: t.raw[e.Start], End: t.raw[e.End]}
	}
	return e
}

// leaveOut returns the edits that take elements out of an array: up to the first that stays each goes
// with the comma after it, from there on each with the comma before it.
func leaveOut(array []*element) (out []edit) {
	first := slices.IndexFunc(array, func(e *element) bool { return !e.leaves() })
	for i, e := range array {
		span := e.Span
		switch {
		case !e.leaves():
			continue
		case first >= 0 && i > first:
			span.Start = array[i-1].End
		case i+1 < len(array):
			span.End = array[i+1].Start
		}
		out = append(out, edit{Span: span})
	}
	return out
}

// apply returns a copy of the body with edits made.
func apply(body string, edits []edit) []byte {
	out := make([]byte, 0, len(body)+len(edits)*8)
	at := 0
	for _, e := range edits {
		out = append(append(out, body[at:e.Start]...), e.with...)
		at = e.End
	}
	return append(out, body[at:]...)
}
