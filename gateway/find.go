package gateway

import (
	"fmt"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
)

// A text is one description, fragment or candidate inside a body; or, without a desc, any other
// string of a JSON body.
type text struct {
	item int // as in CandidateReport
	s    string
	desc *sdp.Description
	// written is s as it stands in the text outer, from the offset start on; nil is the body itself. If it is
	// quoted, that is in a string of JSON, and so with escapes.
	written string
	start   int
	outer   *text
	quoted  bool
	reached place   // of the last offset that was looked for in written
	marks   []place // of others, in order; none unless marked
	marked  bool
	// key is that of the member that the string is in JSON, ufrag the usernameFragment beside it.
	key, ufrag string
	// single says that s is one candidate and not lines.
	single bool
	// gone says that a single candidate was dropped.
	gone  bool
	edits []edit
	keep  []sdp.Span // what is to stay even if it tells a concealed address
	// besides are candidates to put before those of the text; beside is that of a single one, written out.
	besides []besideOf
	beside  string
	// element is the innermost element of an array that the text is in; it may go with the text.
	element *element
	// top says that the text is the whole body, or a member of the object that is.
	top bool
}

// An edit replaces a span of a text.
type edit struct {
	sdp.Span
	with string
}

func (t *text) replace(s sdp.Span, with string) {
	if s.Of(t.s) != with {
		t.edits = append(t.edits, edit{s, with})
	}
}

// An element is one of an array in a JSON body.
type element struct {
	sdp.Span     // in the body
	texts    int // anywhere inside it
	gone     int // of those that are in no array inside it
	// room says that a copy of it may stand beside it: its array holds elements of one candidate alone.
	room bool
	// fixed says that its place in the array has a meaning, as that of an argument after the name of an event:
	// some element there neither is null nor has a text in it.
	fixed bool
}

// leaves reports whether nothing that the element was for is left.
func (e *element) leaves() bool { return !e.fixed && e.texts > 0 && e.gone == e.texts }

// A document is what was found in a body.
type document struct {
	body   string
	texts  []*text
	others []other      // strings of a JSON body that may tell an address in passing, names of members among them
	rest   []*text      // those of others that were edited
	arrays [][]*element // those with texts in them
	frames []frame

	open    []*element // of arrays that are being read
	unnamed []*text    // those in objects that are being read, and without a ufrag so far
	spare   []element

	kept      []text // texts whose memory is kept, of which some are taken
	taken     int
	unescaped []byte // what strings of JSON say that have escapes
}

// An other is a string in which nothing was found; most of what a text is for, it does not need.
type other struct {
	written    string
	start      int
	outer      *text
	quoted     bool
	foundation bool // it is the member foundation
}

// find reads the descriptions and candidates of a body.
func (d *document) find(body string, format Format) error {
	d.body = body
	switch format {
	case JSON:
		w := walker{d: d, s: body, top: true}
		w.mark()
		err := w.value("", nil)
		if w.space(); err == errNotJSON || err == nil && w.at < len(body) {
			err = fmt.Errorf("%w: %w", ErrMalformed, errNotJSON)
		}
		return err
	case Message:
		if !mayHold(body) {
			return nil
		}
		t := d.take()
		t.s, t.written, t.top = body, body, true
		return d.classify(t, 0)
	}
	t := d.take()
	t.s, t.written = body, body
	d.texts = append(d.texts, t)
	return t.parse(format == Fragment)
}

// classify takes a text for a description or a candidate if it is one, or for what holds some. A member sdp or
// candidate that is nearly one is refused, and so is any other text that hides one. level counts the strings
// that it is in.
func (d *document) classify(t *text, level int) error {
	var err error
	lines := candidateLine.in(t.s)
	switch {
	case t.s == "": // no description, or the end of candidates
		return nil
	case sdp.LooksLikeCandidate(t.s) && !(lines && strings.Contains(strings.TrimRight(t.s, "\r\n"), "\n")):
		t.single = true
		err = t.parseCandidate()
	case sdp.LooksLikeDescription(t.s):
		err = t.parse(false)
	default:
		if is, err := d.message(t, level); is || err != nil {
			return err
		}
		switch {
		case !lines && t.meansElse():
			d.pass(t.other(false))
			return nil
		case (lines || t.key == "sdp") && !inForm(t.s):
			err = t.parse(true)
		case t.key == "candidate":
			err = t.parseCandidate()
		case hides(t.s):
			err = &sdp.Error{Line: 1, What: "a candidate inside a longer text: want a description or a candidate alone, or JSON that holds it"}
		default:
			d.pass(t.other(t.key == "foundation"))
			return nil
		}
	}
	inJSON := t.quoted || t.outer != nil
	if inJSON {
		t.item = len(d.texts) + 1
		d.unnamed = append(d.unnamed, t)
	}
	if err != nil && inJSON {
		return fmt.Errorf("item %d of the JSON: %w", t.item, err)
	}
	if err == nil {
		d.texts = append(d.texts, t)
	}
	return err
}

// meansElse reports whether a member sdp or candidate is of an application that calls other things so, as the
// name of somebody who applies: no reader could take it for one of ours, and it tells no address.
func (t *text) meansElse() bool {
	switch {
	case mayTell(t.s) || hides(t.s):
		return false
	case t.key == "sdp":
		return !strings.Contains(t.s, "=")
	}
	return t.key == "candidate" && !strings.Contains(strings.ToLower(t.s), "typ")
}

func (t *text) other(foundation bool) other {
	return other{t.written, t.start, t.outer, t.quoted, foundation}
}

// pass takes down a string in which nothing was found, if it can tell an address at all.
func (d *document) pass(o other) {
	escaped := o.quoted && len(o.written) >= shortestAddr && strings.IndexByte(o.written, '\\') >= 0
	if o.foundation || escaped || mayTell(o.written) {
		d.others = append(d.others, o)
	}
}

const shortestAddr = len("1::")

// mayTell reports whether an address may stand in a string without escapes.
func mayTell(s string) bool {
	return len(s) >= shortestAddr && (strings.Count(s, ":") >= 2 || strings.Count(s, ".") >= 3)
}

// sweepOthers has a function look at the strings in which nothing was found.
func (d *document) sweepOthers(sweep func(*text)) {
	if len(d.others) == 0 {
		return
	}
	t := new(text)
	for _, o := range d.others {
		*t = text{written: o.written, start: o.start, outer: o.outer, quoted: o.quoted, s: o.written}
		if o.quoted {
			t.s = unescape(o.written)
		}
		if o.foundation {
			t.key = "foundation"
		}
		if sweep(t); len(t.edits) > 0 {
			d.rest = append(d.rest, t)
			t = new(text)
		}
	}
}

// hides reports whether a text that was not understood may hold a candidate.
func hides(s string) bool { return sdp.HidesCandidate(s) || inForm(s) }

// inForm reports whether a candidate may stand in a text as forms and URLs are encoded.
func inForm(s string) bool {
	return candidateWord.in(s) && (strings.Contains(s, "%20typ%20") || strings.Contains(s, "+typ+"))
}
