// Package gateway is the signaling side of candgw: descriptions and candidates go in, and come out
// the same octet for octet but for what tells an address.
//
// [Gateway.Encrypt] is for what an endpoint sends, [Gateway.Decrypt] for what an endpoint receives
// that resolves no names. docs/signaling.md says field by field what they change.
package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const (
	// MaxBody is the longest body taken, in octets.
	MaxBody = 256 << 10
	// MaxCandidates is how many candidates of one session are passed on; the rest is dropped.
	MaxCandidates = 64
)

var (
	// ErrTooLarge says that a body is longer than [MaxBody].
	ErrTooLarge = fmt.Errorf("the body is longer than %d KiB", MaxBody>>10)
	// ErrMalformed says that a body is not of its format, or that a candidate in it is broken. The
	// error's text has the line.
	ErrMalformed = sdp.ErrSyntax
	// ErrNothingLeft says that the body was one candidate, or a fragment of nothing else, and that it
	// was dropped: there is nothing to pass on. The report has the reason.
	ErrNothingLeft = errors.New("the candidate is not passed on")
	// ErrRefused says that a description does not satisfy the session block of its policy. The error is
	// a *[Refusal].
	ErrRefused = errors.New("a policy refuses the description")
)

// A Format is what kind of body a request has.
type Format uint8

const (
	// SDP is application/sdp: a whole description, RFC 8866.
	SDP Format = iota + 1
	// Fragment is application/trickle-ice-sdpfrag, RFC 8840, section 9.
	Fragment
	// JSON is application/json: RTCSessionDescriptionInit and RTCIceCandidateInit, alone, in arrays,
	// or nested in other values.
	JSON
	// Message is a text message of an application, or the body of a request of its own: JSON, or anything
	// else of these formats. What is none of them passes as it is, unless a candidate hides in it.
	Message
)

// FormatOf guesses the format of a body: what is neither JSON nor begins like a fragment is a
// description, or an error if it is none.
func FormatOf(body []byte) Format {
	switch trimmed := bytes.TrimSpace(body); {
	case len(trimmed) == 0:
		return SDP
	case bytes.IndexByte([]byte(`{["`), trimmed[0]) >= 0, string(trimmed) == "null":
		return JSON
	case bytes.HasPrefix(trimmed, []byte("a=")), bytes.HasPrefix(trimmed, []byte("m=")):
		return Fragment
	}
	return SDP
}

// A Request is one body and what is known about it.
type Request struct {
	Body   []byte
	Format Format
	// Client is the address of the endpoint that the body comes from (Encrypt) or goes to (Decrypt);
	// not valid where it is not known. Its zone only tells on which link its names are asked for.
	Client netip.Addr
	// Origin is that of the web page whose signaling it is, empty where there is none or it is not known. To a
	// web page names are decrypted only under a policy that lists its origins.
	Origin policy.Origin
	// Secret, unless it is empty, makes the names of raw addresses repeat in all requests that have the same
	// one. It is random, of at least 16 octets, and of what one endpoint sends on one connection: whoever can
	// send under another's secret can test guesses. Without it names are fresh each time.
	Secret []byte
	// Hosts are addresses that the endpoint is known to have besides those of the host candidates in the body.
	// They are concealed like those, wherever they stand.
	Hosts []netip.Addr
	// Suite, unless it is 0, is used in place of the one that the policy names.
	Suite cipher.Suite
}

// A Result is a new body and what was done. Where nothing was changed the body is the request's own, not a
// copy.
type Result struct {
	Body   []byte
	Report Report
}

// A NameResolver asks for the address of a browser's own mDNS name on the link of the client, which a zone of its
// address may name, or on every link where client is not valid. It returns when ctx ends, and is safe for concurrent use.
type NameResolver interface {
	ResolveName(ctx context.Context, name string, client netip.Addr) (netip.Addr, error)
}

// A Config is what a gateway needs. Ring and Policy must be set.
type Config struct {
	// Ring and Policy are called once a request.
	Ring   func() *keyring.Ring
	Policy func() *policy.Set
	// Names resolves the names that browsers make; without it they stay as they are.
	Names NameResolver
	// Patience bounds how long a request waits for Names; 3 s if 0.
	Patience time.Duration
	// Seen hears of every name that opens only with an ice-pwd, so that a resolver can open it. It
	// may be called by several requests at once.
	Seen func(name cipher.Name, pwd string)
	// Opened, unless it is nil, hears of every key that opened a name. It may be called by several
	// requests at once.
	Opened func(*cipher.Key)
	// Now is the clock; [time.Now] if nil.
	Now func() time.Time
}

// A Gateway encrypts and decrypts. It remembers sessions, so that a trickled candidate finds its
// password, and is safe for concurrent use.
type Gateway struct {
	config   Config
	sessions *sessions
	guard    *guard
	calls    sync.Pool // of *call, forgotten ones
}

// defaultPatience suffices for a browser that holds its answer back for a second, twice.
const defaultPatience = 3 * time.Second

// New returns a gateway that knows no sessions.
func New(config Config) *Gateway {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Patience == 0 {
		config.Patience = defaultPatience
	}
	if config.Seen == nil {
		config.Seen = func(cipher.Name, string) {}
	}
	return &Gateway{
		config:   config,
		sessions: newSessions(maxSessions, maxLongSessions, config.Now),
		guard:    newGuard(maxGuarded, config.Now),
		calls:    sync.Pool{New: newCall},
	}
}

// Encrypt does with a body that an endpoint sends as the policy for the endpoint says: by default, it
// conceals the addresses in it. The error is [ErrTooLarge], [ErrMalformed], [ErrRefused],
// [ErrNothingLeft] (with a result), or [keyring.ErrNoActiveKey]; with an error nothing is to be passed on.
func (g *Gateway) Encrypt(ctx context.Context, r Request) (*Result, error) {
	c, err := g.begin(r)
	if err != nil {
		return nil, err
	}
	return c.encrypted(ctx)
}

// encrypted is the second half of Encrypt.
func (c *call) encrypted(ctx context.Context) (*Result, error) {
	defer c.done()
	if err := c.encryptBody(ctx); err != nil {
		return nil, err
	}
	return c.result()
}

// A Pending is a body that was read and that is to be encrypted.
type Pending struct{ call *call }

// Begin is the first half of [Gateway.Encrypt], for bodies of a stream, as messages of a WebSocket: it reads a
// body and remembers the sessions in it, without waiting for anything. Bodies begun in the order of the
// stream find their sessions, whichever [Pending.Encrypt] is done first. The request's body is not to change
// before that. The error is [ErrTooLarge], [ErrMalformed] or [ErrRefused].
func (g *Gateway) Begin(r Request) (*Pending, error) {
	c, err := g.begin(r)
	if err != nil {
		return nil, err
	}
	return &Pending{c}, nil
}

// Encrypt is the second half of [Gateway.Encrypt], which see for its errors: it waits for the names of
// browsers and rewrites the body. It is called once, and may run beside those of other bodies.
func (p *Pending) Encrypt(ctx context.Context) (*Result, error) {
	c := p.call
	p.call = nil // which goes to another request
	return c.encrypted(ctx)
}

// Decrypts reports whether [Gateway.Decrypt] may change or refuse anything for an endpoint: names, or what
// the session block of its policy is about. Where it does not, bodies may pass unread. It is cheap, and holds
// until the policy changes.
func (g *Gateway) Decrypts(client netip.Addr, origin policy.Origin) bool {
	s := g.config.Policy().DecideSession(endpoint(client), origin)
	return s.Decrypt || s.ForbidSDES != nil || s.RequireFingerprint != nil || s.Identity != nil
}

// endpoint returns an address of an endpoint as sessions and policies know it.
func endpoint(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Decrypt puts addresses in place of the names in a body, for an endpoint that resolves none, unless the
// policy for the endpoint keeps them, or it is a web page and the policy lists no origins. Names that do not
// open stay as they are; a candidate whose name opens to an address that no other host can reach is dropped.
// The error is [ErrTooLarge], [ErrMalformed], [ErrRefused] or [ErrNothingLeft] (with a result).
func (g *Gateway) Decrypt(_ context.Context, r Request) (*Result, error) {
	c, err := g.begin(r)
	if err != nil {
		return nil, err
	}
	defer c.done()
	c.decryptBody()
	return c.result()
}

// result applies what was done to the texts of the body.
func (c *call) result() (*Result, error) {
	result := &Result{Report: c.report}
	if texts := c.doc.texts; len(texts) == 1 && texts[0].gone && texts[0].top {
		return result, ErrNothingLeft
	}
	body := c.request.Body
	if edits := c.doc.editsOfBody(c.edits); len(edits) > 0 {
		c.edits = edits
		body = apply(c.doc.body, edits)
	}
	if len(body) == 0 && len(c.request.Body) > 0 {
		return result, ErrNothingLeft
	}
	result.Body = body
	return result, nil
}

// begin reads a body, and remembers the sessions that it begins.
func (g *Gateway) begin(r Request) (*call, error) {
	if len(r.Body) > MaxBody {
		return nil, ErrTooLarge
	}
	c := g.calls.Get().(*call)
	c.asked, r.Client = r.Client, endpoint(r.Client)
	c.gateway, c.request, c.ring, c.policy, c.now = g, r, g.config.Ring(), g.config.Policy(), g.config.Now()
	if err := c.read(); err != nil {
		c.done()
		return nil, err
	}
	return c, nil
}

func (c *call) read() error {
	if err := c.doc.find(view(c.request.Body), c.request.Format); err != nil {
		return err
	}
	c.session = c.policy.DecideSession(c.request.Client, c.request.Origin)
	c.hostsTold = c.policy.TellsHosts(c.request.Client, c.request.Origin)
	for _, t := range c.doc.texts {
		if err := c.satisfies(t); err != nil {
			return err
		}
	}
	for _, t := range c.doc.texts {
		if err := c.enter(t); err != nil {
			return err
		}
	}
	return nil
}
