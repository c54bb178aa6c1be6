package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/internal/proxy"
)

// TestLateBodies has a body that is to be rewritten and does not arrive be given up, whichever end it is of, so
// that its place in memory is for others.
func TestLateBodies(t *testing.T) {
	proxy.ShortenBodyPatience(t, 200*time.Millisecond)
	for _, noTLS := range []bool{false, true} { // HTTP/2 and 1.1
		u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"and":`)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}}
		s := (&setup{noTLS: noTLS, config: proxy.Config{UpstreamIsEndpoint: true}}).start(t, upstreamOf(t, u))
		s.client.Timeout = patience
		if resp, body := s.do(t, "GET", "/", "", ""); resp.StatusCode != 504 || !strings.Contains(body, "time ran out") {
			t.Errorf("a response: got %d %s", resp.StatusCode, body)
		}
		s = (&setup{noTLS: noTLS}).start(t, upstreamOf(t, new(site)))
		s.client.Timeout = patience
		r, w := io.Pipe()
		go io.WriteString(w, `{"and":`)
		resp, err := s.client.Post(s.url, "application/json", r)
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("a request: got %d", resp.StatusCode)
		}
	}
}

// TestSlowReaders has a client that does not read its response be cut, and one whose response is slow be left alone.
func TestSlowReaders(t *testing.T) {
	const most = 256 << 20 // more than any buffer on the way
	proxy.ShortenWritePatience(t, 200*time.Millisecond)
	for _, noTLS := range []bool{false, true} { // HTTP/2 and 1.1
		cut := make(chan error, 1)
		u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				for range 3 {
					io.WriteString(w, "part ")
					http.NewResponseController(w).Flush()
					time.Sleep(500 * time.Millisecond)
				}
				return
			}
			part := make([]byte, 64<<10)
			for sent := 0; sent < most; sent += len(part) {
				if _, err := w.Write(part); err != nil {
					cut <- err
					return
				}
			}
			cut <- nil
		}}
		s := (&setup{noTLS: noTLS}).start(t, upstreamOf(t, u))
		s.client.Timeout = patience
		if resp, body := s.do(t, "GET", "/slow", "", ""); resp.StatusCode != 200 || body != "part part part " {
			t.Errorf("a slow response: got %d %q", resp.StatusCode, body)
		}
		resp, err := s.client.Get(s.url + "/much")
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-cut:
			if err == nil {
				t.Error("all of it was written to a client that does not read")
			}
		case <-time.After(patience):
			t.Error("a client that does not read is not cut")
		}
		resp.Body.Close()
	}
}
