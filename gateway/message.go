package gateway

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/candgw/candgw/internal/sdp"
)

const (
	// maxLevels is how many strings of JSON may be one in another, each JSON itself.
	maxLevels = 8
	// recordSeparator stands between the packets of an engine.io 4 payload, and after the messages of SignalR.
	recordSeparator = "\x1e"
)

// A frame is one packet of an engine.io 3 payload, which begins with its length.
type frame struct {
	length sdp.Span
	packet sdp.Span
	units  int // the length: of UTF-16, as JavaScript counts
}

// message reads a text that is JSON, one value or several, bare or in frames, and reports whether it is. level
// counts the strings that the text is in.
func (d *document) message(t *text, level int) (bool, error) {
	if !t.quoted {
		if frames := lengthPrefixed(t.s); len(frames) > 0 {
			return d.framed(t, frames, level)
		}
	}
	if strings.Contains(t.s, recordSeparator) {
		return d.separated(t, level)
	}
	w := d.walkerOf(t, level)
	w.top = t.top && !t.quoted
	return w.record(t, sdp.Span{End: len(t.s)})
}

// walkerOf returns a walker that reads what a text says.
func (d *document) walkerOf(t *text, level int) walker {
	if t.quoted {
		return walker{d: d, outer: t, level: level + 1}
	}
	return walker{d: d, level: level}
}

// framed reads an engine.io 3 payload.
func (d *document) framed(t *text, frames []frame, level int) (bool, error) {
	w := d.walkerOf(t, level)
	is, err := w.records(t, func(yield func(sdp.Span) bool) {
		for i := 0; i < len(frames) && yield(frames[i].packet); i++ {
		}
	})
	if is {
		d.frames = frames
	}
	return is, err
}

// separated reads records between separators.
func (d *document) separated(t *text, level int) (bool, error) {
	w := d.walkerOf(t, level)
	return w.records(t, func(yield func(sdp.Span) bool) {
		for start := 0; start <= len(t.s); {
			end := len(t.s)
			if i := strings.Index(t.s[start:], recordSeparator); i >= 0 {
				end = start + i
			}
			if !yield(sdp.Span{Start: start, End: end}) {
				return
			}
			start = end + 1
		}
	})
}

// records reads several records, of which one at least is JSON, and the others hold nothing.
func (w *walker) records(t *text, all iter.Seq[sdp.Span]) (is bool, err error) {
	var plain []sdp.Span
	for at := range all {
		ok, err := w.record(t, at)
		if err != nil {
			return false, err
		}
		if is = is || ok; !ok {
			plain = append(plain, at)
		}
	}
	if !is {
		return false, nil
	}
	for _, at := range plain {
		if hides(at.Of(t.s)) {
			return false, &sdp.Error{Line: 1, What: "a candidate in a packet of a format that is not known: want JSON"}
		}
		w.pass(t, at)
	}
	return true, nil
}

// pass takes down a part of a text in which nothing was found.
func (w *walker) pass(t *text, at sdp.Span) {
	o := other{written: at.Of(t.s), start: at.Start, outer: w.outer}
	w.d.pass(o)
}

// record reads one record: the head of a frame, if it has one, and values of JSON up to its end.
func (w *walker) record(t *text, at sdp.Span) (is bool, err error) {
	w.s, w.at = t.s[:at.End], at.Start
	w.mark()
	w.space()
	head := sdp.Span{Start: w.at, End: w.at + frameHead(w.s[w.at:])}
	w.at = head.End
	w.space()
	if w.at == len(w.s) || strings.IndexByte(`{["`, w.s[w.at]) < 0 {
		return false, nil
	}
	if w.level > maxLevels {
		return false, &sdp.Error{Line: 1, What: fmt.Sprintf("JSON in strings of JSON more than %d deep", maxLevels)}
	}
	texts, others, arrays, open, unnamed := len(w.d.texts), len(w.d.others), len(w.d.arrays), len(w.d.open), len(w.d.unnamed)
	values := 0
	for ; w.at < len(w.s); values++ {
		if err := w.value(t.key, t.element); err == errNotJSON {
			clear(w.d.texts[texts:]) // beyond their lengths nothing is to be left
			clear(w.d.others[others:])
			w.d.texts, w.d.others, w.d.arrays, w.d.open = w.d.texts[:texts], w.d.others[:others], w.d.arrays[:arrays], w.d.open[:open]
			w.d.unnamed = w.d.unnamed[:unnamed]
			w.depth = 0
			return false, nil
		} else if err != nil {
			return false, err
		}
		w.space()
	}
	if values > 1 {
		for _, t := range w.d.texts[texts:] {
			t.top = false
		}
	}
	w.pass(t, head)
	return true, nil
}

// frameHead returns the length of what engine.io, socket.io and SockJS put before JSON: types of packets, and a
// number of attachments, a name space and the number of an acknowledgment where there are any.
func frameHead(s string) int {
	if strings.HasPrefix(s, "a[") { // SockJS: an array of messages
		return 1
	}
	i := digitsOf(s)
	if i > 0 && i < len(s) && s[i] == '-' {
		i++
	}
	if i > 0 && i < len(s) && s[i] == '/' {
		end := strings.IndexFunc(s[i:], func(r rune) bool { return r <= ' ' || r > '~' || r == ',' })
		if end < 0 || s[i+end] != ',' {
			return i
		}
		i += end + 1
	}
	return i + digitsOf(s[i:])
}

// digitsOf returns how many digits a text begins with.
func digitsOf(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// lengthPrefixed returns the frames of an engine.io 3 payload, nil if a text is none.
func lengthPrefixed(s string) (frames []frame) {
	for at := 0; at < len(s); {
		start, n := at, digitsOf(s[at:])
		if n == 0 || at+n == len(s) || s[at+n] != ':' || s[start] == '0' {
			return nil
		}
		units, err := strconv.Atoi(s[at : at+n])
		if at += n; err != nil {
			return nil
		}
		f := frame{length: sdp.Span{Start: start, End: at}, packet: sdp.Span{Start: at + 1}, units: units}
		for at++; units > 0 && at < len(s); {
			r, size := utf8.DecodeRuneInString(s[at:])
			at += size
			units -= utf16.RuneLen(r)
		}
		if units != 0 {
			return nil
		}
		f.packet.End = at
		frames = append(frames, f)
	}
	return frames
}

// correctLengths returns the edits of the lengths before packets that became longer or shorter. It takes all
// edits of the body in order.
func (d *document) correctLengths(edits []edit) (out []edit) {
	for _, f := range d.frames {
		units := f.units
		for len(edits) > 0 && edits[0].Start < f.packet.End {
			units += unitsOf(edits[0].with) - unitsOf(edits[0].Of(d.body))
			edits = edits[1:]
		}
		if units != f.units {
			out = append(out, edit{f.length, strconv.Itoa(units)})
		}
	}
	return out
}

// unitsOf returns the length of a text in UTF-16.
func unitsOf(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}
