//go:build linux

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// testCurious has the application ask Janus, through candgw, what a candidate stands for that a browser sent: candgw
// opens it on its way there, and Janus repeats a lot of what it is told. None of that comes out.
func (s *sfu) testCurious(t *testing.T, b browser) {
	s.application.takeLog()
	p := s.open(t, b, roomsPage)
	p.call(t, nil, "echo", "drawing")
	checkStream(t, p)
	s.checkJanus(t, 1)
	var candidate string
	for line := range strings.Lines(s.application.takeLog()) {
		var message struct {
			Janus     string
			Candidate struct{ Candidate string }
		}
		if json.Unmarshal([]byte(line), &message) == nil && message.Janus == "trickle" && message.Candidate.Candidate != "" {
			candidate = message.Candidate.Candidate
		}
	}
	if candidate == "" {
		t.Fatal("the application is told no candidate")
	}

	pair, err := tls.LoadX509KeyPair(s.application.certificate.certificateFile, s.application.certificate.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	client := s.application.toMediaServer(pair.Leaf)
	var answers []string
	const description = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na="
	for _, text := range []string{candidate, "a=" + candidate, description + candidate + "\r\n"} {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range []string{
			`{"janus": "ping", "transaction": %s}`,
			`{"janus": "attach", "session_id": SESSION, "plugin": %s, "transaction": "1"}`,
			`{"janus": %s, "session_id": SESSION, "transaction": "1"}`,
			`{"janus": "message", "session_id": SESSION, "handle_id": HANDLE, "transaction": "1", "body": {"request": %s}}`,
			`{"janus": "message", "session_id": SESSION, "handle_id": HANDLE, "transaction": "1", "body":
				{"request": "join", "ptype": "publisher", "room": 1234, "display": %s}}`,
		} {
			heard := s.askJanus(t, client, fmt.Sprintf(request, quoted))
			if found := privateAddresses(heard); len(found) > 0 {
				t.Errorf("%s\nis answered with %v:\n%s", request, found, heard)
			}
			answers = append(answers, heard)
		}
	}
	// A description comes back without the candidate, which was opened on its way there. What nobody can look into, such
	// as an error that quotes a candidate, ends the connection.
	if !slices.ContainsFunc(answers, func(heard string) bool {
		return strings.Contains(heard, `"pong"`) && strings.Contains(heard, "m=audio") && !strings.Contains(heard, "a=candidate")
	}) {
		t.Errorf("Janus repeats no description: %q", answers)
	}
}

// askJanus opens a session at the node in front of Janus, says one thing, asks who is in the room, and returns all that
// is heard for a moment after that.
func (s *sfu) askJanus(t *testing.T, client *http.Client, request string) (heard string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "https://10.77.0.2:8189/", &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"janus-protocol"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	session := created(ctx, t, conn, `{"janus": "create", "transaction": "0"}`)
	handle := created(ctx, t, conn,
		`{"janus": "attach", "plugin": "janus.plugin.videoroom", "transaction": "0", "session_id": `+session+`}`)
	request = strings.NewReplacer("SESSION", session, "HANDLE", handle).Replace(request)
	if err := conn.Write(ctx, websocket.MessageText, []byte(request)); err != nil {
		t.Fatal(err)
	}
	who := fmt.Sprintf(`{"janus": "message", "session_id": %s, "handle_id": %s, "transaction": "2",
		"body": {"request": "listparticipants", "room": 1234}}`, session, handle)
	_ = conn.Write(ctx, websocket.MessageText, []byte(who)) // the connection may be over
	moment, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	for {
		_, message, err := conn.Read(moment)
		if err != nil {
			return heard
		}
		heard += string(message) + "\n"
	}
}

// created returns the number of what Janus makes.
func created(ctx context.Context, t *testing.T, conn *websocket.Conn, request string) string {
	t.Helper()
	if err := conn.Write(ctx, websocket.MessageText, []byte(request)); err != nil {
		t.Fatal(err)
	}
	_, message, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Data struct{ ID json.Number } }
	if err := json.Unmarshal(message, &made); err != nil || made.Data.ID == "" {
		t.Fatalf("Janus answers %s", message)
	}
	return made.Data.ID.String()
}
