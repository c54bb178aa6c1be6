// Package metrics counts what candgw does. No name, address or key is in a label. docs/api.md lists
// the metrics.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/keyring"
)

// A Set is the metrics of one process, in a registry of its own. It is safe for concurrent use.
type Set struct {
	registry       *prometheus.Registry
	lookups        lookups
	candidates     *prometheus.CounterVec
	requests       *prometheus.CounterVec
	browsers       *prometheus.CounterVec
	signaling      signaling
	ringRevision   prometheus.Gauge
	reloadFailures prometheus.Counter
	policies       prometheus.Gauge
	policyCurrent  prometheus.Gauge
	policyFailures prometheus.Counter
	configCurrent  prometheus.Gauge
	nextRotation   *prometheus.GaugeVec
	rotationFailed prometheus.Counter
}

// New returns metrics at zero.
func New() *Set {
	s := &Set{
		registry: prometheus.NewRegistry(),
		lookups:  newLookups(),
		candidates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "candgw_candidates_total", Help: "Candidates in signaling by what became of them.",
		}, []string{"result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "candgw_api_requests_total", Help: "Requests to the HTTP API by operation and status code.",
		}, []string{"operation", "code"}),
		browsers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "candgw_browsers_requests_total", Help: "Requests of browser extensions by status code.",
		}, []string{"code"}),
		signaling: newSignaling(),
		ringRevision: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "candgw_keyring_revision", Help: "Revision of the key ring in use.",
		}),
		reloadFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "candgw_keyring_reload_failures_total", Help: "Key rings on disk that could not be taken into use.",
		}),
		policies: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "candgw_policies", Help: "Policies in use.",
		}),
		policyCurrent: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "candgw_policy_last_reload_successful", Help: "1 if the policies on disk are those in use, 0 if they could not be taken into use.",
		}),
		policyFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "candgw_policy_reload_failures_total", Help: "Policies on disk that could not be taken into use.",
		}),
		configCurrent: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "candgw_config_last_reload_successful", Help: "1 if the configuration was read the last time it was asked for, else 0.",
		}),
		nextRotation: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "candgw_keyring_next_rotation_timestamp_seconds", Help: "When the active key of a suite is to be replaced by the clock.",
		}, []string{"suite"}),
		rotationFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "candgw_keyring_rotation_failures_total", Help: "Changes of the key ring by the clock that failed.",
		}),
	}
	s.registry.MustRegister(s.lookups.total, s.lookups.seconds, s.candidates, s.requests, s.browsers, s.signaling.messages, s.signaling.connections, s.ringRevision, s.reloadFailures,
		s.policies, s.policyCurrent, s.policyFailures, s.configCurrent, s.nextRotation, s.rotationFailed,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.configCurrent.Set(1)
	return s
}

// Request counts a request to the API.
func (s *Set) Request(operation string, code int) {
	s.requests.WithLabelValues(operation, strconv.Itoa(code)).Inc()
}

// BrowsersRequest counts a request of a browser extension.
func (s *Set) BrowsersRequest(code int) { s.browsers.WithLabelValues(strconv.Itoa(code)).Inc() }

// Candidates counts what a report tells.
func (s *Set) Candidates(r *gateway.Report) {
	for _, c := range r.Candidates {
		s.candidates.WithLabelValues(string(c.Result)).Inc()
	}
}

// RingLoaded tells the ring in use.
func (s *Set) RingLoaded(r *keyring.Ring) {
	s.ringRevision.Set(float64(r.Revision()))
	s.lookups.keepKeys(r)
}

// RingFailed counts a key ring that could not be taken into use.
func (s *Set) RingFailed() { s.reloadFailures.Inc() }

// PoliciesLoaded tells how many policies are in use.
func (s *Set) PoliciesLoaded(n int) {
	s.policies.Set(float64(n))
	s.policyCurrent.Set(1)
}

// PoliciesFailed counts policies that could not be taken into use.
func (s *Set) PoliciesFailed() {
	s.policyCurrent.Set(0)
	s.policyFailures.Inc()
}

// ConfigLoaded tells that the configuration in use is that on disk, as far as it can be at run time.
func (s *Set) ConfigLoaded() { s.configCurrent.Set(1) }

// ConfigFailed tells that the configuration on disk could not be taken into use.
func (s *Set) ConfigFailed() { s.configCurrent.Set(0) }

// NextRotations tells when the active keys are to be replaced; suites that are not in it have no time.
func (s *Set) NextRotations(next map[cipher.Suite]time.Time) {
	for _, suite := range cipher.Suites() {
		if at, ok := next[suite]; ok {
			s.nextRotation.WithLabelValues(suite.String()).Set(float64(at.Unix()))
		} else {
			s.nextRotation.DeleteLabelValues(suite.String())
		}
	}
}

// RotationFailed counts a change of the key ring by the clock that failed.
func (s *Set) RotationFailed() { s.rotationFailed.Inc() }

// Handler serves the metrics in the formats of Prometheus.
func (s *Set) Handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}
