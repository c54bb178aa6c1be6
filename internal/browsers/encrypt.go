package browsers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"time"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/web"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const (
	maxBody       = 64 << 10
	maxCandidates = 32
	maxWait       = 5000 // milliseconds
)

// A request is what an extension asks.
type request struct {
	Origin     string      `json:"origin"`
	Candidates []candidate `json:"candidates"`
	// Wait is how many milliseconds the extension waits, nil if it does not say.
	Wait *float64 `json:"wait"`

	page policy.Origin
}

// A candidate is one with the ice-pwd that governs it. The ufrag is an extension in the candidate.
type candidate struct {
	Candidate string `json:"candidate"`
	Pwd       string `json:"pwd"`
}

// An answer has one member: what to show the page in place of a candidate, why the candidate stays as it is, or why it
// is not to be shown at all.
type answer struct {
	Candidate string `json:"candidate,omitempty"`
	Kept      string `json:"kept,omitempty"`
	Dropped   string `json:"dropped,omitempty"`
}

// encrypt answers each candidate of a request, in order.
func (h *Handler) encrypt(w http.ResponseWriter, r *http.Request, client netip.Addr) {
	asked, status, err := readRequest(w, r)
	if err != nil {
		web.Problem(w, status, err.Error())
		return
	}
	if !h.OnLink(client) { // the extension has other nodes to ask; after a 421 browsers would ask this one again
		web.Problem(w, http.StatusUnprocessableEntity, "this node is on none of the client's links: ask one that is")
		return
	}
	ctx := r.Context()
	if asked.Wait != nil {
		wait, done := context.WithTimeout(ctx, time.Duration(*asked.Wait*float64(time.Millisecond)))
		defer done()
		ctx = wait
	}
	answers, err := h.answer(ctx, client, asked)
	switch {
	case errors.Is(err, keyring.ErrNoActiveKey):
		web.Problem(w, http.StatusServiceUnavailable, err.Error())
	case err != nil:
		h.Log.Error("a request failed", "operation", "browsers", "error", err)
		web.Problem(w, http.StatusInternalServerError, "the request failed")
	default:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string][]answer{"candidates": answers})
	}
}

// readRequest reads a request. With an error it returns the status to answer with.
func readRequest(w http.ResponseWriter, r *http.Request) (*request, int, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return nil, http.StatusUnsupportedMediaType, errors.New("Content-Type must be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is longer than %d KiB", maxBody>>10)
	} else if err != nil {
		return nil, http.StatusBadRequest, errors.New("the body did not arrive whole")
	}
	asked := new(request)
	if err := json.Unmarshal(body, asked); err != nil { // whose text may repeat what was sent
		return nil, http.StatusBadRequest, errors.New(`the body is not {"origin": "https://…", "candidates": [{"candidate": "candidate:…", "pwd": "…"}]}`)
	}
	switch n := len(asked.Candidates); {
	case asked.Candidates == nil:
		return nil, http.StatusBadRequest, errors.New("candidates is missing: an empty list is none")
	case n > maxCandidates:
		return nil, http.StatusBadRequest, fmt.Errorf("%d candidates, want at most %d", n, maxCandidates)
	case asked.Wait != nil && !(*asked.Wait >= 0 && *asked.Wait <= maxWait):
		return nil, http.StatusBadRequest, fmt.Errorf("wait must be a number of milliseconds, 0 to %d", maxWait)
	}
	if asked.page, err = policy.ParseOrigin(asked.Origin); err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("origin is %w", err)
	}
	return asked, 0, nil
}

// answer has all candidates be dealt with at once. With an error nothing is to be told of any. The request has counted for
// the first; each costs what a request of its own would: questions on the link, and room in the memory of sessions.
func (h *Handler) answer(ctx context.Context, client netip.Addr, asked *request) ([]answer, error) {
	b := h.newBatch(client, asked)
	answers, errs := make([]answer, len(asked.Candidates)), make([]error, len(asked.Candidates))
	report := gateway.Report{Candidates: make([]gateway.CandidateReport, len(asked.Candidates))}
	most := min(1, len(asked.Candidates))
	for most < len(asked.Candidates) && h.mayAsk(client) {
		most++
	}
	for i := most; i < len(asked.Candidates); i++ {
		answers[i], report.Candidates[i] = kept("its client asks for more than it may: wait a second")
	}
	b.each(most, func(i int) {
		answers[i], report.Candidates[i], errs[i] = b.one(ctx, asked.Candidates[i])
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	h.Metrics.Candidates(&report)
	return answers, nil
}
