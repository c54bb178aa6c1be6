package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const endOffer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n" +
	"a=ice-ufrag:abcd\r\na=ice-pwd:sample-password-of-a-session\r\na=candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host\r\n"

// An endTest is a server that ends and starts again, under load.
type endTest struct {
	network, address string
	config           string
	stopped          atomic.Bool // the clients are to end
	second           atomic.Bool // the second process serves
	answered, lost   atomic.Int64
	again            atomic.Int64 // answers after the restart
}

// start runs candgw and waits until it serves.
func (e *endTest) start(t *testing.T) *exec.Cmd {
	t.Helper()
	serve := exec.Command(os.Args[0], "serve", "--config", e.config)
	serve.Args[0] = "candgw"
	serve.Stderr = os.Stderr
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		serve.Process.Kill()
		serve.Wait()
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.Contains(lines.Text(), "candgw serves") {
			go io.Copy(io.Discard, stdout)
			return serve
		}
	}
	t.Fatal("it does not serve")
	return nil
}

// exchange sends a request over a connection and returns the answer, whose body was read.
func exchange(conn net.Conn, in *bufio.Reader, method, path, body string) (*http.Response, error) {
	r, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/sdp")
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	if err == nil && path == "/v1/encrypt" && (resp.StatusCode != 200 || !bytes.Contains(got, []byte(".local")) || !bytes.HasSuffix(got, []byte("typ host\r\n"))) {
		err = fmt.Errorf("%d %s", resp.StatusCode, got)
	}
	return resp, err
}

// client makes requests until the test ends, over one connection as long as it lives, or each over one of its own. While
// nobody listens it waits.
func (e *endTest) client(t *testing.T, keep bool) {
	for !e.stopped.Load() {
		conn, err := net.Dial(e.network, e.address)
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		in := bufio.NewReader(conn)
		for again := true; again && !e.stopped.Load(); {
			second := e.second.Load()
			resp, err := exchange(conn, in, "POST", "/v1/encrypt", endOffer)
			if err != nil {
				e.lost.Add(1)
				t.Log(err)
				break
			}
			e.answered.Add(1)
			if second {
				e.again.Add(1)
			}
			again = keep && !resp.Close
		}
		conn.Close()
	}
}

// slow sends half of a request, and the rest when it is told to. What it returns tells what came of it.
func (e *endTest) slow(t *testing.T, rest chan struct{}) <-chan error {
	t.Helper()
	conn, err := net.Dial(e.network, e.address)
	if err != nil {
		t.Fatal(err)
	}
	half := len(endOffer) / 2
	fmt.Fprintf(conn, "POST /v1/encrypt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(endOffer), endOffer[:half])
	done := make(chan error, 1)
	go func() {
		defer conn.Close()
		<-rest
		io.WriteString(conn, endOffer[half:])
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		}
		if err == nil && (resp.StatusCode != 200 || !resp.Close) {
			err = fmt.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
		}
		done <- err
	}()
	return done
}

// ready returns the status of /readyz, or why there is none.
func (e *endTest) ready() (int, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial(e.network, e.address) }, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://localhost/readyz")
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

// TestEndLosesNothing ends a process under load, and starts another one in its place: every request that was sent on a
// connection is answered whole, by the one or the other.
func TestEndLosesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere a TCP port is closed at once, and what waits to be accepted is lost")
	}
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			dir := t.TempDir()
			e := &endTest{network: network, address: freeAddr(t), config: filepath.Join(dir, "candgw.hcl")}
			listen := e.address
			if network == "unix" {
				e.address = filepath.Join(dir, "api.sock")
				listen = "unix:api.sock"
			}
			text := fmt.Sprintf("data_dir = \"data\"\ndns { listen = \"127.0.0.1:0\" }\nmdns { enabled = false }\napi {\n  listen = %q\n  drain = \"2s\"\n}\nlog { level = \"error\" }\n", listen)
			if err := os.WriteFile(e.config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			first := e.start(t)
			var clients sync.WaitGroup
			defer clients.Wait()
			defer e.stopped.Store(true)
			for i := range 12 {
				clients.Go(func() { e.client(t, i%2 == 0) })
			}
			waitFor(t, func() bool { return e.answered.Load() >= 200 })
			rest := make(chan struct{})
			slow := e.slow(t, rest)
			waitFor(t, func() bool { status, err := e.ready(); return status == 200 && err == nil })

			if err := first.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			// It tells that it is about to end, and answers all the same.
			waitFor(t, func() bool { status, _ := e.ready(); return status == 503 })
			draining := e.answered.Load()
			waitFor(t, func() bool { return e.answered.Load() > draining })
			// Then nobody listens any more, but what was begun is brought to its end.
			waitFor(t, func() bool {
				_, err := e.ready()
				return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist)
			})
			close(rest)
			if err := <-slow; err != nil {
				t.Errorf("the slow request: %v", err)
			}
			if err := first.Wait(); err != nil {
				t.Error(err)
			}
			if network == "unix" {
				if _, err := os.Lstat(e.address); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the socket is still there: %v", err)
				}
			}
			e.start(t)
			e.second.Store(true)
			waitFor(t, func() bool { return e.again.Load() >= 50 })
			e.stopped.Store(true)
			clients.Wait()
			if n := e.lost.Load(); n != 0 {
				t.Errorf("%d requests were answered, %d lost", e.answered.Load(), n)
			}
			t.Logf("%d requests were answered, %d of them by the second process", e.answered.Load(), e.again.Load())
		})
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not so after a minute")
		}
	}
}
