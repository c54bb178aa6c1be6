package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/sdp"
)

const (
	// maxInFlight and maxQueued bound what waits for names in one direction: in messages, and each in octets.
	maxInFlight = 16
	maxQueued   = 64 << 10
	// chunk is how much of a message that is not read whole is passed on at once, in octets.
	chunk = 32 << 10
)

// An activity tells whether anything has passed lately.
type activity struct{ passed atomic.Bool }

func (a *activity) note() {
	if !a.passed.Load() {
		a.passed.Store(true)
	}
}

// since reports whether anything has passed since it was asked last.
func (a *activity) since() bool { return a.passed.Swap(false) }

// A pump passes the messages of one direction on, in their order. What has names to be asked for waits in a
// queue, so that all of it is asked for at once; where nothing waits, a message passes without changing hands.
type pump struct {
	conversation *conversation
	flow         *flow
	from, to     *websocket.Conn
	inspect      bool
	buffer       []byte
	slow         *time.Timer // cuts an end that does not read

	queue   chan *waiting // nil until something waits
	waits   atomic.Int32  // how many are in it
	broken  atomic.Bool   // one of them is not passed on, so that nothing may be any more
	drained chan struct{}
}

type message struct {
	kind websocket.MessageType
	body []byte
}

// waiting is a message in the queue; one without a kind only tells that its turn has come.
type waiting struct {
	message
	done chan struct{} // closed once it is rewritten
	err  error
}

func newPump(c *conversation, f *flow, from, to *websocket.Conn, inspect bool) *pump {
	p := &pump{conversation: c, flow: f, from: from, to: to, inspect: inspect}
	p.slow = time.AfterFunc(writePatience, func() { to.CloseNow() })
	p.slow.Stop()
	return p
}

// run returns when nothing more is to be passed on.
func (p *pump) run(ctx context.Context) ending {
	defer p.slow.Stop()
	end := p.read(ctx)
	if p.queue != nil {
		close(p.queue)
		<-p.drained
	}
	return end
}

// read passes on what can be at once, and queues the rest.
func (p *pump) read(ctx context.Context) ending {
	for {
		kind, r, err := p.from.Reader(context.Background()) // which ends when the connection is closed
		if err != nil {
			end := endingOf(err)
			if p.inspect && p.flow.encrypt && hides(end.reason) != nil {
				end.reason = ""
			}
			return end
		}
		p.conversation.activity.note()
		if !p.inspect || p.flow.unread() {
			if err = p.drain(); err == nil {
				err = p.stream(kind, nil, r)
			}
		} else {
			err = p.message(ctx, kind, r)
		}
		if err != nil {
			return endingOf(err)
		}
		if cap(p.buffer) > chunk { // which many silent connections must not keep
			p.buffer = nil
		}
	}
}

// endingOf returns how a conversation ends with an error.
func endingOf(err error) ending {
	var closed websocket.CloseError
	var why *refusal
	switch {
	case errors.As(err, &closed):
		return ending{code: closed.Code, reason: closed.Reason}
	case errors.As(err, &why):
		return ending{code: codeOf(why), reason: shortReason("candgw: " + why.what)}
	}
	return ending{writing: errors.Is(err, errWriting)}
}

// message passes on one that is looked into.
func (p *pump) message(ctx context.Context, kind websocket.MessageType, r io.Reader) error {
	body, whole, err := p.readWhole(r)
	if err != nil {
		return err
	}
	if !whole {
		return p.long(kind, body, r)
	}
	m := message{kind, body}
	if kind == websocket.MessageText && !utf8.Valid(body) {
		return p.flow.refuse(&refusal{http.StatusBadRequest, "a text message that is not UTF-8", gateway.ErrMalformed})
	}
	if kind == websocket.MessageBinary && !looksLikeJSON(body) {
		if sdp.HidesCandidate(string(body)) && p.flow.encrypt {
			return p.flow.refuse(&refusal{http.StatusUnsupportedMediaType, "a candidate in a binary message, which cannot be rewritten", errHidden})
		}
		p.flow.count(Unchanged)
		return p.pass(m)
	}
	if !gateway.MayHold(body) {
		p.flow.count(Unchanged)
		return p.pass(m)
	}
	rewriting, err := p.flow.begin(body, gateway.Message)
	if err != nil {
		return err
	}
	if len(body) > maxQueued {
		if err := p.drain(); err != nil {
			return err
		}
	} else if p.waits.Load() > 0 || asksForNames(body) {
		later := rewriting // a copy of its own, so that those that do not wait allocate none
		p.enqueue(m, func() ([]byte, error) { return later.finish(ctx) })
		return nil
	}
	m.body, err = rewriting.finish(ctx)
	return p.finished(m, err)
}

// asksForNames reports whether names may have to be asked for. Where it errs, it waits for them all the same.
func asksForNames(body []byte) bool { return bytes.Contains(body, []byte(".local")) }

func looksLikeJSON(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && bytes.IndexByte([]byte(`{["`), trimmed[0]) >= 0 && json.Valid(body)
}

// readWhole reads a message into the pump's buffer. If it is longer than can be looked into it returns the
// beginning.
func (p *pump) readWhole(r io.Reader) (body []byte, whole bool, err error) {
	if cap(p.buffer) == 0 {
		p.buffer = make([]byte, 0, 4<<10)
	}
	b := p.buffer[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), gateway.MaxBody+1)])
		b = b[:len(b)+n]
		p.buffer = b
		switch {
		case err == io.EOF:
			return b, true, nil
		case err != nil:
			return nil, false, err
		case len(b) > gateway.MaxBody:
			return b, false, nil
		}
	}
}

// long passes on a message that is too long to be rewritten, of which the beginning was read.
func (p *pump) long(kind websocket.MessageType, begin []byte, r io.Reader) error {
	p.buffer = nil // it holds the beginning
	if !p.flow.encrypt {
		p.flow.count(Unchanged)
		if err := p.drain(); err != nil {
			return err
		}
		return p.stream(kind, begin, r) // its names stay names
	}
	trimmed := bytes.TrimLeft(begin, " \t\r\n")
	if kind == websocket.MessageText || len(trimmed) == 0 || bytes.IndexByte([]byte(`{["`), trimmed[0]) >= 0 {
		return p.flow.refuse(&refusal{http.StatusRequestEntityTooLarge, "the message is longer than 256 KiB", gateway.ErrTooLarge})
	}
	if err := p.drain(); err != nil {
		return err
	}
	p.flow.count(Unchanged)
	return p.stream(kind, nil, &scanner{in: io.MultiReader(bytes.NewReader(begin), r), found: func() error {
		return p.flow.refuse(&refusal{http.StatusUnsupportedMediaType, "a candidate in a binary message, which cannot be rewritten", errHidden})
	}})
}

// stream passes a message on as it comes.
func (p *pump) stream(kind websocket.MessageType, begin []byte, r io.Reader) error {
	if cap(p.buffer) < chunk {
		p.buffer = make([]byte, 0, chunk)
	}
	buffer := p.buffer[:chunk]
	if begin == nil {
		// A message that is short, as most are, is one frame.
		n, err := readUntil(r, buffer)
		if err == io.EOF {
			return p.pass(message{kind, buffer[:n]})
		} else if err != nil {
			return err
		}
		begin = bytes.Clone(buffer[:n])
	}
	if p.broken.Load() {
		return errBroken
	}
	w, err := p.to.Writer(context.Background(), kind)
	if err != nil {
		return errors.Join(errWriting, err)
	}
	rest := io.MultiReader(bytes.NewReader(begin), r)
	for {
		n, err := rest.Read(buffer)
		if n > 0 {
			p.conversation.activity.note()
			p.slow.Reset(writePatience)
			_, failed := w.Write(buffer[:n])
			p.slow.Stop()
			if failed != nil {
				return errors.Join(errWriting, failed)
			}
		}
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return errors.Join(errWriting, err)
	}
	return nil
}

// readUntil fills a buffer, or reads to the end of what is shorter.
func readUntil(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

var errWriting = errors.New("an end does not take what is written to it")

// errBroken says that a message before this one was not passed on.
var errBroken = errors.New("a message before this one is not passed on")

// pass writes a message when its turn comes.
func (p *pump) pass(m message) error {
	if p.waits.Load() == 0 {
		return p.write(m)
	}
	if len(m.body) > maxQueued {
		if err := p.drain(); err != nil {
			return err
		}
		return p.write(m)
	}
	p.enqueue(m, nil)
	return nil
}

func (p *pump) write(m message) error {
	if p.broken.Load() {
		return errBroken
	}
	p.slow.Reset(writePatience)
	err := p.to.Write(context.Background(), m.kind, m.body)
	p.slow.Stop()
	if err != nil {
		return errors.Join(errWriting, err)
	}
	return nil
}

// finished writes what was rewritten, unless there is nothing to write.
func (p *pump) finished(m message, err error) error {
	switch {
	case errors.Is(err, errLeftOut):
		return nil
	case err != nil:
		return err
	}
	return p.write(m)
}

// enqueue has a message wait for its turn, and for its rewriting unless that is nil.
func (p *pump) enqueue(m message, rewrite func() ([]byte, error)) {
	if p.queue == nil {
		p.queue, p.drained = make(chan *waiting, maxInFlight), make(chan struct{})
		go p.writeQueue()
	}
	p.buffer = nil // it is the message's now
	w := &waiting{message: m, done: make(chan struct{})}
	p.waits.Add(1)
	p.queue <- w // waits while the queue is full
	if rewrite == nil {
		close(w.done)
		return
	}
	go func() {
		defer close(w.done)
		w.body, w.err = rewrite()
	}()
}

// drain returns when nothing waits any more.
func (p *pump) drain() error {
	if p.waits.Load() > 0 {
		w := &waiting{done: make(chan struct{})}
		p.waits.Add(1)
		p.queue <- w
		w.done <- struct{}{} // when its turn has come
	}
	if p.broken.Load() {
		return errBroken
	}
	return nil
}

// writeQueue writes what waits, in the order of the queue. At the first message that is not to be passed on it
// ends the conversation, and writes nothing more.
func (p *pump) writeQueue() {
	defer close(p.drained)
	for w := range p.queue {
		<-w.done
		if w.kind != 0 && !p.broken.Load() {
			if err := p.finished(w.message, w.err); err != nil {
				p.broken.Store(true)
				p.conversation.ends <- endingOf(err)
			}
		}
		p.waits.Add(-1)
	}
}
