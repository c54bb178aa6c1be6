package metrics

import (
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/resolver"
)

func TestMetrics(t *testing.T) {
	s := New()
	s.Lookup("dns", resolver.Answered)
	s.Lookup("dns", resolver.Answered)
	s.Lookup("mdns", resolver.Unopened)
	s.Request("encrypt", 200)
	s.Candidates(&gateway.Report{Candidates: []gateway.CandidateReport{{Result: gateway.FateEncrypted}, {Result: gateway.FateDropped}}})
	s.RingLoaded(7)
	s.RingFailed()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`candgw_lookups_total{front="dns",status="answered"} 2`,
		`candgw_lookups_total{front="mdns",status="unopened"} 1`,
		`candgw_api_requests_total{code="200",operation="encrypt"} 1`,
		`candgw_candidates_total{result="encrypted"} 1`,
		`candgw_candidates_total{result="dropped"} 1`,
		`candgw_keyring_revision 7`,
		`candgw_keyring_reload_failures_total 1`,
	} {
		if !strings.Contains(string(body), line+"\n") {
			t.Errorf("missing %s", line)
		}
	}
}

// The names follow the conventions of Prometheus.
func TestNames(t *testing.T) {
	s := New()
	s.Lookup("dns", resolver.Answered)
	s.Request("encrypt", 200)
	s.Candidates(&gateway.Report{Candidates: []gateway.CandidateReport{{Result: gateway.FateEncrypted}}})
	problems, err := testutil.GatherAndLint(s.registry, "candgw_lookups_total", "candgw_candidates_total",
		"candgw_api_requests_total", "candgw_keyring_revision", "candgw_keyring_reload_failures_total")
	if err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "candgw_") && !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("docs/api.md does not tell of %s", name)
		}
	}
}
