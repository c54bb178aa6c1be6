package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/candgw/candgw/internal/proxy"
)

// TestWebSocketOrder has names asked for all at once, and messages arrive in the order in which they were sent.
func TestWebSocketOrder(t *testing.T) {
	const n = 12
	asked := make(chan struct{}, n)
	release := make(chan struct{})
	resolve := names(func(ctx context.Context, name string, _ netip.Addr) (netip.Addr, error) {
		asked <- struct{}{}
		select {
		case <-release:
			return netip.MustParseAddr(address), nil
		case <-ctx.Done():
			return netip.Addr{}, ctx.Err()
		}
	})
	s := (&setup{names: resolve}).start(t, sockets(t, nil, echo))
	c := s.dial(t, "/", nil)
	send(t, c, inJSON(offer))
	receive(t, c)
	for i := range n {
		send(t, c, trickled(fmt.Sprintf("candidate:1 1 udp %d 884bd1f6-e28c-4b96-a9b8-90941f7bc5%02x.local 41749 typ host ufrag abcd", i+1, i)))
		send(t, c, fmt.Sprintf(`{"chat":%d}`, i))
	}
	for range 8 { // as many as fit into the queue with their neighbours
		<-asked
	}
	close(release)
	for i := range n {
		if got := receive(t, c); !strings.Contains(got, fmt.Sprintf(" udp %d ", i+1)) || strings.Contains(got, "884bd1f6") {
			t.Errorf("%d: got %s", i, got)
		}
		if got := receive(t, c); got != fmt.Sprintf(`{"chat":%d}`, i) {
			t.Errorf("%d: got %s", i, got)
		}
	}
}

// TestWebSocketRefusesInTurn has what is before a refused message arrive, and nothing after it.
func TestWebSocketRefusesInTurn(t *testing.T) {
	resolve := names(func(ctx context.Context, _ string, _ netip.Addr) (netip.Addr, error) {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
		return netip.MustParseAddr(address), nil
	})
	came := make(chan string, 10)
	s := (&setup{names: resolve}).start(t, sockets(t, nil, func(c *websocket.Conn) {
		defer close(came)
		for {
			_, body, err := c.Read(context.Background())
			if err != nil {
				return
			}
			came <- string(body)
		}
	}))
	c := s.dial(t, "/", nil)
	send(t, c, inJSON(offer))
	send(t, c, trickled("candidate:1 1 udp 1 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 41749 typ host ufrag abcd"))
	send(t, c, "in between")
	send(t, c, trickled(broken))
	send(t, c, "after it")
	if got := closed(t, c); got.Code != websocket.StatusPolicyViolation {
		t.Errorf("got %v", got)
	}
	var got []string
	for m := range came {
		got = append(got, m)
	}
	if len(got) != 3 || !strings.Contains(got[1], ".local") || got[2] != "in between" {
		t.Errorf("the site got %q", got)
	}
}

// TestWebSocketPings has both ends answered.
func TestWebSocketPings(t *testing.T) {
	pinged, done := make(chan error, 1), make(chan struct{})
	defer close(done)
	s := new(setup).start(t, sockets(t, nil, func(c *websocket.Conn) {
		c.CloseRead(context.Background())
		pinged <- c.Ping(context.Background())
		<-done
	}))
	c := s.dial(t, "/", nil)
	c.CloseRead(context.Background())
	if err := c.Ping(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-pinged; err != nil {
		t.Error(err)
	}
}

// TestWebSocketsAreBounded has one too many told so, and a place free again once another ends.
func TestWebSocketsAreBounded(t *testing.T) {
	s := (&setup{config: proxy.Config{MaxConnections: 2}}).start(t, sockets(t, nil, echo))
	first := s.dial(t, "/", nil)
	s.dial(t, "/", nil)
	_, resp, err := websocket.Dial(context.Background(), s.url, &websocket.DialOptions{HTTPClient: s.client})
	if err == nil || resp == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("got %v, %v", resp, err)
	}
	first.Close(1000, "")
	for end := time.Now().Add(patience); s.counts.open() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is still open")
		}
	}
	s.dial(t, "/", nil)
}

// TestStops has WebSockets closed with 1001, and requests under way answered.
func TestStops(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	upstream := upstreamOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-release
			io.WriteString(w, "done")
			return
		}
		if c, err := websocket.Accept(w, r, nil); err == nil {
			echo(c)
		}
	}))
	s := new(setup).start(t, upstream)
	c := s.dial(t, "/", &websocket.DialOptions{HTTPHeader: http.Header{}})
	answered := make(chan string)
	go func() {
		_, body := s.do(t, "GET", "/slow", "", "")
		answered <- body
	}()
	<-begun
	stopped := make(chan struct{})
	go func() {
		s.stop()
		close(stopped)
	}()
	if got := closed(t, c); got.Code != websocket.StatusGoingAway {
		t.Errorf("got %v", got)
	}
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("got %q", got)
	}
	<-stopped
}
