package metrics

import (
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/resolver"
)

func TestMetrics(t *testing.T) {
	s := New()
	s.Lookups(resolver.FrontDNS, resolver.Answered, nil, 2)
	s.Lookups(resolver.FrontMDNS, resolver.Unauthenticated, nil, 1)
	s.Took(resolver.FrontDNS, 3*time.Microsecond, 2)
	s.Request("encrypt", 200)
	s.BrowsersRequest(403)
	s.Candidates(&gateway.Report{Candidates: []gateway.CandidateReport{{Result: gateway.FateEncrypted}, {Result: gateway.FateDropped}}})
	s.RingLoaded(new(keyring.Ring))
	s.RingFailed()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`candgw_lookups_total{front="dns",key="",result="answered"} 2`,
		`candgw_lookups_total{front="mdns",key="",result="unauthenticated"} 1`,
		`candgw_lookup_duration_seconds_bucket{front="dns",le="4e-06"} 2`,
		`candgw_api_requests_total{code="200",operation="encrypt"} 1`,
		`candgw_browsers_requests_total{code="403"} 1`,
		`candgw_candidates_total{result="encrypted"} 1`,
		`candgw_candidates_total{result="dropped"} 1`,
		`candgw_keyring_revision 0`,
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
	s.Lookups(resolver.FrontDNS, resolver.Answered, nil, 1)
	s.Request("encrypt", 200)
	s.BrowsersRequest(403)
	s.Candidates(&gateway.Report{Candidates: []gateway.CandidateReport{{Result: gateway.FateEncrypted}}})
	problems, err := testutil.GatherAndLint(s.registry, "candgw_lookups_total", "candgw_candidates_total",
		"candgw_api_requests_total", "candgw_browsers_requests_total", "candgw_keyring_revision", "candgw_keyring_reload_failures_total")
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

// What was counted of a key goes when the key leaves the ring.
func TestLookupsByKey(t *testing.T) {
	s := New()
	e := new(keyring.Ring).Edit(time.Now())
	var keys []*cipher.Key
	for range 2 {
		k, err := cipher.GenerateKey(cipher.AESUUID)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Add(k, keyring.Standby); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	both, err := e.Ring()
	if err != nil {
		t.Fatal(err)
	}
	e = both.Edit(time.Now())
	if err := e.Remove(keys[0].ID(), true); err != nil {
		t.Fatal(err)
	}
	one, err := e.Ring()
	if err != nil {
		t.Fatal(err)
	}
	count := func() {
		s.Lookups(resolver.FrontDNS, resolver.Unauthenticated, nil, 5)
		for i, k := range keys {
			s.Lookups(resolver.FrontDNS, resolver.Answered, k, 1+i)
			s.Lookups(resolver.FrontMDNS, resolver.Denied, k, 1)
		}
	}
	of := func(k *cipher.Key) string {
		if k == nil {
			return ""
		}
		return k.ID().String()
	}
	total := func(front, result string, k *cipher.Key) float64 {
		return testutil.ToFloat64(s.lookups.total.WithLabelValues(front, result, of(k)))
	}
	count()
	s.RingLoaded(both)
	count()
	if got := total("dns", "answered", keys[0]); got != 2 {
		t.Errorf("got %v", got)
	}
	s.RingLoaded(one)
	if n := testutil.CollectAndCount(s.lookups.total); n != 3 {
		t.Errorf("%d series, want those without a key and the two of the key that is left", n)
	}
	count()
	for _, tt := range []struct {
		front, result string
		key           *cipher.Key
		want          float64
	}{
		{"dns", "unauthenticated", nil, 15}, {"dns", "answered", keys[1], 6}, {"mdns", "denied", keys[1], 3}, {"dns", "answered", keys[0], 1},
	} {
		if got := total(tt.front, tt.result, tt.key); got != tt.want {
			t.Errorf("%s %s: got %v, want %v", tt.front, tt.result, got, tt.want)
		}
	}
}

// Counting allocates nothing once a key is known.
func TestLookupsAllocateNothing(t *testing.T) {
	s := New()
	k, err := cipher.GenerateKey(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		s.Lookups(resolver.FrontDNS, resolver.Answered, k, 3)
		s.Took(resolver.FrontDNS, time.Millisecond, 3)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
