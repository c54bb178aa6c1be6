package web_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/web"
)

func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		status int
		header string // that it has besides
		detail string
	}{
		{"problem", func(w http.ResponseWriter, _ *http.Request) { web.Problem(w, 400, "the body is wrong") }, 400, "", "the body is wrong"},
		{"too many", func(w http.ResponseWriter, _ *http.Request) { web.TooMany(w, "wait") }, 429, "Retry-After: 1", "wait"},
		{"method", web.Only("POST"), 405, "Allow: POST", "use POST"},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("10.77.1.2") }, 500, "", "the request failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			counted := 0
			w := httptest.NewRecorder()
			web.Counted("test", slog.New(slog.NewTextHandler(&log, nil)), func(code int) { counted = code }, tt.answer).
				ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			var problem struct {
				Type, Title, Detail string
				Status              int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatal(err)
			}
			if w.Code != tt.status || problem.Status != tt.status || counted != tt.status || problem.Detail != tt.detail || problem.Title != http.StatusText(tt.status) {
				t.Errorf("status %d, counted %d, %+v", w.Code, counted, problem)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("type %q", got)
			}
			if name, want, ok := strings.Cut(tt.header, ": "); ok && w.Header().Get(name) != want {
				t.Errorf("%s is %q", name, w.Header().Get(name))
			}
			if strings.Contains(log.String(), "10.77") {
				t.Errorf("logged %s", &log)
			}
		})
	}
}

func TestPeer(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Forwarded-For", "10.77.1.9")
	for from, want := range map[string]string{"10.77.1.2:4000": "10.77.1.2", "[fe80::1%eth0]:4000": "fe80::1%eth0", "@": "invalid IP"} {
		if r.RemoteAddr = from; web.Peer(r).String() != want {
			t.Errorf("%s is %s", from, web.Peer(r))
		}
	}
}
