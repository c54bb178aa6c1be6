package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/candgw/candgw/gateway"
)

// An eventReader rewrites what events of text/event-stream say, event by event, and passes each on as soon as
// it is whole. All else in the stream stays as it is.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
type eventReader struct {
	ctx  context.Context
	flow *flow
	in   io.Reader
	raw  []byte // read, and not yet a whole event
	out  []byte // to pass on
	err  error  // of in
	fail func(error) error
	// As far as raw was looked at, where its line begins, and that a line feed after it is part of a line end.
	at, line int
	afterCR  bool
	unread   bool
}

func (f *flow) eventStream(ctx context.Context, in io.Reader, x *exchange) io.Reader {
	return &eventReader{ctx: ctx, flow: f, in: in, fail: func(err error) error {
		x.hidden.Store(&refusal{http.StatusBadGateway, err.Error(), err})
		return err
	}}
}

func (e *eventReader) Read(to []byte) (int, error) {
	for len(e.out) == 0 {
		if event, ok := e.next(); ok {
			var err error
			if e.out, err = e.rewrite(event); err != nil {
				e.err, e.raw, e.out = e.fail(err), nil, nil
				return 0, e.err
			}
			continue
		}
		if e.err != nil {
			return 0, e.err // what is no whole event says nothing
		}
		if len(e.raw) > gateway.MaxBody {
			if e.flow.encrypt {
				e.err = e.fail(e.flow.refuse(&refusal{http.StatusBadGateway, gateway.ErrTooLarge.Error(), gateway.ErrTooLarge}))
				return 0, e.err
			}
			// Its names stay names.
			e.out, e.raw, e.at, e.line, e.unread = e.raw, nil, 0, 0, true
			continue
		}
		var chunk [4 << 10]byte
		n, err := e.in.Read(chunk[:])
		e.raw, e.err = append(e.raw, chunk[:n]...), err
	}
	n := copy(to, e.out)
	e.out = e.out[n:]
	return n, nil
}

// next takes a whole event off what was read: all up to and with an empty line.
func (e *eventReader) next() ([]byte, bool) {
	for ; e.at < len(e.raw); e.at++ {
		c := e.raw[e.at]
		if e.afterCR && c == '\n' {
			e.afterCR, e.line = false, e.at+1
			continue
		}
		if e.afterCR = c == '\r'; c != '\r' && c != '\n' {
			continue
		}
		empty := e.line == e.at
		if e.line = e.at + 1; empty {
			event := e.raw[:e.line]
			e.raw, e.at, e.line = e.raw[e.line:], 0, 0
			return event, true
		}
	}
	return nil, false
}

// rewrite returns an event with other data.
func (e *eventReader) rewrite(event []byte) ([]byte, error) {
	if e.unread { // the end of one that was too long
		e.unread = false
		return event, nil
	}
	var out, data []byte
	var others [][]byte
	has := false
	whole := event
	if len(event) > 1 && event[0] == '\n' { // of the carriage return that ended the event before
		out, event = append(out, '\n'), event[1:]
	}
	for rest := event; len(rest) > 0; {
		line := rest
		if i := bytes.IndexAny(rest, "\r\n"); i >= 0 {
			if line = rest[:i+1]; rest[i] == '\r' && i+1 < len(rest) && rest[i+1] == '\n' {
				line = rest[:i+2]
			}
		}
		rest = rest[len(line):]
		text := bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(text, []byte(":"))
		if string(bytes.TrimPrefix(name, []byte("\ufeff"))) != "data" {
			if e.flow.encrypt && hides(string(text)) != nil {
				return nil, e.flow.refuse(&refusal{http.StatusBadGateway, "a candidate in an event, and not in its data", errHidden})
			}
			others = append(others, line)
			continue
		}
		if has {
			data = append(data, '\n')
		}
		data, has = append(data, bytes.TrimPrefix(value, []byte(" "))...), true
	}
	if !has || len(data) == 0 {
		return whole, nil
	}
	next, err := e.flow.rewrite(e.ctx, data, gateway.Message)
	switch {
	case errors.Is(err, errLeftOut):
		return out, nil
	case err != nil:
		return nil, err
	case bytes.Equal(next, data):
		return whole, nil
	}
	for line := range bytes.SplitSeq(next, []byte("\n")) {
		out = append(append(append(out, "data: "...), line...), '\n')
	}
	for _, line := range others {
		out = append(out, line...)
	}
	return out, nil
}
