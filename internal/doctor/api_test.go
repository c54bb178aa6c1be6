package doctor

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/config"
)

func TestAPI(t *testing.T) {
	says := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" || r.Host != "localhost" || r.Header.Get("Authorization") != "" {
				status = http.StatusTeapot
			}
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	for _, tt := range []struct {
		name   string
		status int
		text   string
		want   []string
	}{
		{"ready", 200, "ready\n", []string{"ok, API: it is ready"}},
		{"with trouble", 200, "ready\nthe policies on disk are not in use\nnor is the rest\n",
			[]string{"ok, API: it is ready", "warn, API: the policies on disk are not in use", "warn, API: nor is the rest"}},
		{"not ready", 503, `{"detail":"no active key\u001b[2J of the suite","status":503}`, []string{"fail, API: it is not ready: no active key[2J of the suite"}},
		{"another program", 200, "<html>ready</html>", []string{"fail, API: what answers there is not the API"}},
		{"another program that fails", 503, "", []string{"fail, API: what answers there is not the API"}},
		{"another program that sends on", 307, "ready\n", []string{"fail, API: what answers there is not the API"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, over := range []string{"TCP", "TLS", "Unix"} {
				if over == "Unix" && runtime.GOOS == "windows" {
					continue
				}
				n := newNode(t)
				server := httptest.NewUnstartedServer(says(tt.status, tt.text))
				if over == "Unix" {
					path := filepath.Join(t.TempDir(), "s")
					l, err := net.Listen("unix", path)
					if err != nil {
						t.Fatal(err)
					}
					server.Listener.Close()
					server.Listener = l
					n.Config.API.Listen = "unix:" + path
				} else {
					n.Config.API.Listen = server.Listener.Addr().String()
				}
				if over == "TLS" {
					server.StartTLS()
					n.Config.API.TLS = new(config.APITLS)
				} else {
					server.Start()
				}
				defer server.Close()
				var r report
				n.checkAPI(t.Context(), &r)
				check(t, r, tt.want...)
				if len(r) != len(tt.want) {
					t.Errorf("over %s: %d findings: %+v", over, len(r), r)
				}
			}
		})
	}
}

// Where nobody answers, it is said; where nobody can know whom to ask, nothing is claimed.
func TestNoAPI(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for listen, want := range map[string]string{
		l.Addr().String():                       "fail, API: it does not answer",
		"unix:" + filepath.Join("no", "socket"): "fail, API: it does not answer",
		"127.0.0.1:0":                           "skip, API: its address is known only",
	} {
		n := newNode(t)
		n.Config.API.Listen = listen
		var r report
		n.checkAPI(t.Context(), &r)
		check(t, r, want)
		if strings.Contains(r[0].What, "127.0.0.1") {
			t.Errorf("a finding has an address: %+v", r[0])
		}
	}
}
