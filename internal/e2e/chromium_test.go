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
	"testing"
)

// chromium is a headless Chromium, driven over the DevTools protocol: JSON messages, each ended by a
// zero octet, on a pipe in either direction.
type chromium struct{ *remote }

// chromiumPath returns the path of the browser.
func chromiumPath() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no chromium, chromium-browser or google-chrome in PATH")
}

// startChromium is a startBrowser.
func startChromium(t *testing.T, ns namespace) browser {
	t.Helper()
	return startChromiumWith(t, ns)
}

// startChromiumWith takes further arguments for the browser.
func startChromiumWith(t *testing.T, ns namespace, arguments ...string) *chromium {
	t.Helper()
	return runChromium(t, ns, append(arguments, "--disable-extensions", disableUpdates)...)
}

// disableUpdates keeps the browser from asking for anything by itself, and so from installing what a policy says.
const disableUpdates = "--disable-background-networking"

// runChromium is startChromiumWith for a browser that may have extensions.
func runChromium(t *testing.T, ns namespace, arguments ...string) *chromium {
	t.Helper()
	path, err := chromiumPath()
	if err != nil {
		t.Fatal(err)
	}
	commandsIn, commandsOut := pipe(t)
	repliesIn, repliesOut := pipe(t)
	profile := t.TempDir()

	arguments = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-component-update", "--disable-sync",
		"--no-proxy-server", "--user-data-dir=" + profile, "--remote-debugging-pipe"}, arguments...)
	cmd := ns.command(path, arguments...)
	// A browser that is killed leaves its temporary files, so they go where the test removes them.
	cmd.Env = append(os.Environ(), "TMPDIR="+profile)
	cmd.ExtraFiles = []*os.File{commandsIn, repliesOut} // descriptors 3 and 4
	start(t, cmd)
	// Only with the child's ends closed here does the end of the child end the pipes.
	commandsIn.Close()
	repliesOut.Close()

	incoming := bufio.NewReader(repliesIn)
	return &chromium{newRemote("chromium",
		func(message []byte) error {
			_, err := commandsOut.Write(append(message, 0))
			return err
		},
		func() ([]byte, error) {
			message, err := incoming.ReadBytes(0)
			return bytes.TrimSuffix(message, []byte{0}), err
		})}
}

// chromiumPage is a tab and the DevTools session attached to it.
type chromiumPage struct {
	browser *chromium
	session string
}

func (b *chromium) openPage(ctx context.Context, url string) (page, error) {
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
	p := &chromiumPage{browser: b, session: attached.SessionID}
	if err == nil {
		err = p.evaluate(ctx, `new Promise(loaded =>
			document.readyState === "complete" ? loaded() : addEventListener("load", () => loaded()))`, nil)
	}
	return p, err
}

func (p *chromiumPage) evaluate(ctx context.Context, expression string, result any) error {
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

// grant gives an origin permissions, as a user does who is asked for them. All others stay as they are.
func (b *chromium) grant(t *testing.T, origin string, permissions ...string) {
	t.Helper()
	for _, name := range permissions {
		params := map[string]any{"origin": origin, "permission": map[string]any{"name": name}, "setting": "granted"}
		if err := b.call(t.Context(), "", "Browser.setPermission", params, new(struct{})); err != nil {
			t.Fatal(err)
		}
	}
}
