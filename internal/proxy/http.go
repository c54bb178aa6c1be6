package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/candgw/candgw/gateway"
)

// whose are the headers in which others may have written the address of the client.
var whose = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
	"X-Forwarded-Server", "X-Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For",
	"X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Envoy-External-Address", "X-Azure-Clientip", "X-Azure-Socketip",
	"True-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Fastly-Client-Ip", "Client-Ip", "Via", "Proxy-Client-Ip",
	"Wl-Proxy-Client-Ip"}

func dropWhose(h http.Header) {
	for _, name := range whose {
		h.Del(name)
	}
}

// rewriteRequest has the body of a request rewritten, and returns the request to pass on. If it is not ok the
// client is answered.
func (p *Proxy) rewriteRequest(w http.ResponseWriter, r *http.Request, x *exchange) (_ *http.Request, ok bool) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return r, true
	}
	f := p.flow(r.Context(), x, ToUpstream)
	if f.unread() {
		return r, true
	}
	out := r.Clone(r.Context())
	body, err := p.message(r.Context(), f, r.Header, readable{r.Body, r.ContentLength, func() {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
	}}, x)
	if err == nil {
		http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	var why *refusal
	switch {
	case errors.Is(err, errLeftOut):
		// The endpoint has done its part: RFC 9725, section 4.3.1 has 204 for a PATCH.
		w.WriteHeader(http.StatusNoContent)
		return nil, false
	case errors.As(err, &why):
		if why.status == http.StatusRequestEntityTooLarge || !body.read {
			w.Header().Set("Connection", "close") // rather than read the rest
		}
		p.refused(w, why)
		return nil, false
	case err != nil:
		problem(w, http.StatusBadRequest, "the body did not arrive whole")
		return nil, false
	}
	out.Trailer = r.Trailer // not the copy, which gets no values
	if body.changed {
		out.Header.Del("Content-Encoding")
		dropDigests(out.Header)
		dropDigests(out.Trailer)
	}
	if body.read {
		out.Header.Del("Expect") // the body is here
		if out.ContentLength = body.length; len(out.Trailer) > 0 {
			out.ContentLength = -1
		}
	}
	if f.encrypt && len(r.Trailer) > 0 {
		body.data = &trailed{body.data, f, func() http.Header { return r.Trailer }, x}
	}
	out.Body = io.NopCloser(body.data)
	return out, true
}

// outgoing makes the request for the upstream.
func (p *Proxy) outgoing(r *httputil.ProxyRequest) {
	x := exchangeFrom(r.In.Context())
	out := r.Out
	out.URL.Scheme, out.URL.Host, out.Host = p.config.Upstream.Scheme, p.config.Upstream.Host, ""
	out.URL.RawQuery = r.In.URL.RawQuery // as it was, even if it is malformed
	out.Trailer = r.In.Trailer           // whose values come with the end of the body
	dropWhose(out.Header)
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if a := addrOf(c.Conn); a.IsValid() {
			x.peer.Store(&a)
		}
	}}
	if x.inspect && !p.flow(out.Context(), x, ToClient).unread() {
		// What is to be rewritten has to be readable, and whole.
		out.Header.Set("Accept-Encoding", "identity")
		out.Header.Del("Range")
		out.Header.Del("If-Range")
	}
	*out = *out.WithContext(httptrace.WithClientTrace(out.Context(), trace))
}

// incoming makes the response for the client.
func (p *Proxy) incoming(r *http.Response) error {
	x := exchangeFrom(r.Request.Context())
	p.toOwnOrigin(r.Header, x)
	if len(r.Trailer) > 0 {
		r.Header.Del("Content-Length") // over HTTP/1.1 trailers follow chunks alone
	}
	if !x.inspect || r.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	f := p.flow(r.Request.Context(), x, ToClient)
	if f.encrypt {
		if why := f.refuseHead("", r.Header); why != nil {
			return why
		}
	}
	if !hasBody(r) || f.unread() {
		return nil
	}
	var late *time.Timer
	body, err := p.message(r.Request.Context(), f, r.Header, readable{r.Body, r.ContentLength, func() {
		late = time.AfterFunc(bodyPatience, func() { r.Body.Close() }) // which ends a read
	}}, x)
	if late != nil && !late.Stop() && err != nil {
		err = os.ErrDeadlineExceeded
	}
	var why *refusal
	switch {
	case errors.Is(err, errLeftOut):
		r.StatusCode, r.Status = http.StatusNoContent, ""
		body = &passing{data: http.NoBody, read: true, changed: true}
		r.Header.Del("Content-Type")
	case errors.As(err, &why):
		return &refusal{http.StatusBadGateway, "the response is not passed on: " + why.what, why}
	case err != nil:
		return err
	}
	if body.changed {
		r.Header.Del("Content-Encoding")
		dropDigests(r.Header)
		dropDigests(r.Trailer)
	}
	if f.encrypt {
		body.data = &trailed{body.data, f, func() http.Header { return r.Trailer }, x}
	}
	if r.Body = (bodyCloser{body.data, r.Body}); body.changed {
		r.ContentLength = body.length
		r.Header.Del("Content-Length")
		if body.length > 0 && len(r.Trailer) == 0 {
			r.Header.Set("Content-Length", strconv.FormatInt(body.length, 10))
		}
	}
	return nil
}

type bodyCloser struct {
	io.Reader
	io.Closer
}

func hasBody(r *http.Response) bool {
	return r.Request.Method != http.MethodHead && r.ContentLength != 0 && r.StatusCode != http.StatusNoContent && r.StatusCode != http.StatusNotModified
}

// toOwnOrigin has references to the upstream lead to the proxy, and none lead around it.
func (p *Proxy) toOwnOrigin(h http.Header, x *exchange) {
	h.Del("Alt-Svc")
	upstream := p.config.Upstream.Scheme + "://" + p.config.Upstream.Host
	for _, name := range []string{"Location", "Content-Location"} {
		if u, err := url.Parse(h.Get(name)); err == nil && strings.EqualFold(u.Scheme, p.config.Upstream.Scheme) && strings.EqualFold(u.Host, p.config.Upstream.Host) {
			h.Set(name, x.own+h.Get(name)[len(upstream):])
		}
	}
	for i, link := range h.Values("Link") {
		h["Link"][i] = strings.ReplaceAll(link, "<"+upstream+"/", "<"+x.own+"/")
	}
}

// A readable is a body that came in. begin is called before it is read whole.
type readable struct {
	io.Reader
	length int64 // -1 if it is not known
	begin  func()
}

// A passing is a body to pass on.
type passing struct {
	data   io.Reader
	length int64 // -1 if it is not known
	// read says that it was read whole.
	read    bool
	changed bool
}

// message has a body rewritten. The error is a *refusal, errLeftOut, or of reading.
func (p *Proxy) message(ctx context.Context, f *flow, h http.Header, in readable, x *exchange) (*passing, error) {
	k, format, err := kindOf(h)
	if err != nil {
		return &passing{}, f.refuse(&refusal{http.StatusUnsupportedMediaType, err.Error() + " cannot be looked into", err})
	}
	encoded := len(encodings(h)) > 0
	switch {
	case !f.encrypt && (k == through || k == form || k == events && (encoded || f.to == ToUpstream)):
		return &passing{data: in, length: in.length}, nil // its names stay names
	case encoded && (k == through || k == events):
		return &passing{}, f.refuse(&refusal{http.StatusUnsupportedMediaType, "a Content-Encoding of what streams cannot be looked into", errEncoding})
	case k == through || k == events && f.to == ToUpstream:
		return &passing{data: f.looksThrough(in, x), length: in.length}, nil
	case k == events:
		return &passing{data: f.eventStream(ctx, in, x), length: -1, changed: true}, nil
	}
	release, ok := p.hold()
	if !ok {
		return &passing{}, &refusal{http.StatusServiceUnavailable, "too many bodies at once: try again", nil}
	}
	defer release()
	in.begin()
	raw, err := readBody(in, in.length)
	asItIs := &passing{data: io.MultiReader(bytes.NewReader(raw), in), length: in.length}
	if err != nil && !errors.Is(err, gateway.ErrTooLarge) {
		return &passing{}, err
	}
	var body []byte
	if err == nil {
		asItIs = &passing{data: bytes.NewReader(raw), length: int64(len(raw)), read: true}
		body, err = decoded(h, raw)
	}
	switch {
	case err == nil:
	case !f.encrypt && (errors.Is(err, gateway.ErrTooLarge) || errors.Is(err, errEncoding)):
		f.count(Unchanged)
		return asItIs, nil // its names stay names
	case errors.Is(err, gateway.ErrTooLarge):
		return asItIs, f.refuse(&refusal{http.StatusRequestEntityTooLarge, err.Error(), err})
	case errors.Is(err, errEncoding):
		return asItIs, f.refuse(&refusal{http.StatusUnsupportedMediaType, err.Error() + " cannot be looked into", err})
	default:
		return asItIs, f.refuse(&refusal{http.StatusBadRequest, "the body is not of its Content-Encoding", err})
	}
	var next []byte
	switch {
	case len(body) == 0:
		return asItIs, nil
	case k == form:
		if err := hides(string(body)); err != nil {
			return asItIs, f.refuse(&refusal{http.StatusUnsupportedMediaType, err.Error(), err})
		}
		next = body
		f.count(Unchanged)
	case k == lines:
		next, err = f.rewriteLines(ctx, body)
	default:
		next, err = f.rewrite(ctx, body, format)
	}
	if err != nil {
		return asItIs, err
	}
	if bytes.Equal(next, body) {
		return asItIs, nil
	}
	return &passing{data: bytes.NewReader(next), length: int64(len(next)), read: true, changed: true}, nil
}

// rewriteLines rewrites each line of a body.
func (f *flow) rewriteLines(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, rewritePatience)
	defer cancel()
	var out []byte
	for line := range bytes.Lines(body) {
		text := bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(text)) == 0 {
			out = append(out, line...)
			continue
		}
		next, err := f.rewrite(ctx, text, gateway.JSON)
		if errors.Is(err, errLeftOut) {
			continue
		} else if err != nil {
			return nil, err
		}
		out = append(append(out, next...), line[len(text):]...)
	}
	if len(out) == 0 {
		return nil, errLeftOut
	}
	return out, nil
}
