//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// patience bounds every single step that has no bound of its own.
const patience = 30 * time.Second

// startBrowser starts a headless browser inside the namespace, with a new profile, until the test
// ends. What hides host addresses is left as it comes: on.
type startBrowser func(*testing.T, namespace) browser

type browser interface {
	// openPage opens a tab and returns once the page at url has loaded.
	openPage(ctx context.Context, url string) (page, error)
}

// page is a tab.
type page interface {
	// evaluate runs an expression in the page, waits for it if it is a promise, and decodes its value
	// into result unless that is nil. An exception in the page is an error.
	evaluate(ctx context.Context, expression string, result any) error
}

// remote is a connection to a browser as both protocols have it: JSON messages, commands with a number
// and replies with the same.
type remote struct {
	write func(message []byte) error

	mu      sync.Mutex // guards what follows, and writing
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
	ID      int             `json:"id"` // zero in an event
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`   // an object of DevTools, a word of WebDriver BiDi
	Message string          `json:"message"` // with the word
}

// newRemote hands replies to those who wait for them, until read fails.
func newRemote(title string, write func(message []byte) error, read func() ([]byte, error)) *remote {
	r := &remote{write: write, waiting: make(map[int]chan<- reply)}
	go func() {
		gone := r.dispatch(read)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.gone = fmt.Errorf("lost %s: %w", title, gone)
		for _, waiter := range r.waiting {
			close(waiter)
		}
	}()
	return r
}

func (r *remote) dispatch(read func() ([]byte, error)) error {
	for {
		message, err := read()
		if err != nil {
			return err
		}
		var answer reply
		if err := json.Unmarshal(message, &answer); err != nil {
			return err
		}
		r.mu.Lock()
		waiter, ok := r.waiting[answer.ID]
		delete(r.waiting, answer.ID)
		r.mu.Unlock()
		if ok {
			waiter <- answer
		}
	}
}

// call sends one command and decodes the result of its reply. The session is that of a page in
// DevTools, and empty otherwise.
func (r *remote) call(ctx context.Context, session, method string, params, result any) error {
	answer, err := r.send(session, method, params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case a, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", method, r.gone)
		case a.Error != nil:
			return fmt.Errorf("%s: %s %s", method, a.Error, a.Message)
		}
		return json.Unmarshal(a.Result, result)
	}
}

// send returns the channel that gets the reply, or is closed when the browser ends first.
func (r *remote) send(session, method string, params any) (<-chan reply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone != nil {
		return nil, r.gone
	}
	r.lastID++
	message, err := json.Marshal(command{ID: r.lastID, SessionID: session, Method: method, Params: params})
	if err != nil {
		return nil, err
	}
	if err := r.write(message); err != nil {
		return nil, err
	}
	answer := make(chan reply, 1) // buffered: a caller that gave up must not block dispatch
	r.waiting[r.lastID] = answer
	return answer, nil
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
