// Package api is the HTTP API of candgw. docs/api.md describes it.
package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// ReportHeader carries the report of a request as one line of JSON.
const ReportHeader = "Candgw-Report"

// Metrics hears of requests. It is called by many goroutines at once.
type Metrics interface {
	Request(operation string, code int)
	Candidates(*gateway.Report)
	Handler() http.Handler
}

// A Config is what the API needs; all but Token must be set.
type Config struct {
	Gateway *gateway.Gateway
	Metrics Metrics
	// Ready returns why the process cannot serve yet, or nil.
	Ready func() error
	// Trouble returns what is wrong though the process serves, or "". Anybody may read it.
	Trouble func() string
	// Token, if it is not empty, must come with every request but those for health.
	Token string
	Log   *slog.Logger
}

// Handler returns the API.
func Handler(c Config) http.Handler {
	h := &handler{c}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/encrypt", h.rewrite("encrypt", c.Gateway.Encrypt))
	mux.HandleFunc("POST /v1/decrypt", h.rewrite("decrypt", c.Gateway.Decrypt))
	mux.HandleFunc("/v1/encrypt", only("POST"))
	mux.HandleFunc("/v1/decrypt", only("POST"))
	mux.Handle("GET /metrics", c.Metrics.Handler())
	mux.HandleFunc("/metrics", only("GET, HEAD"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "use POST /v1/encrypt, POST /v1/decrypt, GET /healthz, GET /readyz or GET /metrics")
	})
	health := http.NewServeMux()
	health.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	health.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := c.Ready(); err != nil {
			problem(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		io.WriteString(w, "ready\n")
		if trouble := c.Trouble(); trouble != "" {
			io.WriteString(w, trouble+"\n")
		}
	})
	health.HandleFunc("/healthz", only("GET, HEAD"))
	health.HandleFunc("/readyz", only("GET, HEAD"))
	health.Handle("/", h.authorize(mux))
	// A web page that runs on this machine must not get through: not by a request across origins, and
	// not under a name of its own that it lets point here.
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "a web page of another origin may not use this API")
	}))
	return h.checkHost(origins.Handler(health))
}

type handler struct{ Config }

// only refuses a method, and tells those that are allowed.
func only(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		problem(w, http.StatusMethodNotAllowed, "use "+methods)
	}
}

// checkHost refuses requests for a host name, other than localhost, that reach a loopback address. With
// a token there is no need to: a page does not have it, but a reverse proxy may pass any name on.
func (h *handler) checkHost(next http.Handler) http.Handler {
	if h.Token != "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		_, notAddr := netip.ParseAddr(strings.Trim(host, "[]"))
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if notAddr != nil && host != "" && !strings.EqualFold(host, "localhost") && isLoopback(local) {
			problem(w, http.StatusMisdirectedRequest, "on loopback the API answers to localhost and to addresses, not to host names")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

func (h *handler) authorize(next http.Handler) http.Handler {
	if h.Token == "" {
		return next
	}
	want := sha256.Sum256([]byte(h.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(token)) // of one length, so that the time tells nothing of the token's
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem(w, http.StatusUnauthorized, "send the token of this API as 'Authorization: Bearer …'")
			return
		}
		next.ServeHTTP(w, r)
	})
}

var formats = map[string]gateway.Format{
	"application/sdp":                 gateway.SDP,
	"application/trickle-ice-sdpfrag": gateway.Fragment,
	"application/json":                gateway.JSON,
}

type gatewayOperation = func(context.Context, gateway.Request) (*gateway.Result, error)

func (h *handler) rewrite(operation string, do gatewayOperation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, code: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				// Its type alone: a value may hold what must not be logged.
				h.Log.Error("a request failed in a way that is a bug", "operation", operation, "panic", fmt.Sprintf("%T", p))
				problem(rec, http.StatusInternalServerError, "the request failed")
			}
			h.Metrics.Request(operation, rec.code)
		}()
		h.serveRewrite(rec, r, operation, do)
	}
}

func (h *handler) serveRewrite(w http.ResponseWriter, r *http.Request, operation string, do gatewayOperation) {
	contentType := r.Header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(contentType)
	format, ok := formats[mediaType]
	if err != nil || !ok {
		problem(w, http.StatusUnsupportedMediaType, "Content-Type must be application/sdp, application/trickle-ice-sdpfrag or application/json")
		return
	}
	request := gateway.Request{Format: format}
	if err := parameters(r, operation, &request); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	request.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, gateway.MaxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, gateway.ErrTooLarge.Error())
		return
	} else if err != nil {
		problem(w, http.StatusBadRequest, "the body did not arrive whole")
		return
	}
	result, err := do(r.Context(), request)
	if result != nil {
		h.Metrics.Candidates(&result.Report)
		w.Header().Set(ReportHeader, header(result.Report))
	}
	switch {
	case err == nil:
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Write(result.Body)
	case errors.Is(err, gateway.ErrNothingLeft):
		if bad := result.Report.Refused(); len(bad) > 0 {
			problem(w, http.StatusUnprocessableEntity, err.Error()+": "+bad[0].Reason)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, gateway.ErrMalformed):
		problem(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, gateway.ErrRefused):
		problem(w, http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, keyring.ErrNoActiveKey):
		problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		h.Log.Error("a request failed", "operation", operation, "error", err)
		problem(w, http.StatusInternalServerError, "the request failed")
	}
}

// maxHeader is well below what HTTP clients take for all headers together.
const maxHeader = 8 << 10

// header returns a report as one line, with the counts alone where the candidates would not fit.
func header(r gateway.Report) string {
	line, err := json.Marshal(r)
	if err == nil && len(line) > maxHeader {
		r.Candidates = []gateway.CandidateReport{}
		line, err = json.Marshal(r)
	}
	if err != nil {
		return "{}" // a report holds nothing that cannot be marshalled
	}
	return string(line)
}

// parameters reads client= and origin=, and for encrypt suite=, into a request.
func parameters(r *http.Request, operation string, out *gateway.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errors.New("the parameters are malformed")
	}
	for name, values := range query {
		if len(values) > 1 {
			return fmt.Errorf("the parameter %q is there twice", name)
		}
		if name != "client" && name != "origin" && (name != "suite" || operation != "encrypt") {
			return fmt.Errorf("%s has no parameter %q: use client and origin, and for encrypt suite", operation, name)
		}
	}
	if s := query.Get("client"); s != "" {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return errors.New("client must be an IP address")
		}
		out.Client = addr
	}
	if s := query.Get("origin"); s != "" {
		if out.Origin, err = policy.ParseOrigin(s); err != nil {
			return fmt.Errorf("origin is %w", err)
		}
	}
	if s := query.Get("suite"); s != "" {
		suite, err := cipher.ParseSuite(s)
		if err != nil {
			return err
		}
		out.Suite = suite
	}
	return nil
}

// problem writes a problem document, RFC 9457.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}

// A recorder notes the status code.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}
