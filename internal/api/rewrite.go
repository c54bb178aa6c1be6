package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/web"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// ReportHeader carries the report of a request as one line of JSON.
const ReportHeader = "Candgw-Report"

var formats = map[string]gateway.Format{
	"application/sdp":                 gateway.SDP,
	"application/trickle-ice-sdpfrag": gateway.Fragment,
	"application/json":                gateway.JSON,
}

type gatewayOperation = func(context.Context, gateway.Request) (*gateway.Result, error)

func (h *handler) rewrite(operation string, do gatewayOperation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { h.serveRewrite(w, r, operation, do) }
}

func (h *handler) serveRewrite(w http.ResponseWriter, r *http.Request, operation string, do gatewayOperation) {
	contentType := r.Header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(contentType)
	format, ok := formats[mediaType]
	if err != nil || !ok {
		web.Problem(w, http.StatusUnsupportedMediaType, "Content-Type must be application/sdp, application/trickle-ice-sdpfrag or application/json")
		return
	}
	request, err := rewriteParameters(r, operation)
	if err != nil {
		web.Problem(w, http.StatusBadRequest, err.Error())
		return
	}
	request.Format = format
	request.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, gateway.MaxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		web.Problem(w, http.StatusRequestEntityTooLarge, gateway.ErrTooLarge.Error())
		return
	} else if err != nil {
		web.Problem(w, http.StatusBadRequest, "the body did not arrive whole")
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
		w.Write(result.Body)
	case errors.Is(err, gateway.ErrNothingLeft):
		if bad := result.Report.Refused(); len(bad) > 0 {
			web.Problem(w, http.StatusUnprocessableEntity, err.Error()+": "+bad[0].Reason)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, gateway.ErrMalformed):
		web.Problem(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, gateway.ErrRefused):
		web.Problem(w, http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, keyring.ErrNoActiveKey):
		web.Problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		h.Log.Error("a request failed", "operation", operation, "error", err)
		web.Problem(w, http.StatusInternalServerError, "the request failed")
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

// rewriteParameters reads client= and origin=, and for encrypt suite=.
func rewriteParameters(r *http.Request, operation string) (out gateway.Request, err error) {
	names := []string{"client", "origin"}
	if operation == "encrypt" {
		names = append(names, "suite")
	}
	query, err := parameters(r, operation, names...)
	if err != nil {
		return out, err
	}
	if out.Client, err = address(query, "client"); err != nil {
		return out, err
	}
	if s := query.Get("origin"); s != "" {
		if out.Origin, err = policy.ParseOrigin(s); err != nil {
			return out, fmt.Errorf("origin is %w", err)
		}
	}
	if s := query.Get("suite"); s != "" {
		out.Suite, err = cipher.ParseSuite(s)
	}
	return out, err
}
