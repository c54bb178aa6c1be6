//go:build linux

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// extended says how a browser is managed: what an administrator decides about the extension and whom the browser trusts.
type extended struct {
	// folder is where the extension lies unpacked, or empty for a browser without it.
	folder string
	// managed is the extension's configuration, as managed_schema.json has it. Nil is none at all.
	managed map[string]any
	// authority has signed the certificates of the test's servers.
	authority *authority
}

// extensionFolder returns where the extension of this repository lies.
func extensionFolder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../extension")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// extendedBrowser is one that can have the extension.
type extendedBrowser struct {
	browser
	extended
	// origin is that of the extension, which its requests tell.
	origin string
	load   func(t *testing.T) (origin string) // installs the extension
}

// chromiumExtensionID returns the id that Chromium gives to an unpacked extension, which follows from its path.
func chromiumExtensionID(t *testing.T, folder string) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(folder))
	return chromiumID(digest[:16])
}

// chromiumID returns 16 octets as the id of an extension.
func chromiumID(octets []byte) string {
	var id strings.Builder
	for _, octet := range octets {
		id.WriteByte('a' + octet>>4)
		id.WriteByte('a' + octet&15)
	}
	return id.String()
}

// startExtendedChromium starts a Chromium that is managed, with further arguments.
func startExtendedChromium(t *testing.T, ns namespace, e extended, arguments ...string) *extendedBrowser {
	t.Helper()
	x := startManagedChromium(t, ns, e, arguments...)
	if e.folder != "" {
		x.install(t)
	}
	return x
}

// startManagedChromium starts one whose extension is still to be installed.
func startManagedChromium(t *testing.T, ns namespace, e extended, arguments ...string) *extendedBrowser {
	t.Helper()
	policies := map[string]any{"CACertificates": []string{e.authority.base64()}}
	x := &extendedBrowser{extended: e}
	if e.folder != "" {
		id := chromiumExtensionID(t, e.folder)
		x.origin = "chrome-extension://" + id
		if e.managed != nil {
			policies["3rdparty"] = map[string]any{"extensions": map[string]any{id: e.managed}}
		}
	}
	ns.manage(t, "chromium/policies/managed/candgw.json", policies)
	b := runChromium(t, ns, append([]string{"--enable-unsafe-extension-debugging", disableUpdates}, arguments...)...)
	x.browser = b
	x.load = func(t *testing.T) string {
		var loaded struct{ ID string }
		if err := b.call(t.Context(), "", "Extensions.loadUnpacked", map[string]any{"path": e.folder}, &loaded); err != nil {
			t.Fatal(err)
		}
		return "chrome-extension://" + loaded.ID
	}
	return x
}

// The extension in Firefox: its id, and the one in the origin of its pages, which Firefox otherwise makes up.
const firefoxExtensionID, firefoxExtensionUUID = "extension@candgw", "6b3f9d5e-5a0c-4f0e-9c7e-0d6f0f6f2a11"

// firefoxUUID is the preference by which Firefox does not.
var firefoxUUID = fmt.Sprintf("user_pref(\"extensions.webextensions.uuids\", %q);\n", `{"`+firefoxExtensionID+`":"`+firefoxExtensionUUID+`"}`)

// startExtendedFirefox starts a Firefox that is managed; the rest is as with startFirefoxWith.
func startExtendedFirefox(t *testing.T, ns namespace, e extended, preferences string, mayCapture ...string) *extendedBrowser {
	t.Helper()
	x := startManagedFirefox(t, ns, e, preferences, mayCapture...)
	if e.folder != "" {
		x.install(t)
	}
	return x
}

// startManagedFirefox starts one whose extension is still to be installed.
func startManagedFirefox(t *testing.T, ns namespace, e extended, preferences string, mayCapture ...string) *extendedBrowser {
	t.Helper()
	policies := map[string]any{"Certificates": map[string]any{"Install": []string{e.authority.certificateFile}}}
	if e.managed != nil {
		policies["3rdparty"] = map[string]any{"Extensions": map[string]any{firefoxExtensionID: e.managed}}
	}
	// Over a folder that does not exist `ip netns exec` lays none.
	if _, err := os.Stat("/etc/firefox"); err != nil {
		t.Fatalf("%v: scripts/setup.sh makes it", err)
	}
	ns.manage(t, "firefox/policies/policies.json", map[string]any{"policies": policies})
	b := startFirefoxWith(t, ns, preferences+firefoxUUID, mayCapture...)
	x := &extendedBrowser{browser: b, extended: e, origin: "moz-extension://" + firefoxExtensionUUID}
	x.load = func(t *testing.T) string {
		params := map[string]any{"extensionData": map[string]any{"type": "path", "path": e.folder}}
		var installed struct{ Extension string }
		if err := b.call(t.Context(), "", "webExtension.install", params, &installed); err != nil {
			t.Fatal(err)
		}
		if installed.Extension != firefoxExtensionID {
			return installed.Extension
		}
		return x.origin
	}
	return x
}

// install installs the extension and returns once it sees to pages that are opened from then on. Without a gateway it
// never does.
func (x *extendedBrowser) install(t *testing.T) {
	t.Helper()
	if id := x.load(t); id != x.origin {
		t.Fatalf("the browser knows the extension as %s, want %s, which its configuration is for", id, x.origin)
	}
	if gateways, _ := x.managed["gateways"].([]string); len(gateways) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	own := x.openOwn(t, "status.html")
	for registeredScripts(t, own) == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("the extension registers no scripts for pages")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// manage writes a policy file below /etc of the namespace.
func (ns namespace) manage(t *testing.T, name string, policies map[string]any) {
	t.Helper()
	text, err := json.Marshal(policies)
	if err != nil {
		t.Fatal(err)
	}
	ns.etc(t, name, string(text))
}

// registeredScripts returns how many scripts the extension puts into pages, as one of its own pages knows.
func registeredScripts(t *testing.T, own page) (count int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const expression = `chrome.scripting.getRegisteredContentScripts().then(scripts => scripts.length)`
	if err := own.evaluate(ctx, expression, &count); err != nil {
		t.Fatal(err)
	}
	return count
}

// openOwn opens a page of the extension itself in a tab.
func (x *extendedBrowser) openOwn(t *testing.T, name string) page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := x.openPage(ctx, x.origin+"/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestExtensionIdle shows that the extension puts nothing into pages unless a gateway is configured; install waits for what
// it puts into them if one is.
func TestExtensionIdle(t *testing.T) {
	require(t)
	ns := newNamespace(t, "host")
	e := extended{folder: extensionFolder(t), authority: newAuthority(t)}
	for name, start := range map[string]func() *extendedBrowser{
		"Chromium": func() *extendedBrowser { return startExtendedChromium(t, ns, e) },
		"Firefox":  func() *extendedBrowser { return startExtendedFirefox(t, ns, e, "") },
	} {
		own := start().openOwn(t, "status.html")
		// Only then has it read its configuration.
		if err := own.evaluate(t.Context(), `chrome.runtime.sendMessage({kind: "examine"})`, nil); err != nil {
			t.Fatal(err)
		}
		if count := registeredScripts(t, own); count != 0 {
			t.Errorf("%s: %d scripts are put into pages, want none", name, count)
		}
	}
}
