package gateway

import (
	"encoding/json"
	"slices"
	"sort"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
)

// editsOfBody appends what was done to the texts of a body as edits of the body, in order; none overlap.
func (d *document) editsOfBody(out []edit) []edit {
	for _, t := range d.texts {
		out = t.appendEdits(out)
	}
	for _, t := range d.rest {
		out = t.appendEdits(out)
	}
	for _, a := range d.arrays {
		out = append(out, leaveOut(a)...)
	}
	var copies []edit
	for _, t := range d.texts {
		if t.beside != "" {
			copies = append(copies, d.copyElement(t, out))
		}
	}
	if len(d.texts)+len(d.rest)+len(d.arrays) > 1 {
		out = inOrder(append(out, copies...))
	}
	if lengths := d.correctLengths(out); len(lengths) > 0 {
		out = inOrder(append(out, lengths...))
	}
	return out
}

func (t *text) appendEdits(out []edit) []edit {
	if t.gone { // unless its element leaves, its place must hold a candidate: the empty one
		t.edits = append(t.edits[:0], edit{Span: sdp.Span{End: len(t.s)}})
	}
	t.edits = inOrder(t.edits) // in which they are found in the body in one pass
	for _, e := range t.edits {
		out = append(out, edit{t.inBody(e.Span), t.escaped(e.with)})
	}
	return out
}

// inOrder sorts edits, and leaves out those of what another one takes out.
func inOrder(edits []edit) []edit {
	sortByStart(edits)
	end := 0
	return slices.DeleteFunc(edits, func(e edit) bool {
		if e.Start < end { // inside an element that leaves, or its line goes for another address as well
			return true
		}
		end = e.End
		return false
	})
}

// sortByStart is a stable sort. As a rule the edits of candidates come in order, and a few of fields after them,
// which are moved to their places.
func sortByStart(edits []edit) {
	moved := 0
	for i := 1; i < len(edits); i++ {
		e := edits[i]
		if edits[i-1].Start <= e.Start {
			continue
		}
		to := sort.Search(i, func(j int) bool { return edits[j].Start > e.Start })
		if moved += i - to; moved > 16*len(edits) {
			slices.SortStableFunc(edits, func(a, b edit) int { return a.Start - b.Start })
			return
		}
		copy(edits[to+1:i+1], edits[to:i])
		edits[to] = e
	}
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
	return !t.single || t.element != nil && t.element.room
}

// A besideOf is a candidate to put before another one, and what of it is written otherwise.
type besideOf struct {
	cand    *sdp.Candidate
	written []edit
}

// putBesides puts the candidates beside others there, which are copies of them as they have become.
func (t *text) putBesides() {
	var lines []edit
	for _, b := range t.besides {
		part := b.cand.Whole
		edits := slices.Clone(b.written)
		for _, e := range t.edits {
			if part.Start <= e.Start && e.End <= part.End {
				edits = append(edits, e)
			}
		}
		line := t.copyOf(part, edits)
		if t.single {
			t.beside = line
			return
		}
		if !strings.HasSuffix(line, "\n") { // the last of its text
			line += lineEnd(t.s)
		}
		lines = append(lines, edit{sdp.Span{Start: part.Start, End: part.Start}, line})
	}
	t.edits = append(t.edits, lines...)
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

// copyElement puts a copy of the element that a text is in before the element, edited as that is, with
// the text that stands beside it there.
func (d *document) copyElement(t *text, edits []edit) edit {
	e, at := t.element, t.inBody(sdp.Span{End: len(t.s)})
	inside := []edit{{sdp.Span{Start: at.Start - e.Start, End: at.End - e.Start}, t.escaped(t.beside)}}
	for _, other := range edits {
		if e.Start <= other.Start && other.End <= e.End && (other.End < at.Start || at.End < other.Start) {
			other.Start, other.End = other.Start-e.Start, other.End-e.Start
			inside = append(inside, other)
		}
	}
	return edit{sdp.Span{Start: e.Start, End: e.Start}, string(apply(e.Of(d.body), inOrder(inside))) + ","}
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
	size, at := len(body), 0
	for _, e := range edits {
		size += len(e.with) - (e.End - e.Start)
	}
	out := make([]byte, 0, size)
	for _, e := range edits {
		out = append(append(out, body[at:e.Start]...), e.with...)
		at = e.End
	}
	return append(out, body[at:]...)
}
