package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/candgw/candgw/internal/proxy"
)

// TestCandidatesInHeads has candidates in the head of a request, which nothing rewrites, not reach the site.
func TestCandidatesInHeads(t *testing.T) {
	escaped := url.QueryEscape(raw)
	for _, tt := range []struct {
		name, path string
		header     []string
		status     int
	}{
		{"in the query", "/api?a=b&c=" + escaped, nil, 400},
		{"as a path is escaped", "/api?c=" + url.PathEscape(raw), nil, 400},
		{"all of it escaped", "/api?c=" + strings.ReplaceAll(escaped, "d", "%64"), nil, 400},
		{"beside a broken escape", "/api?a=%zz&b=%&c=" + escaped, nil, 400},
		{"in JSON in the query", "/api?d=" + url.QueryEscape(trickled(raw)), nil, 400},
		{"in a URL in the query", "/api?to=" + url.QueryEscape("https://a.example/?c="+escaped), nil, 400},
		{"in the path", "/api/" + url.PathEscape(raw), nil, 400},
		{"in a header", "/api", []string{"X-Candidate", raw}, 400},
		{"in the URL of the page", "/api", []string{"Referer", page + "/?c=" + escaped}, 400},
		{"where nothing is looked for", "/other?c=" + escaped, nil, 200},
		{"no candidate", "/api?candidate=1&q=candidate:+type&x=%zz", []string{"X-Candidate", "candidate: none"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(site)
			s := (&setup{config: proxy.Config{Paths: []string{"/api", "/api/*"}}}).start(t, upstreamOf(t, u))
			for _, method := range []string{"GET", "POST"} {
				resp, body := s.do(t, method, tt.path, "", "", tt.header...)
				if resp.StatusCode != tt.status {
					t.Errorf("%s: got %d: %s", method, resp.StatusCode, body)
				}
				if tt.status != 200 && (u.count() != 0 || strings.Contains(body+s.log.String(), address)) {
					t.Errorf("%s: the site got %d requests, the client %s, the log %s", method, u.count(), body, s.log)
				}
			}
			h := http.Header{"Origin": {page}}
			for i := 0; i+1 < len(tt.header); i += 2 {
				h.Set(tt.header[i], tt.header[i+1])
			}
			before := u.count()
			_, resp, err := websocket.Dial(context.Background(), s.url+tt.path, &websocket.DialOptions{HTTPClient: s.client, HTTPHeader: h})
			if err == nil || resp == nil || resp.StatusCode != tt.status || (u.count() > before) != (tt.status == 200) {
				t.Errorf("the handshake: %v, the site got %d", err, u.count()-before)
			}
		})
	}
}

// TestCandidatesInTrailers has one there not reach the site.
func TestCandidatesInTrailers(t *testing.T) {
	for _, contentType := range []string{"application/json", "image/png"} {
		u := new(site)
		s := new(setup).start(t, upstreamOf(t, u))
		r, err := http.NewRequest("POST", s.url+"/", struct{ io.Reader }{strings.NewReader("{}")})
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Trailer = http.Header{"X-Candidate": {raw}}
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("%s: got %d", contentType, resp.StatusCode)
		}
		u.mu.Lock()
		for _, got := range u.requests {
			if strings.Contains(fmt.Sprint(got.Trailer), address) {
				t.Errorf("%s: the site got %v", contentType, got.Trailer)
			}
		}
		u.mu.Unlock()
	}
}

// TestCandidatesInHeadsOfTheUpstream has those of an SFU's responses not reach the client.
func TestCandidatesInHeadsOfTheUpstream(t *testing.T) {
	for _, in := range []string{"X-Candidate", http.TrailerPrefix + "X-Candidate", "Location"} {
		u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			if in == "Location" {
				w.Header().Set(in, "/?c="+url.QueryEscape(raw))
				w.WriteHeader(303)
				return
			}
			w.Header().Set(in, raw)
			io.WriteString(w, "x")
		}}
		s := (&setup{config: proxy.Config{UpstreamIsEndpoint: true}}).start(t, upstreamOf(t, u))
		resp, err := s.client.Get(s.url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if (resp.StatusCode != 502 && err == nil) || strings.Contains(fmt.Sprint(resp.Header, resp.Trailer), address) {
			t.Errorf("%s: got %d %v %v, %v", in, resp.StatusCode, resp.Header, resp.Trailer, err)
		}
	}
}

// TestCandidateInCloseReason has a WebSocket close without one.
func TestCandidateInCloseReason(t *testing.T) {
	ended := make(chan error, 1)
	s := new(setup).start(t, sockets(t, nil, func(c *websocket.Conn) {
		_, _, err := c.Read(context.Background())
		ended <- err
	}))
	s.dial(t, "/", nil).Close(3000, raw)
	var e websocket.CloseError
	if err := <-ended; !errors.As(err, &e) || e.Code != 3000 || e.Reason != "" {
		t.Errorf("the site got %v", err)
	}
}

// TestCandidatesBesideData has an event that holds one elsewhere than in its data not pass.
func TestCandidatesBesideData(t *testing.T) {
	for _, event := range []string{": " + raw, "event: " + raw + "\ndata: 1", "id: " + raw + "\ndata: " + trickled("")} {
		u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n"+event+"\n\n")
		}}
		s := (&setup{config: proxy.Config{UpstreamIsEndpoint: true}}).start(t, upstreamOf(t, u))
		resp, err := s.client.Get(s.url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil || strings.Contains(string(got), address) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
