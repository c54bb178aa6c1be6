package proxy_test

import (
	"strings"
	"testing"

	"github.com/coder/websocket"
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
	if err := c.Close(4321, "bye"); err != nil {
		t.Error(err)
	}
}

func TestWebSocketRefuses(t *testing.T) {
	s := new(setup).start(t, sockets(t, nil, echo))
	c := s.dial(t, "/ws", nil)
	send(t, c, trickled("candidate:1 1 udp 1 "+address+" 99999 typ host"))
	if got := closed(t, c); got.Code != websocket.StatusPolicyViolation || strings.Contains(got.Reason, address) || !strings.Contains(got.Reason, "port") {
		t.Errorf("got %v", got)
	}
}
