package gateway

import (
	"encoding/json"
	"slices"
	"strings"

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
	for _, t := range d.texts {
		if t.beside != "" {
			out = append(out, d.copyElement(t))
		}
	}
	return inOrder(out)
}

// inOrder sorts edits, and leaves out those of what another one takes out.
func inOrder(edits []edit) []edit {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.Start - b.Start })
	end := 0
	return slices.DeleteFunc(edits, func(e edit) bool {
		if e.Start < end { // inside an element that leaves, or its line goes for another address as well
			return true
		}
		end = e.End
		return false
	})
}

// inBody returns an edit of a text as one of the body.
func (t *text) inBody(e edit) edit {
	if t.raw != nil {
		e.Span, e.with = sdp.Span{Start: t.raw[e.Start], End: t.raw[e.End]}, escape(e.with)
	}
	return e
}

// escape returns a text as it stands in a string of JSON.
func escape(s string) string {
	if !strings.ContainsAny(s, "\"\\\r\n\t") {
		return s
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can be marshalled
	}
	return string(quoted[1 : len(quoted)-1])
}

// hasRoomBeside reports whether a second candidate can stand beside one of the text: on a line, or in an
// array of elements that hold one candidate each.
func (t *text) hasRoomBeside() bool {
	return !t.single || t.element != nil && t.element.texts == 1
}

// putBeside puts a copy of a candidate with edits made before the candidate.
func (t *text) putBeside(cand *sdp.Candidate, edits []edit) {
	if t.single {
		t.beside = t.copyOf(sdp.Span{End: len(t.s)}, edits)
		return
	}
	line := t.copyOf(cand.Whole, edits)
	if !strings.HasSuffix(line, "\n") { // the last of its text
		line += lineEnd(t.s)
	}
	t.edits = append(t.edits, edit{sdp.Span{Start: cand.Whole.Start, End: cand.Whole.Start}, line})
}

func lineEnd(s string) string {
	if i := strings.IndexByte(s, '\n'); i > 0 && s[i-1] != '\r' {
		return "\n"
	}
	return "\r\n"
}

// copyOf returns a part of the text with edits made in it.
func (t *text) copyOf(part sdp.Span, edits []edit) string {
	edits = slices.Clone(edits)
	for i := range edits {
		edits[i].Start -= part.Start
		edits[i].End -= part.Start
	}
	return string(apply(part.Of(t.s), inOrder(edits)))
}

// copyElement puts a copy of the element that a text is in before the element, with the text that
// stands beside it there.
func (d *document) copyElement(t *text) edit {
	e, start, end := t.element, t.raw[0], t.raw[len(t.s)]
	return edit{sdp.Span{Start: e.Start, End: e.Start}, d.body[e.Start:start] + escape(t.beside) + d.body[end:e.End] + ","}
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
