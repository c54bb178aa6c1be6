//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A request that waits for a browser's name, for which nobody answers, is answered by a process that was told to end
// meanwhile; while it waits, nobody gets a connection any more.
func TestEndWaitsForNames(t *testing.T) {
	n := newNetwork(t)
	g := &gateway{namespace: n.router, program: build(t), dataDir: t.TempDir(), api: "http://127.0.0.1:8480", http: n.router.client()}
	serve := g.command(g.program, "serve", "--data-dir", g.dataDir)
	ended := start(t, serve)
	deadline := time.Now().Add(patience)
	var conn net.Conn
	for {
		var err error
		if conn, err = n.router.dial(t.Context(), "tcp", "127.0.0.1:8480"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	defer conn.Close()
	body := fmt.Sprintf(sampleOffer, "0e5ee1d5-5ea5-4f0e-8a4f-9d1a4c1f9e11.local")
	fmt.Fprintf(conn, "POST /v1/encrypt?client=%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", n.a.v4, len(body), body)
	time.Sleep(500 * time.Millisecond) // it asks for the name now, and would go on for 2.5 s
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	for {
		other, err := n.router.dial(t.Context(), "tcp", "127.0.0.1:8480")
		if err != nil {
			t.Logf("nobody listens any more after %v", time.Since(asked).Round(time.Millisecond))
			break
		}
		other.Close()
		time.Sleep(20 * time.Millisecond)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	report := response.Header.Get("Candgw-Report")
	if err != nil || response.StatusCode != http.StatusOK || string(got) != body || !strings.Contains(report, `"unresolved":1`) || !response.Close {
		t.Errorf("%s, close %v, %v, %s\n%s", response.Status, response.Close, err, report, got)
	}
	t.Logf("the request was answered %v after SIGTERM", time.Since(asked).Round(time.Millisecond))
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("it does not end")
	}
}
