package proxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A site is an upstream that keeps what it was sent.
type site struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	answer   http.HandlerFunc // nil: 200 and the body that came in
}

func (u *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.requests = append(u.requests, r)
	u.bodies = append(u.bodies, string(body))
	u.mu.Unlock()
	if u.answer != nil {
		u.answer(w, r)
		return
	}
	w.Header()["Content-Type"] = r.Header["Content-Type"]
	w.Write(body)
}

// last returns the last request and its body.
func (u *site) last(t testing.TB) (*http.Request, string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.requests) == 0 {
		t.Fatal("no request has come")
	}
	return u.requests[len(u.requests)-1], u.bodies[len(u.bodies)-1]
}

// all returns all that has come, whole or not.
func (u *site) all() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.bodies, "\n")
}

func (u *site) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.requests)
}

// page is the origin of the page that dial is.
const page = "https://meet.example.com"

// dial opens a WebSocket through the proxy, as a page does unless the options have headers.
func (s *setup) dial(t testing.TB, path string, o *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	if o == nil {
		o = new(websocket.DialOptions)
	}
	if o.HTTPClient = s.client; o.HTTPHeader == nil {
		o.HTTPHeader = http.Header{"Origin": {page}}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, s.url+path, o)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { c.CloseNow() })
	return c
}

const patience = 20 * time.Second

// sockets is an upstream of WebSockets; serve is run for each.
func sockets(t testing.TB, o *websocket.AcceptOptions, serve func(*websocket.Conn)) *url.URL {
	return upstreamOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o == nil {
			o = &websocket.AcceptOptions{InsecureSkipVerify: true}
		}
		c, err := websocket.Accept(w, r, o)
		if err != nil {
			return
		}
		c.SetReadLimit(-1)
		serve(c)
	}))
}

// echo sends back what comes.
func echo(c *websocket.Conn) {
	defer c.CloseNow()
	for {
		kind, body, err := c.Read(context.Background())
		if err != nil || c.Write(context.Background(), kind, body) != nil {
			return
		}
	}
}

func send(t testing.TB, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, c *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, body, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// closed returns how a WebSocket was closed.
func closed(t testing.TB, c *websocket.Conn) websocket.CloseError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, _, err := c.Read(ctx); err != nil {
			var e websocket.CloseError
			if !errors.As(err, &e) {
				t.Fatalf("not closed but broken: %v", err)
			}
			return e
		}
	}
}
