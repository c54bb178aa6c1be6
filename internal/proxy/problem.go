package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

// problem writes a problem document, RFC 9457.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": "candgw: " + detail,
	})
}

// refused answers a request whose message is not passed on.
func (p *Proxy) refused(w http.ResponseWriter, r *refusal) {
	if r.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	problem(w, r.status, r.what)
}

// failed answers a request that the upstream did not, or whose response is not passed on.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeFrom(r.Context())
	if hidden := x.hidden.Load(); hidden != nil {
		err = hidden
	}
	var refusal *refusal
	switch {
	case errors.As(err, &refusal):
		p.refused(w, refusal)
	case r.Context().Err() != nil: // the client has gone
		w.WriteHeader(http.StatusBadGateway)
	default:
		why := withoutAddresses(err)
		p.config.Log.Warn("the upstream does not answer", "signaling", p.config.Name, "error", why)
		status := http.StatusBadGateway
		if isTimeout(err) {
			status = http.StatusGatewayTimeout
		}
		problem(w, status, "the upstream does not answer: "+why)
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// withoutAddresses tells of a failed connection without saying whose, as the errors of package net do.
func withoutAddresses(err error) string {
	var dns *net.DNSError
	var number syscall.Errno
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return "its name does not resolve"
	case errors.As(err, &authority):
		return "its certificate is of an unknown authority: name it with ca_file"
	case errors.As(err, &verify):
		return "its certificate is not valid for it"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case isTimeout(err):
		return "time ran out"
	case errors.As(err, &number):
		return number.Error()
	}
	return fmt.Sprintf("the connection broke (%T)", err)
}
