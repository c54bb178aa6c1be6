//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// firefox is a headless Firefox, driven over WebDriver BiDi.
type firefox struct{ *remote }

// firefoxPath returns the path of the browser.
func firefoxPath() (string, error) {
	path, err := exec.LookPath("firefox-esr")
	if err != nil {
		path, err = exec.LookPath("firefox")
	}
	return path, err
}

// firefoxPreferences keep Firefox from asking the world for anything, beyond what it leaves off by
// itself when it is driven.
const firefoxPreferences = `
user_pref("app.normandy.enabled", false);
user_pref("browser.region.update.enabled", false);
user_pref("browser.safebrowsing.downloads.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.proxy.type", 0);
user_pref("toolkit.telemetry.enabled", false);
`

// startFirefox is a startBrowser.
func startFirefox(t *testing.T, ns namespace) browser {
	t.Helper()
	return startFirefoxWith(t, ns, "")
}

// startFirefoxWith takes further preferences, as lines of a profile's user.js, and origins that may use the microphone
// and the camera, as where a user has the decision remembered.
func startFirefoxWith(t *testing.T, ns namespace, preferences string, mayCapture ...string) *firefox {
	t.Helper()
	path, err := firefoxPath()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	permissions := ""
	for _, origin := range mayCapture {
		permissions += fmt.Sprintf("origin\tmicrophone\t1\t%[1]s\norigin\tcamera\t1\t%[1]s\n", origin)
	}
	permissionsFile := filepath.Join(profile, "permissions")
	preferences += fmt.Sprintf("user_pref(\"permissions.manager.defaultsUrl\", %q);\n", "file://"+permissionsFile)
	for file, content := range map[string]string{
		filepath.Join(profile, "user.js"): firefoxPreferences + preferences,
		permissionsFile:                   permissions,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The handshake of a WebSocket tells an origin, and Firefox wants to be told which are to be let in.
	const address, origin = "127.0.0.1:9222", "http://127.0.0.1:9222"
	// Pages of extensions are part of the system to Firefox.
	cmd := ns.command(path, "--headless", "--no-remote", "--profile", profile,
		"--remote-debugging-port", "9222", "--remote-allow-origins", origin, "--remote-allow-system-access")
	cmd.Env = append(os.Environ(), "HOME="+profile, "TMPDIR="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	ended := start(t, cmd)

	ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // the first start with a profile is long
	defer cancel()
	for {
		conn, err := ns.dialWebSocket(ctx, address, origin)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			return newFirefox(t, ctx, conn)
		}
		select {
		case <-ended:
			t.Fatal("firefox ended before it could be driven")
		case <-ctx.Done():
			t.Fatalf("firefox cannot be driven: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// dialWebSocket connects to a browser inside the namespace.
func (ns namespace) dialWebSocket(ctx context.Context, address, origin string) (*websocket.Conn, error) {
	config, err := websocket.NewConfig("ws://"+address+"/session", origin)
	if err != nil {
		return nil, err
	}
	conn, err := ns.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	client, err := websocket.NewClient(config, conn)
	if err != nil {
		conn.Close()
	}
	return client, err
}

func newFirefox(t *testing.T, ctx context.Context, conn *websocket.Conn) *firefox {
	t.Helper()
	b := &firefox{newRemote("firefox",
		func(message []byte) error { return websocket.Message.Send(conn, string(message)) },
		func() (message []byte, err error) {
			err = websocket.Message.Receive(conn, &message)
			return message, err
		})}
	// The certificates of the tests' servers are their own.
	capabilities := map[string]any{"alwaysMatch": map[string]any{"acceptInsecureCerts": true}}
	var session struct{}
	if err := b.call(ctx, "", "session.new", map[string]any{"capabilities": capabilities}, &session); err != nil {
		t.Fatal(err)
	}
	return b
}

// firefoxPage is a tab.
type firefoxPage struct {
	browser *firefox
	context string
}

func (b *firefox) openPage(ctx context.Context, url string) (page, error) {
	var created struct {
		Context string `json:"context"`
	}
	var navigated struct{}
	if err := b.call(ctx, "", "browsingContext.create", map[string]any{"type": "tab"}, &created); err != nil {
		return nil, err
	}
	params := map[string]any{"context": created.Context, "url": url, "wait": "complete"}
	err := b.call(ctx, "", "browsingContext.navigate", params, &navigated)
	return &firefoxPage{browser: b, context: created.Context}, err
}

func (p *firefoxPage) evaluate(ctx context.Context, expression string, result any) error {
	// The protocol has a form of its own for values, so they come as text, in which undefined is null.
	expression = "(async () => JSON.stringify((await (" + expression + ")) ?? null))()"
	params := map[string]any{
		"expression": expression, "awaitPromise": true, "target": map[string]any{"context": p.context},
	}
	var evaluated struct {
		Result struct {
			Value string `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	if err := p.browser.call(ctx, "", "script.evaluate", params, &evaluated); err != nil {
		return err
	}
	if e := evaluated.ExceptionDetails; e != nil {
		return fmt.Errorf("exception in page: %s", e.Text)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal([]byte(evaluated.Result.Value), result)
}
