package gateway

import (
	"errors"
	"slices"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
)

// errNotJSON says that what a walker reads is not JSON.
var errNotJSON = errors.New("not JSON")

// maxNesting is how many brackets may be open at once, as in encoding/json.
const maxNesting = 10_000

// A walker reads values of JSON as RFC 8259 has them, and hands the strings in them on. Invalid UTF-8 and lone
// surrogates pass, as they do in browsers.
type walker struct {
	d     *document
	s     string // of which it reads up to the end
	at    int
	depth int   // of open brackets
	outer *text // the string that s is; nil if it is the body
	level int   // how many strings s is in
	top   bool  // s is the body, and has one value
}

// mark skips a byte order mark.
func (w *walker) mark() {
	if strings.HasPrefix(w.s[w.at:], "\ufeff") {
		w.at += len("\ufeff")
	}
}

func (w *walker) space() {
	for w.at < len(w.s) && w.s[w.at] <= ' ' && (w.s[w.at] == ' ' || w.s[w.at] == '\t' || w.s[w.at] == '\r' || w.s[w.at] == '\n') {
		w.at++
	}
}

// next reads one octet after white space if it is b.
func (w *walker) next(b byte) bool {
	w.space()
	if w.at < len(w.s) && w.s[w.at] == b {
		w.at++
		return true
	}
	return false
}

// value reads the value at w.at. key is the name of the member that it is; in is the innermost element of an
// array that it is or is part of. The error is errNotJSON, or what is wrong with a string.
func (w *walker) value(key string, in *element) error {
	w.space()
	if w.at == len(w.s) {
		return errNotJSON
	}
	switch w.s[w.at] {
	case '{':
		return w.nested(in, true)
	case '[':
		return w.nested(in, false)
	case '"':
		at, escaped, err := w.scan()
		if err != nil {
			return err
		}
		return w.text(at, escaped, key, in, w.top && in == nil && w.depth <= 1)
	case 'n':
		return w.literal("null")
	case 't':
		return w.literal("true")
	case 'f':
		return w.literal("false")
	}
	return w.number()
}

func (w *walker) literal(s string) error {
	if !strings.HasPrefix(w.s[w.at:], s) {
		return errNotJSON
	}
	w.at += len(s)
	return nil
}

func (w *walker) number() error {
	w.octet('-')
	if !w.octet('0') && !w.digits() {
		return errNotJSON
	}
	if w.octet('.') && !w.digits() {
		return errNotJSON
	}
	if w.octet('e') || w.octet('E') {
		if !w.octet('+') {
			w.octet('-')
		}
		if !w.digits() {
			return errNotJSON
		}
	}
	return nil
}

// octet reads one octet if it is b.
func (w *walker) octet(b byte) bool {
	if w.at == len(w.s) || w.s[w.at] != b {
		return false
	}
	w.at++
	return true
}

// digits reads them, and reports whether there were any.
func (w *walker) digits() bool {
	start := w.at
	for w.at < len(w.s) && isDigit(w.s[w.at]) {
		w.at++
	}
	return w.at > start
}

// nested reads what begins with a bracket: an object or an array.
func (w *walker) nested(in *element, object bool) (err error) {
	if w.depth == maxNesting {
		return errNotJSON
	}
	w.at++
	w.depth++
	if object {
		err = w.object(in)
	} else {
		err = w.array()
	}
	w.depth--
	return err
}

func (w *walker) object(in *element) error {
	if w.next('}') {
		return nil
	}
	first := len(w.d.unnamed)
	var ufrag string
	for {
		name, err := w.name()
		if err != nil {
			return err
		}
		if name == "usernameFragment" {
			ufrag = w.ahead(ufrag)
		}
		if err := w.value(name, in); err != nil {
			return err
		}
		if w.next('}') {
			break
		}
		if !w.next(',') {
			return errNotJSON
		}
	}
	if ufrag != "" {
		for _, t := range w.d.unnamed[first:] {
			t.ufrag = ufrag
		}
		w.d.unnamed = w.d.unnamed[:first]
	}
	return nil
}

// name reads the name of a member, and the colon after it.
func (w *walker) name() (string, error) {
	w.space()
	at, escaped, err := w.scan()
	if err != nil {
		return "", err
	}
	if err := w.text(at, escaped, "", nil, false); err != nil {
		return "", err
	}
	if !w.next(':') {
		return "", errNotJSON
	}
	name := at.Of(w.s)
	if escaped {
		name = unescape(name)
	}
	return name, nil
}

// ahead returns the string that comes next, or, if none does, what it is given.
func (w *walker) ahead(otherwise string) string {
	before := w.at
	defer func() { w.at = before }()
	w.space()
	at, _, err := w.scan()
	if err != nil {
		return otherwise
	}
	return unescape(at.Of(w.s))
}

func (w *walker) array() error {
	if w.next(']') {
		return nil
	}
	d := w.d
	spare, open, first := d.spare, len(d.open), len(d.texts)
	alike, fixed := true, false
	for {
		w.space()
		e := d.element()
		start, before := w.at, len(d.texts)
		if err := w.value("", e); err != nil {
			return err
		}
		e.Span, e.texts = sdp.Span{Start: start, End: w.at}, len(d.texts)-before
		d.open = append(d.open, e)
		alike = alike && e.texts == 1
		fixed = fixed || e.texts == 0 && w.s[start:w.at] != "null"
		if w.next(']') {
			break
		}
		if !w.next(',') {
			return errNotJSON
		}
	}
	if len(d.texts) > first {
		array := slices.Clone(d.open[open:])
		for _, e := range array {
			e.Span, e.room, e.fixed = w.outer.inBody(e.Span), alike, fixed
		}
		d.arrays = append(d.arrays, array)
	} else {
		d.spare = spare // of these elements none is in use
	}
	d.open = d.open[:open]
	return nil
}

// element returns one in memory that is made for many at once.
func (d *document) element() *element {
	if len(d.spare) == 0 {
		d.spare = make([]element, 32)
	}
	e := &d.spare[0]
	*e, d.spare = element{}, d.spare[1:]
	return e
}

// scan reads the string at w.at, and returns where its content stands and whether there are escapes in it.
func (w *walker) scan() (content sdp.Span, escaped bool, err error) {
	if !w.octet('"') {
		return content, false, errNotJSON
	}
	content.Start = w.at
	s := w.s
	for i := plain(s, w.at); i < len(s); i = plain(s, i+1) {
		switch c := s[i]; {
		case c == '"':
			content.End, w.at = i, i+1
			return content, escaped, nil
		case c < ' ':
			return content, false, errNotJSON
		case c == '\\':
			escaped = true
			if i++; !isEscape(s[i:]) {
				return content, false, errNotJSON
			}
		}
	}
	return content, false, errNotJSON
}

// text hands a string on: to be looked at closely if it may hold anything.
func (w *walker) text(at sdp.Span, escaped bool, key string, in *element, top bool) error {
	written := at.Of(w.s)
	switch {
	case written == "":
		return nil
	case len(written) < shortestText && !escaped && !mayTell(written) && !isKnown(key): // as most strings
		return nil
	case key == "sdp" || key == "candidate" || len(written) >= shortestText && mayHold(written) || escaped && strings.Contains(written, escapedASCII):
		t := w.d.take()
		t.s, t.written, t.start, t.outer, t.quoted = written, written, at.Start, w.outer, true
		t.key, t.element, t.top = key, in, top
		if escaped {
			start := len(w.d.unescaped)
			w.d.unescaped = appendUnescaped(w.d.unescaped, written)
			t.s = view(w.d.unescaped[start:])
		}
		return w.d.classify(t, w.level)
	}
	w.d.pass(other{written, at.Start, w.outer, true, key == "foundation"})
	return nil
}

// isKnown reports whether a member is one that is looked at closely.
func isKnown(key string) bool { return key == "sdp" || key == "candidate" || key == "foundation" }

// shortestText is shorter than any candidate and any description with an address.
const shortestText = len("candidate:1 1 u 1 ::1 1 typ")
