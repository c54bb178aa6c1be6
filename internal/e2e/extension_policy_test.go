//go:build linux

package e2e

import (
	"archive/zip"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// deployed is an enterprise as docs/extension.md sets it up: candgw on the router answers the extension, whose packages are
// those of `make extension`.
type deployed struct {
	*network
	gateway   *gateway
	authority *authority
	zip, xpi  string // the packages
	// key is the one that the package for Chromium is signed with, in PEM, and id what follows from it.
	key, id string
	port    int // of the page that the router serves
}

// The gateways, in order: nothing listens at the first one, and what is sent to the second is lost on the way.
const awayGateway, lostGateway, nearGateway = "https://away.example:8444", "https://lost.example:8443", "https://gateway.example:8443"

func newDeployed(t *testing.T) *deployed {
	t.Helper()
	d := &deployed{network: newNetwork(t), authority: newAuthority(t)}
	d.port = serveFrames(t, d.router)
	const lost = "10.99.99.9"
	d.router.ip(t, "route", "add", "blackhole", lost)
	d.a.etc(t, "hosts", fmt.Sprintf("%[1]s gateway.example\n%[1]s away.example\n%[2]s lost.example\n", d.a.router, lost))

	build := exec.Command("go", "run", "./extension/pack", "extension", t.TempDir())
	build.Dir = "../.."
	output, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", build, err, output)
	}
	packages := strings.Fields(string(output))
	d.zip, d.xpi = packages[0], packages[1]
	d.newKey(t)

	certificate := d.authority.issue(t, "gateway.example")
	policy := writeFile(t, t.TempDir(), "policy.hcl", fmt.Sprintf(`
policy "page" {
  origins = ["http://%s:%d"]
  candidate "host" {}
  resolve {}
}
policy "others" {
  candidate "host" {
    action = "keep"
  }
}
`, d.a.router, d.port))
	d.gateway = startGateway(t, d.router, "--policy", policy, "--config", writeFile(t, t.TempDir(), "candgw.hcl", fmt.Sprintf(`
browsers {
  listen     = "%s:8443"
  extensions = ["chrome-extension://%s", "moz-extension://*"]
  tls {
    certificate_file = %q
    key_file         = %q
  }
}
`, d.a.router, d.id, certificate.certificateFile, certificate.keyFile)))
	return d
}

// newKey makes the key of an extension, whose id is the first half of the hash of its public half.
func (d *deployed) newKey(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	d.key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	digest := sha256.Sum256(public)
	d.id = chromiumID(digest[:16])
}

// sign makes a package of the extension that Chromium installs, and the update manifest that leads to it.
func (d *deployed) sign(t *testing.T) (manifest string) {
	t.Helper()
	folder := t.TempDir()
	unpacked := filepath.Join(folder, "extension")
	archive, err := zip.OpenReader(d.zip)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if err := os.CopyFS(unpacked, archive); err != nil {
		t.Fatal(err)
	}
	path, err := chromiumPath()
	if err != nil {
		t.Fatal(err)
	}
	pack := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--pack-extension="+unpacked,
		"--pack-extension-key="+writeFile(t, folder, "key.pem", d.key))
	if output, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", pack, err, output)
	}
	var about struct{ Version string }
	text, err := os.ReadFile(filepath.Join(unpacked, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &about)
	}
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, folder, "updates.xml", fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<gupdate xmlns="http://www.google.com/update2/response" protocol="2.0">
  <app appid="%s">
    <updatecheck codebase="file://%s.crx" version="%s"/>
  </app>
</gupdate>
`, d.id, unpacked, about.Version))
}

// policy returns what `candgw extension policy` prints for these gateways.
func (d *deployed) policy(t *testing.T, arguments ...string) (policy map[string]any) {
	t.Helper()
	cmd := exec.Command(d.gateway.program, append([]string{"extension", "policy",
		"--gateway", awayGateway, "--gateway", lostGateway, "--gateway", nearGateway, "--budget", "1500ms"}, arguments...)...)
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	if err := json.Unmarshal(output, &policy); err != nil {
		t.Fatalf("%s: %v in\n%s", cmd, err, output)
	}
	return policy
}

// TestExtensionPolicy gives browsers the policies that the command prints. They install the extension by themselves then, and
// it gets its configuration.
func TestExtensionPolicy(t *testing.T) {
	require(t)
	d := newDeployed(t)
	t.Run("Chromium", d.testChromium)
	t.Run("Firefox", d.testFirefox)
}

// testChromium also starts the browser again, which has the extension from the first page on then.
func (d *deployed) testChromium(t *testing.T) {
	policy := d.policy(t, "--browser", "chromium", "--id", d.id, "--update-url", "file://"+d.sign(t))
	d.a.manage(t, "chromium/policies/managed/test.json", map[string]any{
		"CACertificates":             []string{d.authority.base64()},
		"DeveloperToolsAvailability": 1, // also for what a policy has installed
	})
	profile := "--user-data-dir=" + t.TempDir()

	t.Run("installed", func(t *testing.T) {
		d.a.manage(t, "chromium/policies/managed/candgw.json", policy)
		b := runChromium(t, d.a.namespace, profile)
		d.checkEncrypts(t, &extendedBrowser{browser: b, origin: "chrome-extension://" + d.id}, true)
		endChromium(t, b)
	})
	t.Run("started again", func(t *testing.T) {
		d.a.manage(t, "chromium/policies/managed/candgw.json", policy)
		b := runChromium(t, d.a.namespace, profile)
		d.checkEncrypts(t, &extendedBrowser{browser: b, origin: "chrome-extension://" + d.id}, false)
		endChromium(t, b)
	})
	t.Run("without gateways", func(t *testing.T) {
		delete(policy, "3rdparty")
		d.a.manage(t, "chromium/policies/managed/candgw.json", policy)
		d.checkIdle(t, &extendedBrowser{browser: runChromium(t, d.a.namespace, profile), origin: "chrome-extension://" + d.id})
	})
}

// endChromium closes a browser as its user does, with what it has to write to its profile.
func endChromium(t *testing.T, b *chromium) {
	t.Helper()
	if err := b.call(t.Context(), "", "Browser.close", struct{}{}, new(struct{})); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for b.call(ctx, "", "Browser.getVersion", struct{}{}, new(struct{})) == nil {
		time.Sleep(20 * time.Millisecond)
	}
	if err := ctx.Err(); err != nil {
		t.Fatalf("Chromium does not end: %v", err)
	}
}

// testFirefox has Firefox ESR install what Mozilla has not signed, which it does only where its administrator lets it.
func (d *deployed) testFirefox(t *testing.T) {
	policy := d.policy(t, "--browser", "firefox", "--install-url", "file://"+d.xpi)
	policies := policy["policies"].(map[string]any)
	policies["Certificates"] = map[string]any{"Install": []string{d.authority.certificateFile}}
	policies["Preferences"] = map[string]any{"xpinstall.signatures.required": map[string]any{"Value": false, "Status": "locked"}}

	start := func(t *testing.T) *extendedBrowser {
		d.a.manage(t, "firefox/policies/policies.json", policy)
		return &extendedBrowser{browser: startFirefoxWith(t, d.a.namespace, firefoxUUID), origin: "moz-extension://" + firefoxExtensionUUID}
	}
	t.Run("installed", func(t *testing.T) { d.checkEncrypts(t, start(t), true) })
	t.Run("without gateways", func(t *testing.T) {
		delete(policies, "3rdparty")
		d.checkIdle(t, start(t))
	})
}

// waitForOwn opens the status page, once the browser has installed the extension.
func (d *deployed) waitForOwn(t *testing.T, x *extendedBrowser) page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		p, err := x.openPage(ctx, x.origin+"/status.html")
		present := false
		if err == nil {
			err = p.evaluate(ctx, `Boolean(globalThis.chrome?.runtime?.id)`, &present)
		}
		if err == nil && present {
			return p
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the browser does not install the extension: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// opens reports whether candgw opens a name, for the host's address.
func (d *deployed) opens(t *testing.T, name string) bool {
	t.Helper()
	output, err := d.gateway.command(d.gateway.program, "resolve", "--data-dir", d.gateway.dataDir, name).Output()
	if err != nil {
		return false
	}
	if address := strings.TrimSpace(string(output)); address != d.a.v4.String() && address != d.a.v6.String() {
		t.Fatalf("%s stands for %s, want an address of the host", name, address)
	}
	return true
}

// checkEncrypts checks that the page sees encrypted names, and that the status page says so. What was installed just now
// may have to be waited for.
func (d *deployed) checkEncrypts(t *testing.T, x *extendedBrowser, wait bool) {
	t.Helper()
	var own page
	if wait {
		own = d.waitForOwn(t, x)
		deadline := time.Now().Add(patience)
		for registeredScripts(t, own) == 0 {
			if time.Now().After(deadline) {
				t.Fatal("the extension does not get its configuration")
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	p := openPeerPage(t, x, d.a, d.port)
	found := gatheredNames(t, p, `(`+answering+`)()`)
	for _, name := range found {
		if !d.opens(t, name) {
			t.Errorf("a page sees %s, which is no encrypted name", name)
		}
	}

	if wait {
		d.checkFrames(t, p)
	} else {
		own = d.waitForOwn(t, x)
	}
	var tab int
	// Firefox tells which pages tabs are at only to extensions that may do something there, as this one.
	if err := own.evaluate(t.Context(), fmt.Sprintf(`chrome.tabs.query({}).then(all => all.findLast(({ url }) => url?.includes(":%d/"))?.id ?? 0)`, d.port), &tab); err != nil {
		t.Fatal(err)
	}
	status := x.openOwn(t, fmt.Sprintf("status.html?tab=%d", tab))
	want := []string{
		"Host candidates are encrypted by a gateway of your enterprise.", fmt.Sprintf("%s:%d\n", d.a.router, d.port), "By " + nearGateway + ".",
		awayGateway + "\n" + awayGateway + " cannot be reached.", lostGateway + "\n" + lostGateway + " cannot be reached.", nearGateway + "\nAnswers in ", "A candidate waits 1500 ms",
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		var shown string
		var encrypted int
		err := status.evaluate(ctx, `document.body.innerText`, &shown)
		if err == nil {
			err = status.evaluate(ctx, `Number(document.getElementById("encrypted").textContent)`, &encrypted)
		}
		missing := slices.DeleteFunc(slices.Clone(want), func(words string) bool { return strings.Contains(shown, words) })
		if err == nil && len(missing) == 0 && encrypted >= len(found) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the page saw %d encrypted names; the status page lacks %q and says (%v)\n%s", len(found), missing, err, shown)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// checkIdle checks that an extension without gateways leaves pages as they are.
func (d *deployed) checkIdle(t *testing.T, x *extendedBrowser) {
	t.Helper()
	own := d.waitForOwn(t, x)
	var shown string
	err := own.evaluate(t.Context(), `chrome.runtime.sendMessage({kind: "examine"}).then(() => document.body.innerText)`, &shown)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown, "No gateway is configured: the extension does nothing.") {
		t.Errorf("the status page says\n%s", shown)
	}
	if count := registeredScripts(t, own); count != 0 {
		t.Errorf("%d scripts are put into pages, want none", count)
	}
	before := d.gateway.metric(t, `candgw_browsers_requests_total{code="200"}`)
	p := openPeerPage(t, x, d.a, d.port)
	for _, name := range gatheredNames(t, p, `(`+answering+`)()`) {
		if d.opens(t, name) {
			t.Errorf("a page sees %s, an encrypted name", name)
		}
	}
	if after := d.gateway.metric(t, `candgw_browsers_requests_total{code="200"}`); after != before {
		t.Errorf("%v requests came to the gateway, want none", after-before)
	}
}
