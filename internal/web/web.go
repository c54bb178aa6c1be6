// Package web is what the HTTP servers of candgw answer alike.
package web

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
)

// Problem writes a problem document, RFC 9457. Its detail must hold nothing that is not to be told.
func Problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}

// TooMany answers a caller that has asked too often. No rate is less than one a second, so that one is enough to wait.
func TooMany(w http.ResponseWriter, detail string) {
	w.Header().Set("Retry-After", "1")
	Problem(w, http.StatusTooManyRequests, detail)
}

// Only refuses a method, and tells those that are allowed.
func Only(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		Problem(w, http.StatusMethodNotAllowed, "use "+methods)
	}
}

// Counted tells of the status of each answer, and answers for a handler that panics. operation is what the log calls it.
func Counted(operation string, log *slog.Logger, count func(code int), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, code: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				// Its type alone: a value may hold what must not be logged.
				log.Error("a request failed in a way that is a bug", "operation", operation, "panic", fmt.Sprintf("%T", p))
				Problem(rec, http.StatusInternalServerError, "the request failed")
			}
			count(rec.code)
		}()
		next.ServeHTTP(rec, r)
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

// Peer returns the address that a request comes from, the zero Addr over a Unix socket. No header has a say in it.
func Peer(r *http.Request) netip.Addr {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return from.Addr()
}
