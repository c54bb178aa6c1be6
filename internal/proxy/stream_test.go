package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/proxy"
)

// TestStreams has a body pass before it ends, both ways, octet for octet.
func TestStreams(t *testing.T) {
	came := make(chan []byte, 100)
	upstream := upstreamOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		for {
			b := make([]byte, 64<<10)
			n, err := r.Body.Read(b)
			if n > 0 {
				came <- b[:n]
				w.Write(b[:n])
				http.NewResponseController(w).Flush()
			}
			if err != nil {
				return
			}
		}
	}))
	s := new(setup).start(t, upstream)
	part := make([]byte, 1<<20)
	rand.Read(part)
	copy(part[len(part)-9:], "candidate") // which is none, but the beginning of the word
	body, write := io.Pipe()
	r, _ := http.NewRequest("POST", s.url+"/upload", body)
	r.Header.Set("Content-Type", "application/octet-stream")
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for range 3 {
		go write.Write(part)
		got := make([]byte, len(part)-9)
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, part[:len(got)]) {
			t.Fatalf("not what was sent: %v", err)
		}
		// The rest comes once it is known to be no candidate.
		go write.Write([]byte("x"))
		if got = make([]byte, 10); true {
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "candidatex" {
				t.Fatalf("got %q, %v", got, err)
			}
		}
	}
	write.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 {
		t.Errorf("%d octets more, %v", len(rest), err)
	}
}

// events sends events one by one, each when it is asked for.
func eventSite(t *testing.T, events []string) (*url.URL, chan struct{}) {
	next := make(chan struct{})
	return upstreamOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		for _, e := range events {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			io.WriteString(w, e)
			http.NewResponseController(w).Flush()
		}
	})), next
}

// TestEvents has events pass one by one; where something is to be rewritten in them, it is.
func TestEvents(t *testing.T) {
	ring := newRing(t)
	named := inJSON(offer + "a=candidate:1 1 udp 1 " + nameOf(t, ring) + " 41749 typ host\r\n")
	twoLines := strings.Replace(named, `,"sdp"`, ",\ndata: \"sdp\"", 1)
	events := []string{
		": a comment\n\n",
		"data: see you at 10\n\n",
		"event: offer\ndata: " + named + "\nid: 7\n\n",
		"event: offer\r\ndata:" + named + "\r\n\r\n",
		"event: offer\rdata: " + twoLines + "\r\r",
		"retry: 10\n\n",
	}
	for _, tt := range []struct {
		name   string
		header []string
		opened bool
	}{{"to a page", []string{"Origin", page}, false}, {"to a native client", nil, true}} {
		t.Run(tt.name, func(t *testing.T) {
			upstream, next := eventSite(t, events)
			s := (&setup{ring: ring.self}).start(t, upstream)
			r, _ := http.NewRequest("POST", s.url+"/events", nil)
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Set(tt.header[i], tt.header[i+1])
			}
			resp, err := s.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for i, e := range events {
				next <- struct{}{}
				want := e
				if i == 3 && tt.opened { // the last line feed comes with what follows
					want = e[:len(e)-1]
				}
				if i == 4 && tt.opened {
					want = "\n" + e
				}
				if tt.opened && strings.Contains(e, ".local") {
					got := until(t, resp.Body, "\n\n", "\r\r", "\n\r")
					if !strings.Contains(got, address) || strings.Contains(got, ".local") || !strings.Contains(got, "event: offer") {
						t.Errorf("event %d: got %q", i, got)
					}
					continue
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
					t.Errorf("event %d: got %q, %v, want %q", i, got, err, want)
				}
			}
		})
	}
}

// until reads up to one of some ends.
func until(t *testing.T, r io.Reader, ends ...string) string {
	t.Helper()
	var got []byte
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(r, one); err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, one...)
		for _, e := range ends {
			if strings.HasSuffix(string(got), e) && len(got) > len(e)+1 {
				return string(got)
			}
		}
	}
}

// TestResponses has bodies of every kind on their way from a site that is the endpoint itself.
func TestResponses(t *testing.T) {
	long := strings.Repeat("x", gateway.MaxBody)
	for _, tt := range []struct {
		name, contentType, body string
		header                  []string
		status                  int // 0: the response breaks off
		changed                 bool
	}{
		{"a description", "application/sdp", fullOffer, nil, 200, true},
		{"JSON", "application/json", inJSON(fullOffer), nil, 200, true},
		{"an event", "text/event-stream", "data: " + inJSON(fullOffer) + "\n\n", nil, 200, true},
		{"gzip", "application/json", gzipped(inJSON(fullOffer)), []string{"Content-Encoding", "gzip"}, 200, true},
		{"text", "text/plain", "hello", nil, 200, false},
		{"a page", "text/html", "<html>", nil, 200, false},
		{"long", "image/png", long + long, nil, 200, false},
		{"one dropped candidate", "application/json", trickled("candidate:1 1 udp 1 127.0.0.1 1 typ host ufrag abcd"), nil, 204, false},
		{"a broken candidate", "application/json", trickled(broken), nil, 502, false},
		{"not JSON", "application/json", "{", nil, 502, false},
		{"too long", "application/json", `"` + long + `"`, nil, 502, false},
		{"encoded events", "text/event-stream", "data: {}\n\n", []string{"Content-Encoding", "gzip"}, 502, false},
		{"an encoding", "application/json", "{}", []string{"Content-Encoding", "br"}, 502, false},
		{"a candidate in a form", "application/x-www-form-urlencoded", url.QueryEscape(raw), nil, 502, false},
		{"a candidate in a page", "text/html", long + long + raw, nil, 0, false},
		{"an event with a broken candidate", "text/event-stream", "data: " + trickled(broken) + "\n\n", nil, 0, false},
		{"an event that is too long", "text/event-stream", "data: " + long + long + "\n\n", nil, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				w.Header().Set("Digest", "x")
				for i := 0; i < len(tt.header); i += 2 {
					w.Header().Set(tt.header[i], tt.header[i+1])
				}
				io.WriteString(w, tt.body)
			}}
			s := (&setup{config: proxy.Config{UpstreamIsEndpoint: true}}).start(t, upstreamOf(t, u))
			r, _ := http.NewRequest("GET", s.url+"/", nil)
			r.Header.Set("Range", "bytes=0-1")
			resp, err := s.client.Do(r)
			if err != nil && tt.status == 0 {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			got := string(body)
			if strings.Contains(got+s.log.String(), address) {
				t.Errorf("told: %.500s %s", got, s.log)
			}
			if asked, _ := u.last(t); asked.Header.Get("Accept-Encoding") != "identity" || asked.Header.Get("Range") != "" {
				t.Errorf("asked with %v", asked.Header)
			}
			if tt.status == 0 {
				if err == nil {
					t.Errorf("it ends as if it were whole: %d octets", len(got))
				}
				return
			}
			if resp.StatusCode != tt.status || err != nil {
				t.Fatalf("got %d, %v: %.300s", resp.StatusCode, err, got)
			}
			switch {
			case tt.status == 200 && tt.changed && (!strings.Contains(got, ".local 41749 typ host") || resp.Header.Get("Digest")+resp.Header.Get("Content-Encoding") != ""):
				t.Errorf("got %v %s", resp.Header, got)
			case tt.status == 200 && !tt.changed && (got != tt.body || resp.Header.Get("Digest") == ""):
				t.Errorf("got %v, %d octets", resp.Header, len(got))
			case tt.status == 200 && resp.ContentLength >= 0 && int(resp.ContentLength) != len(got):
				t.Errorf("Content-Length %d for %d", resp.ContentLength, len(got))
			}
		})
	}
}

// TestUpstreamIsEndpoint has names opened on their way to an SFU, and nothing of the client's changed.
func TestUpstreamIsEndpoint(t *testing.T) {
	ring := newRing(t)
	u := &site{answer: func(http.ResponseWriter, *http.Request) {}}
	s := (&setup{ring: ring.self, config: proxy.Config{UpstreamIsEndpoint: true}}).start(t, upstreamOf(t, u))
	s.do(t, "POST", "/", "application/sdp", offer+"a=candidate:1 1 udp 1 "+nameOf(t, ring)+" 41749 typ host\r\n", "Origin", page)
	if _, got := u.last(t); !strings.Contains(got, address) {
		t.Errorf("got %s", got)
	}
	s.do(t, "POST", "/", "image/png", raw, "Origin", page)
	if _, got := u.last(t); got != raw {
		t.Errorf("got %s", got)
	}
}

// TestTooLongToOpen has a response that is too long keep its names.
func TestTooLongToOpen(t *testing.T) {
	ring := newRing(t)
	body := `["` + nameOf(t, ring) + `","` + strings.Repeat("x", 3*gateway.MaxBody) + `"]`
	u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}}
	s := (&setup{ring: ring.self}).start(t, upstreamOf(t, u))
	if resp, got := s.do(t, "POST", "/", "", ""); resp.StatusCode != 200 || got != body {
		t.Errorf("got %d, %d octets", resp.StatusCode, len(got))
	}
}

// TestExpectAndTrailers has the fine points of HTTP work through the proxy.
func TestExpectAndTrailers(t *testing.T) {
	u := new(site)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(200)
		fmt.Fprint(w, r.Trailer.Get("X-Sum"))
		w.Header().Set("X-Sum", "2")
	}
	s := new(setup).start(t, upstreamOf(t, u))
	for _, contentType := range []string{"application/json", "image/png"} {
		r, _ := http.NewRequest("POST", s.url+"/", io.MultiReader(strings.NewReader("{}"))) // of unknown length
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Expect", "100-continue")
		r.Trailer = http.Header{"X-Sum": {"1"}}
		continued := false
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }}))
		// Over HTTP/1.1, where a client waits for it.
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities()}, ExpectContinueTimeout: patience}}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "1" || resp.Trailer.Get("X-Sum") != "2" || !continued {
			t.Errorf("%s: got %q, %v, trailer %v, continued %v", contentType, body, err, resp.Trailer, continued)
		}
		client.CloseIdleConnections()
	}
}

// TestEarlyHints has informational responses pass.
func TestEarlyHints(t *testing.T) {
	u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.js>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "ok")
	}}
	s := new(setup).start(t, upstreamOf(t, u))
	r, _ := http.NewRequest("GET", s.url+"/", nil)
	hints := 0
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code == http.StatusEarlyHints && h.Get("Link") != "" {
			hints++
		}
		return nil
	}}))
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if hints != 1 {
		t.Errorf("got %d", hints)
	}
}

// TestUpgrades has no other protocol than WebSocket get through, nor tunnels.
func TestUpgrades(t *testing.T) {
	u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upgrade=%s", r.Header.Get("Upgrade"))
	}}
	s := (&setup{noTLS: true}).start(t, upstreamOf(t, u))
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n":                       "upgrade=",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tunnel\r\n\r\n":                    "upgrade=",
		"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n":                                                  "405 Method Not Allowed",
		"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n":                          "400 Bad Request",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n":                 "400 Bad Request",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nUpgrade: websocket\r\nX-Forwarded-For: b\r\n\r\n": "upgrade=",
	} {
		if got := exchange(t, s.addr, request); !strings.Contains(got, want) {
			t.Errorf("%q: got %q", request, got)
		}
	}
}

// exchange sends octets and returns what comes back first.
func exchange(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	return resp.Status + " " + string(body)
}

// TestUpstreamFails has the client told why, without addresses.
func TestUpstreamFails(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	cuts := upstreamOf(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	for _, tt := range []struct{ name, upstream, why string }{
		{"nobody there", strings.Replace(gone.URL, "http:", "https:", 1), "connection refused"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
		{"another's certificate", strings.Replace(cuts.String(), "127.0.0.1", "localhost", 1), "not valid for it"},
		{"no name", "https://nobody.invalid", "does not resolve"},
		{"it cuts", cuts.String(), "the connection broke"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, _ := url.Parse(tt.upstream)
			s := new(setup).start(t, u)
			resp, body := s.do(t, "POST", "/", "application/json", "{}")
			if resp.StatusCode != 502 || !strings.Contains(body, tt.why) || strings.Contains(body+s.log.String(), "127.0.0.1:") {
				t.Errorf("got %d: %s %s", resp.StatusCode, body, s.log)
			}
		})
	}
}
