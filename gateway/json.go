package gateway

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/candgw/candgw/internal/sdp"
)

// A text is one description, fragment or candidate inside a body.
type text struct {
	item int // as in CandidateReport
	s    string
	desc *sdp.Description
	// raw maps an offset in s to one in the body; nil where they are the same.
	raw []int
	// ufrag is the usernameFragment that stands beside a candidate in JSON.
	ufrag string
	// single says that s is one candidate and not lines.
	single bool
	// gone says that a single candidate was dropped.
	gone  bool
	edits []edit

	object, array *container // that the text stands in; array also if its object is an element of it
	element       int        // which one of the array
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

// A container is an object or an array in a JSON body.
type container struct {
	ufrag    string     // the member usernameFragment of an object
	elements []sdp.Span // of an array
	gone     map[int]bool
}

// A document is a JSON body as far as leaving an element of an array out needs it.
type document struct {
	body   string
	at     int
	texts  []*text
	arrays []*container
	root   *container
}

// findTexts returns the descriptions and candidates of a body, parsed.
func findTexts(body string, format Format) ([]*text, *document, error) {
	if format != JSON {
		desc, err := sdp.Parse(body, format == Fragment)
		if err != nil {
			return nil, nil, err
		}
		return []*text{{s: body, desc: desc}}, nil, nil
	}
	if !json.Valid([]byte(body)) {
		return nil, nil, fmt.Errorf("%w: not JSON", ErrMalformed)
	}
	d := &document{body: body}
	if err := d.value("", nil, nil, 0); err != nil {
		return nil, nil, err
	}
	for i, t := range d.texts {
		t.item = i + 1
		if t.object != nil {
			t.ufrag = t.object.ufrag
		}
	}
	return d.texts, d, nil
}

// value walks the value at d.at, in a document that is known to be valid. key is the member's that
// it belongs to; object the object that it is a member of; array the array of which it, or its
// object, is an element.
func (d *document) value(key string, object, array *container, element int) error {
	d.space()
	switch d.body[d.at] {
	case '{':
		if object != nil {
			array = nil // a member's object is no element
		}
		o := &container{}
		if d.root == nil {
			d.root = o
		}
		return d.members('}', func(int) error {
			name, _ := d.str()
			d.space()
			d.at++ // the colon
			d.space()
			if name == "usernameFragment" && d.body[d.at] == '"' {
				o.ufrag, _ = d.str()
				return nil
			}
			return d.value(name, o, array, element)
		})
	case '[':
		a := &container{gone: map[int]bool{}}
		d.arrays = append(d.arrays, a)
		return d.members(']', func(i int) error {
			start := d.at
			err := d.value("", nil, a, i)
			a.elements = append(a.elements, sdp.Span{Start: start, End: d.at})
			return err
		})
	case '"':
		s, raw := d.str()
		return d.string(key, s, raw, object, array, element)
	}
	for d.at < len(d.body) && !strings.ContainsRune(",]} \t\r\n", rune(d.body[d.at])) {
		d.at++
	}
	return nil
}

// members walks what stands between brackets.
func (d *document) members(end byte, each func(i int) error) error {
	d.at++
	for i := 0; ; i++ {
		d.space()
		if d.body[d.at] == end {
			d.at++
			return nil
		}
		if i > 0 {
			d.at++ // the comma
			d.space()
		}
		if err := each(i); err != nil {
			return err
		}
	}
}

func (d *document) space() {
	for d.at < len(d.body) && strings.IndexByte(" \t\r\n", d.body[d.at]) >= 0 {
		d.at++
	}
}

// string takes a string value for a text if it is one. Strings that browsers would never take for
// SDP are left alone; a member sdp or candidate that is none is refused.
func (d *document) string(key, s string, raw []int, object, array *container, element int) error {
	t := &text{s: s, raw: raw, object: object, array: array, element: element}
	var err error
	switch {
	case s == "": // no description, or the end of candidates
		return nil
	case sdp.LooksLikeCandidate(s) && strings.Count(strings.TrimRight(s, "\r\n"), "\n") == 0:
		t.single = true
		t.desc, err = sdp.ParseCandidate(s)
	case strings.HasPrefix(s, "v=0\n"), strings.HasPrefix(s, "v=0\r\n"):
		t.desc, err = sdp.Parse(s, false)
	case containsFold(s, "a=candidate"):
		t.desc, err = sdp.Parse(s, true)
	case key == "sdp":
		t.desc, err = sdp.Parse(s, false)
	case key == "candidate":
		t.desc, err = sdp.ParseCandidate(s)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("item %d of the JSON: %w", len(d.texts)+1, err)
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

// isRoot reports whether a text is the whole body, or a member of the object that is.
func (d *document) isRoot(t *text) bool {
	return t.array == nil && (t.object == nil || t.object == d.root)
}
