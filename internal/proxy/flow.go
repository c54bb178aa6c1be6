package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"unicode/utf8"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// A flow is what goes in one direction, and whose endpoint's it is.
type flow struct {
	proxy *Proxy
	to    Direction
	// encrypt says that it comes from the endpoint; else it goes to it.
	encrypt bool
	client  netip.Addr // of the endpoint
	origin  policy.Origin
	secret  []byte
}

// flow returns what an exchange has in a direction.
func (p *Proxy) flow(ctx context.Context, x *exchange, to Direction) *flow {
	f := &flow{proxy: p, to: to, encrypt: to == ToUpstream, client: x.client, origin: x.origin}
	if p.config.UpstreamIsEndpoint {
		f.encrypt, f.client, f.origin = !f.encrypt, p.upstreamAddr(ctx, x), ""
	}
	return f
}

// unread reports whether everything passes as it is.
func (f *flow) unread() bool {
	return !f.encrypt && !f.proxy.config.Gateway.Decrypts(f.client, f.origin)
}

// A rewriting is a message that was read and is to be rewritten.
type rewriting struct {
	flow    *flow
	body    []byte
	format  gateway.Format
	pending *gateway.Pending // nil where it is decrypted
}

// begin reads a message. Those of a stream are begun in its order.
func (f *flow) begin(body []byte, format gateway.Format) (r rewriting, err error) {
	r = rewriting{flow: f, body: body, format: format}
	if !f.encrypt {
		return r, nil
	}
	if err := r.begin(); err != nil {
		return r, f.outcome(nil, body, err)
	}
	return r, nil
}

func (r *rewriting) begin() (err error) {
	defer safely(&err)
	r.pending, err = r.flow.proxy.config.Gateway.Begin(r.request())
	return err
}

func (r *rewriting) request() gateway.Request {
	f := r.flow
	return gateway.Request{Body: r.body, Format: r.format, Client: f.client, Origin: f.origin, Secret: f.secret}
}

func (r *rewriting) work(ctx context.Context) (_ *gateway.Result, err error) {
	defer safely(&err)
	if r.pending != nil {
		return r.pending.Encrypt(ctx)
	}
	return r.flow.proxy.config.Gateway.Decrypt(ctx, r.request())
}

// errLeftOut says that nothing is left of a message, and nothing is wrong with it.
var errLeftOut = errors.New("nothing is left of the message")

// finish returns what is to be passed on. The error is a *refusal or errLeftOut.
func (r *rewriting) finish(ctx context.Context) ([]byte, error) {
	result, err := r.work(ctx)
	if err := r.flow.outcome(result, r.body, err); err != nil {
		return nil, err
	}
	return result.Body, nil
}

// rewrite does both.
func (f *flow) rewrite(ctx context.Context, body []byte, format gateway.Format) ([]byte, error) {
	r, err := f.begin(body, format)
	if err != nil {
		return nil, err
	}
	return r.finish(ctx)
}

// errPanic says that the gateway has a bug. Its text has the type of the panic alone: a value may hold what
// must not be told.
type errPanic string

func (e errPanic) Error() string { return "a failure that is a bug: " + string(e) }

// safely is deferred, and makes a panic an error.
func safely(err *error) {
	if p := recover(); p != nil {
		*err = errPanic(fmt.Sprintf("%T", p))
	}
}

// outcome counts what became of a message, logs it if it is refused, and returns why it is not passed on.
func (f *flow) outcome(result *gateway.Result, body []byte, err error) error {
	if result != nil {
		f.proxy.config.Metrics.Candidates(&result.Report)
	}
	if err == nil {
		if same(result.Body, body) {
			f.count(Unchanged)
		} else {
			f.count(Rewritten)
		}
		return nil
	}
	status := http.StatusInternalServerError
	what := err.Error()
	switch {
	case errors.Is(err, gateway.ErrNothingLeft):
		bad := result.Report.Refused()
		if len(bad) == 0 {
			f.count(LeftOut)
			return errLeftOut
		}
		status, what = http.StatusUnprocessableEntity, bad[0].Where()+": "+bad[0].Reason
	case errors.Is(err, gateway.ErrTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, gateway.ErrMalformed):
		status = http.StatusBadRequest
	case errors.Is(err, gateway.ErrRefused):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, keyring.ErrNoActiveKey):
		status = http.StatusServiceUnavailable
	}
	return f.refuse(&refusal{status, what, err})
}

func same(a, b []byte) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

func (f *flow) count(o Outcome) {
	f.proxy.config.Metrics.SignalingMessage(f.proxy.config.Name, f.to, o)
}

// refuse counts and logs that a message is not passed on.
func (f *flow) refuse(r *refusal) error {
	f.count(Refused)
	f.proxy.config.Log.Warn("a message is not passed on", "signaling", f.proxy.config.Name, "to", string(f.to), "why", r.what)
	return r
}

// shortReason cuts a text to what fits into the close frame of a WebSocket: RFC 6455, section 5.5.
func shortReason(s string) string {
	const most = 123
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
