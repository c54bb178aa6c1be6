//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience bounds every single step that has no bound of its own.
const patience = 30 * time.Second

// browser is a headless Chromium, driven over the DevTools protocol: JSON messages, each ended by a
// zero octet, on a pipe in either direction.
type browser struct {
	commands *os.File

	mu      sync.Mutex // guards what follows, and writing to commands
	lastID  int
	waiting map[int]chan<- reply
	gone    error // set once no further reply can come
}

type command struct {
	ID        int    `json:"id"`
	SessionID string `json:"sessionId,omitempty"`
	Method    string `json:"method"`
	Params    any    `json:"params"`
}

type reply struct {
	ID     int             `json:"id"` // zero in an event
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// chromium returns the path of the browser.
func chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no chromium, chromium-browser or google-chrome in PATH")
}

// startBrowser starts a browser inside the namespace, with a new profile, until the test ends. What
// hides host addresses is left as it comes: on.
func startBrowser(t *testing.T, ns namespace) *browser {
	t.Helper()
	path, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	commandsIn, commandsOut := pipe(t)
	repliesIn, repliesOut := pipe(t)
	profile := t.TempDir()

	cmd := ns.command(path,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-extensions", "--no-proxy-server", "--user-data-dir="+profile, "--remote-debugging-pipe")
	// A browser that is killed leaves its temporary files, so they go where the test removes them.
	cmd.Env = append(os.Environ(), "TMPDIR="+profile)
	cmd.ExtraFiles = []*os.File{commandsIn, repliesOut} // descriptors 3 and 4
	start(t, cmd)
	// Only with the child's ends closed here does the end of the child end the pipes.
	commandsIn.Close()
	repliesOut.Close()

	b := &browser{commands: commandsOut, waiting: make(map[int]chan<- reply)}
	go b.receive(repliesIn)
	return b
}

func pipe(t *testing.T) (in, out *os.File) {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		out.Close()
	})
	return in, out
}

// receive hands replies to those who wait for them, until the browser ends.
func (b *browser) receive(replies *os.File) {
	gone := b.dispatch(bufio.NewReader(replies))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = fmt.Errorf("lost chromium: %w", gone)
	for _, waiter := range b.waiting {
		close(waiter)
	}
}

func (b *browser) dispatch(replies *bufio.Reader) error {
	for {
		message, err := replies.ReadBytes(0)
		if err != nil {
			return err
		}
		var r reply
		if err := json.Unmarshal(bytes.TrimSuffix(message, []byte{0}), &r); err != nil {
			return err
		}
		b.mu.Lock()
		waiter, ok := b.waiting[r.ID]
		delete(b.waiting, r.ID)
		b.mu.Unlock()
		if ok {
			waiter <- r
		}
	}
}

// call sends one command and decodes the result of its reply. The session is empty for commands
// to the browser itself.
func (b *browser) call(ctx context.Context, session, method string, params, result any) error {
	answer, err := b.send(session, method, params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case r, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", method, b.gone)
		case r.Error != nil:
			return fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return json.Unmarshal(r.Result, result)
	}
}

// send returns the channel that gets the reply, or is closed when the browser ends first.
func (b *browser) send(session, method string, params any) (<-chan reply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone != nil {
		return nil, b.gone
	}
	b.lastID++
	message, err := json.Marshal(command{ID: b.lastID, SessionID: session, Method: method, Params: params})
	if err != nil {
		return nil, err
	}
	if _, err := b.commands.Write(append(message, 0)); err != nil {
		return nil, err
	}
	answer := make(chan reply, 1) // buffered: a caller that gave up must not block dispatch
	b.waiting[b.lastID] = answer
	return answer, nil
}

// page is a tab and the DevTools session attached to it.
type page struct {
	browser *browser
	session string
}

// openPage opens a tab and returns once the page at url has loaded.
func (b *browser) openPage(t *testing.T, url string) *page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	var target struct {
		TargetID string `json:"targetId"`
	}
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	var navigated struct {
		ErrorText string `json:"errorText"`
	}
	err := b.call(ctx, "", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	if err == nil {
		params := map[string]any{"targetId": target.TargetID, "flatten": true}
		err = b.call(ctx, "", "Target.attachToTarget", params, &attached)
	}
	if err == nil {
		err = b.call(ctx, attached.SessionID, "Page.navigate", map[string]any{"url": url}, &navigated)
	}
	if err == nil && navigated.ErrorText != "" {
		err = errors.New(navigated.ErrorText)
	}
	p := &page{browser: b, session: attached.SessionID}
	if err == nil {
		err = p.evaluate(ctx, `new Promise(loaded =>
			document.readyState === "complete" ? loaded() : addEventListener("load", () => loaded()))`, nil)
	}
	if err != nil {
		t.Fatalf("opening %s: %v", url, err)
	}
	return p
}

// evaluate runs an expression in the page, waits for it if it is a promise, and decodes its value
// into result unless that is nil. An exception in the page is an error.
func (p *page) evaluate(ctx context.Context, expression string, result any) error {
	params := map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}
	var evaluated struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	if err := p.browser.call(ctx, p.session, "Runtime.evaluate", params, &evaluated); err != nil {
		return err
	}
	if e := evaluated.ExceptionDetails; e != nil {
		return fmt.Errorf("exception in page: %s %s", e.Text, e.Exception.Description)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(evaluated.Result.Value, result)
}
