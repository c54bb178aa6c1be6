package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/proxy"
)

func TestWebSocketRewrites(t *testing.T) {
	s := new(setup).start(t, sockets(t, nil, echo))
	c := s.dial(t, "/ws", nil)
	send(t, c, inJSON(offer))
	if got := receive(t, c); got != inJSON(offer) {
		t.Errorf("got %s", got)
	}
	send(t, c, trickled(raw))
	first := receive(t, c)
	if strings.Contains(first, address) || !strings.Contains(first, ".local 41749 typ host") {
		t.Errorf("got %s", first)
	}
	send(t, c, trickled(raw))
	if again := receive(t, c); again != first {
		t.Errorf("the name does not repeat: %s, then %s", first, again)
	}
	const chat = `{"chat":"see you at 10"}`
	send(t, c, chat)
	if got := receive(t, c); got != chat {
		t.Errorf("got %s", got)
	}
	send(t, c, trickled("candidate:1 1 udp 1 127.0.0.1 1 typ host ufrag abcd")) // which is left out
	send(t, c, chat)
	if got := receive(t, c); got != chat {
		t.Errorf("got %s", got)
	}
	// Another connection has names of its own.
	other := s.dial(t, "/ws", nil)
	send(t, other, trickled(raw))
	if got := receive(t, other); got == first || strings.Contains(got, address) {
		t.Errorf("got %s", got)
	}
	if s.counts.of(proxy.ToUpstream, proxy.Rewritten) != 3 || s.counts.of(proxy.ToUpstream, proxy.Unchanged) != 3 || s.counts.of(proxy.ToUpstream, proxy.LeftOut) != 1 {
		t.Errorf("counted %v", s.counts.results)
	}
}

// TestWebSocketOpens has names opened for native clients, and kept from pages.
func TestWebSocketOpens(t *testing.T) {
	ring := newRing(t)
	named := inJSON(offer + "a=candidate:1 1 udp 1 " + nameOf(t, ring) + " 41749 typ host\r\n")
	upstream := sockets(t, nil, func(c *websocket.Conn) {
		c.Write(context.Background(), websocket.MessageText, []byte(named))
		echo(c)
	})
	s := (&setup{ring: ring.self}).start(t, upstream)
	if got := receive(t, s.dial(t, "/", nil)); got != named {
		t.Errorf("a page gets %s", got)
	}
	if got := receive(t, s.dial(t, "/", &websocket.DialOptions{HTTPHeader: http.Header{}})); !strings.Contains(got, address) {
		t.Errorf("a native client gets %s", got)
	}
	s = (&setup{ring: ring.self, config: proxy.Config{UpstreamIsEndpoint: true}}).start(t, upstream)
	c := s.dial(t, "/", nil)
	if got := receive(t, c); got != named {
		t.Errorf("of an SFU came %s", got)
	}
	send(t, c, named) // is opened for the SFU, and what it says encrypted
	if got := receive(t, c); strings.Contains(got, address) || !strings.Contains(got, ".local 41749") {
		t.Errorf("of an SFU came %s", got)
	}
}

// TestWebSocketMessages has messages of every kind.
func TestWebSocketMessages(t *testing.T) {
	long := bytes.Repeat([]byte("x"), gateway.MaxBody)
	const text, binary = websocket.MessageText, websocket.MessageBinary
	for _, tt := range []struct {
		name   string
		kind   websocket.MessageType
		body   string
		native bool // sent and received by a native client
		code   websocket.StatusCode
		reason string
	}{
		{"empty", text, "", false, 0, ""},
		{"text", text, "see you at 10", false, 0, ""},
		{"of no JSON", text, `{"a":`, false, 0, ""},
		{"binary", binary, "\x00\xff\x01", false, 0, ""},
		{"empty binary", binary, "", false, 0, ""},
		{"as long as can be", text, string(long), false, 0, ""},
		{"long binary", binary, "\x00" + strings.Repeat(string(long), 5), false, 0, ""},
		{"binary JSON", binary, ` {"a":1}`, false, 0, ""},
		{"too long", text, string(long) + "x", false, websocket.StatusMessageTooBig, "256 KiB"},
		{"binary that looks like JSON and is too long", binary, " [" + string(long), false, websocket.StatusMessageTooBig, "256 KiB"},
		{"binary with a candidate", binary, "\x00" + raw, false, websocket.StatusPolicyViolation, "cannot be rewritten"},
		{"long binary with a candidate", binary, "\x00" + string(long) + string(long) + raw, false, websocket.StatusPolicyViolation, "cannot be rewritten"},
		{"long binary with one across its parts", binary, "\x00" + strings.Repeat("x", gateway.MaxBody-5) + raw + string(long), false, websocket.StatusPolicyViolation, "cannot be rewritten"},
		{"a broken candidate", text, trickled(broken), false, websocket.StatusPolicyViolation, "port"},
		{"a broken one in binary JSON", binary, trickled(broken), false, websocket.StatusPolicyViolation, "port"},
		{"one of no session", text, trickled("candidate:1 1 udp 1 " + address + " 1 typ host ufrag none"), false, websocket.StatusPolicyViolation, "no session"},
		{"no UTF-8", text, "\xff", false, websocket.StatusPolicyViolation, "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			came := make(chan string, 10)
			upstream := sockets(t, nil, func(c *websocket.Conn) {
				defer c.CloseNow()
				for {
					kind, body, err := c.Read(context.Background())
					if err != nil {
						came <- fmt.Sprint(websocket.CloseStatus(err))
						return
					}
					came <- fmt.Sprint(kind) + string(body)
					if c.Write(context.Background(), kind, body) != nil {
						return
					}
				}
			})
			s := new(setup).start(t, upstream)
			c := s.dial(t, "/", nil)
			if err := c.Write(context.Background(), tt.kind, []byte(tt.body)); err != nil {
				t.Fatal(err)
			}
			if tt.code == 0 {
				if got := <-came; got != fmt.Sprint(tt.kind)+tt.body {
					t.Errorf("%d octets came: %.50q", len(got), got)
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if kind, got, err := c.Read(ctx); err != nil || kind != tt.kind || string(got) != tt.body {
					t.Errorf("%d octets came back, %v", len(got), err)
				}
				return
			}
			if got := closed(t, c); got.Code != tt.code || !strings.Contains(got.Reason, tt.reason) || strings.Contains(got.Reason, address) {
				t.Errorf("got %v", got)
			}
			if got := <-came; strings.Contains(got, address) || got == fmt.Sprint(tt.kind)+tt.body {
				t.Errorf("the site got %.100q", got)
			}
			if strings.Contains(s.log.String(), address) || !strings.Contains(s.log.String(), tt.reason) || s.counts.of(proxy.ToUpstream, proxy.Refused) != 1 {
				t.Errorf("counted %v, logged %s", s.counts.results, s.log)
			}
		})
	}
}

// TestWebSocketStreams has a message pass before it ends.
func TestWebSocketStreams(t *testing.T) {
	came := make(chan int, 1000)
	upstream := sockets(t, nil, func(c *websocket.Conn) {
		_, r, err := c.Reader(context.Background())
		if err != nil {
			return
		}
		for b := make([]byte, 1<<20); ; {
			n, err := r.Read(b)
			if came <- n; err != nil {
				close(came)
				return
			}
		}
	})
	s := new(setup).start(t, upstream)
	c := s.dial(t, "/", nil)
	w, err := c.Writer(context.Background(), websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 4*gateway.MaxBody)); err != nil {
		t.Fatal(err)
	}
	// Most of it is there before the message ends; the last of it waits for what follows.
	for sum := 0; sum < 3*gateway.MaxBody; sum += <-came {
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for range came {
	}
}

// TestWebSocketHandshake has subprotocols, cookies and headers pass, and compression left out.
func TestWebSocketHandshake(t *testing.T) {
	var asked http.Header
	var host, uri string
	upstream := upstreamOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, host, uri = r.Header, r.Host, r.RequestURI
		w.Header().Add("Set-Cookie", "a=b")
		w.Header().Add("Set-Cookie", "c=d")
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: []string{"v2.meet"}, CompressionMode: websocket.CompressionContextTakeover})
		if err == nil {
			echo(c)
		}
	}))
	s := new(setup).start(t, upstream)
	header := http.Header{"Origin": {page}, "Cookie": {"e=f"}, "Authorization": {"Bearer t"}, "User-Agent": {"x"}, "X-Forwarded-For": {address}, "X-Own": {"1"}}
	c, resp, err := websocket.Dial(context.Background(), s.url+"/ws?a=%20b", &websocket.DialOptions{HTTPClient: s.client, HTTPHeader: header,
		Subprotocols: []string{"v1.meet", "v2.meet"}, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if c.Subprotocol() != "v2.meet" || !slices.Equal(resp.Header.Values("Set-Cookie"), []string{"a=b", "c=d"}) || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("got %q, %v", c.Subprotocol(), resp.Header)
	}
	for _, name := range []string{"Origin", "Cookie", "Authorization", "User-Agent", "X-Own"} {
		if asked.Get(name) != header.Get(name) {
			t.Errorf("%s: got %q", name, asked[name])
		}
	}
	if asked.Get("X-Forwarded-For") != "" || asked.Get("Sec-WebSocket-Extensions") != "" || host != upstream.Host || uri != "/ws?a=%20b" {
		t.Errorf("asked %s %s %v", host, uri, asked)
	}
}

// TestWebSocketRefusedByUpstream has the client get the refusal.
func TestWebSocketRefusedByUpstream(t *testing.T) {
	why := strings.Repeat("no ", 1000)
	upstream := upstreamOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(401)
		io.WriteString(w, why)
	}))
	s := new(setup).start(t, upstream)
	for path, status := range map[string]int{"/": 401, "/moved": 302} {
		r, _ := http.NewRequest("GET", s.url+path, nil)
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="} {
			r.Header.Set(name, value)
		}
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status || err != nil {
			t.Errorf("got %d, %v", resp.StatusCode, err)
		}
		if status == 401 && (string(body) != why || resp.Header.Get("WWW-Authenticate") != "Bearer") || status == 302 && resp.Header.Get("Location") != "/elsewhere" {
			t.Errorf("got %v, %d octets", resp.Header, len(body))
		}
	}
}

// TestWebSocketCloses has codes and reasons pass from one end to the other.
func TestWebSocketCloses(t *testing.T) {
	for _, code := range []websocket.StatusCode{1000, 1001, 1003, 1011, 3000, 4999, websocket.StatusNoStatusRcvd} {
		reason := "bye"
		if code == websocket.StatusNoStatusRcvd {
			reason = ""
		}
		ended := make(chan error, 1)
		serve := make(chan func(*websocket.Conn), 1)
		s := new(setup).start(t, sockets(t, nil, func(c *websocket.Conn) { (<-serve)(c) }))
		serve <- func(c *websocket.Conn) {
			_, _, err := c.Read(context.Background())
			ended <- err
		}
		s.dial(t, "/", nil).Close(code, reason)
		var e websocket.CloseError
		if err := <-ended; !errors.As(err, &e) || e.Code != code || e.Reason != reason {
			t.Errorf("%d: the site got %v", code, err)
		}
		serve <- func(c *websocket.Conn) {
			c.Write(context.Background(), websocket.MessageText, []byte("last"))
			c.Close(code, reason)
		}
		c := s.dial(t, "/", nil)
		if got := receive(t, c); got != "last" {
			t.Errorf("got %s", got)
		}
		if e := closed(t, c); e.Code != code || e.Reason != reason {
			t.Errorf("%d: the client got %v", code, e)
		}
	}
}

// TestWebSocketBreaks has an end that vanishes take the other with it, and nothing stay behind.
func TestWebSocketBreaks(t *testing.T) {
	ended := make(chan error, 1)
	s := new(setup).start(t, sockets(t, nil, func(c *websocket.Conn) {
		_, _, err := c.Read(context.Background())
		ended <- err
		c.CloseNow()
	}))
	s.dial(t, "/", nil).CloseNow()
	if err := <-ended; err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("got %v", err)
	}
	c := s.dial(t, "/", nil)
	send(t, c, "and now the site vanishes")
	<-ended
	if _, _, err := c.Read(context.Background()); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("got %v", err)
	}
	for end := time.Now().Add(patience); s.counts.open() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d are still open", s.counts.open())
		}
	}
}
