package gateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/candgw/candgw/internal/sdp"
)

// A text is one description, fragment or candidate inside a body; or, without a desc, any other
// string of a JSON body.
type text struct {
	item int // as in CandidateReport
	s    string
	desc *sdp.Description
	// raw maps an offset in s to one in the body; nil where they are the same.
	raw []int
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
	sdp.Span
	texts int // anywhere inside it
	gone  int // of those that are in no array inside it
	// room says that a copy of it may stand beside it: its array holds elements of one candidate alone. Others,
	// as the name of an event, say that places in the array have a meaning.
	room bool
}

// leaves reports whether nothing that the element was for is left.
func (e *element) leaves() bool { return e.texts > 0 && e.gone == e.texts }

// A document is what was found in a body.
type document struct {
	body   string
	texts  []*text
	rest   []*text // the other strings of a JSON body, names of members among them
	arrays [][]*element

	at, depth int // of the walk
}

// findTexts returns the descriptions and candidates of a body, parsed.
func findTexts(body string, format Format) (*document, error) {
	d := &document{body: body}
	if format == Message {
		var ok bool
		if format, ok = formatOfMessage(body); !ok {
			if sdp.HidesCandidate(body) {
				return nil, &sdp.Error{Line: 1, What: "a candidate inside a message of a format that is not known"}
			}
			return d, nil
		}
	}
	if format != JSON {
		desc, err := sdp.Parse(body, format == Fragment)
		if err != nil {
			return nil, err
		}
		d.texts = []*text{{s: body, desc: desc}}
		return d, nil
	}
	if !json.Valid([]byte(body)) {
		return nil, fmt.Errorf("%w: not JSON", ErrMalformed)
	}
	return d, d.value("", nil)
}

// formatOfMessage returns the format of a message of an application, if it is one.
func formatOfMessage(body string) (Format, bool) {
	switch {
	case json.Valid([]byte(body)):
		return JSON, true
	case sdp.LooksLikeDescription(body):
		return SDP, true
	case sdp.LooksLikeCandidate(body):
		return Fragment, true
	}
	return 0, false
}

// value walks the value at d.at, in a document that is known to be valid. key is the name of the
// member that it is, in the innermost element of an array that it is or is part of.
func (d *document) value(key string, in *element) error {
	d.space()
	switch d.body[d.at] {
	case '{':
		return d.object(in)
	case '[':
		var array []*element
		err := d.members(']', func() error {
			e := &element{Span: sdp.Span{Start: d.at}}
			before := len(d.texts)
			err := d.value("", e)
			e.End, e.texts = d.at, len(d.texts)-before
			array = append(array, e)
			return err
		})
		alike := !slices.ContainsFunc(array, func(e *element) bool { return e.texts != 1 })
		for _, e := range array {
			e.room = alike
		}
		d.arrays = append(d.arrays, array)
		return err
	case '"':
		s, raw := d.str()
		return d.string(&text{s: s, raw: raw, key: key, element: in, top: in == nil && d.depth <= 1})
	}
	for d.at < len(d.body) && strings.IndexByte(",]} \t\r\n", d.body[d.at]) < 0 {
		d.at++
	}
	return nil
}

func (d *document) object(in *element) error {
	first := len(d.texts)
	var ufrag string
	err := d.members('}', func() error {
		name, raw := d.str()
		if err := d.string(&text{s: name, raw: raw}); err != nil {
			return err
		}
		d.space()
		d.at++ // the colon
		d.space()
		if name == "usernameFragment" && d.body[d.at] == '"' {
			at := d.at
			ufrag, _ = d.str()
			d.at = at
		}
		return d.value(name, in)
	})
	for _, t := range d.texts[first:] {
		if t.ufrag == "" {
			t.ufrag = ufrag
		}
	}
	return err
}

// members walks what stands between brackets.
func (d *document) members(end byte, each func() error) error {
	d.at++
	d.depth++
	for first := true; ; first = false {
		d.space()
		if d.body[d.at] == end {
			d.at++
			d.depth--
			return nil
		}
		if !first {
			d.at++ // the comma
			d.space()
		}
		if err := each(); err != nil {
			return err
		}
	}
}

func (d *document) space() {
	for d.at < len(d.body) && strings.IndexByte(" \t\r\n", d.body[d.at]) >= 0 {
		d.at++
	}
}

// string takes a string for a description or a candidate if it is one. A member sdp or candidate
// that is none is refused, and so is any other string that hides one.
func (d *document) string(t *text) error {
	var err error
	lines := containsFold(t.s, "a=candidate")
	switch {
	case t.s == "": // no description, or the end of candidates
		return nil
	case sdp.LooksLikeCandidate(t.s) && !(lines && strings.Contains(strings.TrimRight(t.s, "\r\n"), "\n")):
		t.single = true
		t.desc, err = sdp.ParseCandidate(t.s)
	case sdp.LooksLikeDescription(t.s):
		t.desc, err = sdp.Parse(t.s, false)
	case lines, t.key == "sdp":
		t.desc, err = sdp.Parse(t.s, true)
	case t.key == "candidate":
		t.desc, err = sdp.ParseCandidate(t.s)
	case sdp.HidesCandidate(t.s):
		err = &sdp.Error{Line: 1, What: "a candidate inside a longer text: want JSON itself, not JSON in a string"}
	default:
		d.rest = append(d.rest, t)
		return nil
	}
	t.item = len(d.texts) + 1
	if err != nil {
		return fmt.Errorf("item %d of the JSON: %w", t.item, err)
	}
	d.texts = append(d.texts, t)
	return nil
}

func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// str reads the string at d.at and maps each offset in it, its end included, to one in the body.
func (d *document) str() (string, []int) {
	d.at++
	var out []byte
	var raw []int
	put := func(at int, b ...byte) {
		for range b {
			raw = append(raw, at)
		}
		out = append(out, b...)
	}
	for d.body[d.at] != '"' {
		at := d.at
		if d.body[at] != '\\' {
			put(at, d.body[at])
			d.at++
			continue
		}
		d.at += 2
		switch c := d.body[at+1]; c {
		case 'n':
			put(at, '\n')
		case 'r':
			put(at, '\r')
		case 't':
			put(at, '\t')
		case 'b':
			put(at, '\b')
		case 'f':
			put(at, '\f')
		case 'u':
			r := d.hex4()
			if utf16.IsSurrogate(r) && strings.HasPrefix(d.body[d.at:], `\u`) {
				// Only a whole pair is one character. Half of one must not swallow what follows it.
				d.at += 2
				if pair := utf16.DecodeRune(r, d.hex4()); pair != utf8.RuneError {
					r = pair
				} else {
					d.at -= 6
				}
			}
			put(at, utf8.AppendRune(nil, r)...)
		default: // a quotation mark or a slash
			put(at, c)
		}
	}
	raw = append(raw, d.at)
	d.at++
	return string(out), raw
}

func (d *document) hex4() rune {
	r, _ := strconv.ParseUint(d.body[d.at:d.at+4], 16, 32) // json.Valid has seen that it is
	d.at += 4
	return rune(r)
}
