package proxy_test

import (
	"strings"
	"testing"
)

func TestHTTPRewrites(t *testing.T) {
	u := new(site)
	s := new(setup).start(t, upstreamOf(t, u))
	resp, body := s.do(t, "POST", "/whip", "application/sdp", fullOffer)
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("got %d over %s: %s", resp.StatusCode, resp.Proto, body)
	}
	r, got := u.last(t)
	if strings.Contains(got, address) || !strings.Contains(got, ".local 41749 typ host") || r.ProtoMajor != 2 || int(r.ContentLength) != len(got) {
		t.Errorf("got %s over %s", got, r.Proto)
	}
	resp, body = s.do(t, "POST", "/api", "application/json", `{"candidate":`)
	if resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/problem+json" || u.count() != 1 {
		t.Errorf("got %d: %s", resp.StatusCode, body)
	}
}
