//go:build linux

package e2e

import (
	"context"
	"fmt"
	"testing"
)

// What makes Chromium take the pages of the proxies, which are at private addresses, for those of a public site, and
// what makes it check for them what it does not check by itself yet: whether WebRTC may reach private addresses.
const publicSites = "--ip-address-space-overrides=10.77.0.9:443=public,10.77.1.1:443=public,10.77.2.1:443=public"

var checkWebRTC = []string{publicSites,
	"--enable-features=LocalNetworkAccessChecksWebRTC", "--enable-blink-features=LocalNetworkAccessWebRTC"}

// testPublicSite has calls in Chromium from pages of a public site, with candgw: docs/browsers.md tells what comes of it.
func (c *callTest) testPublicSite(t *testing.T, chromiumB *callBrowser) {
	b := openCallers(t, meet, chromiumB)[0]
	open := func(h host, title string, arguments ...string) *caller {
		return openCallers(t, meet, &callBrowser{title, c.startChromium(t, h, arguments...), h})[0]
	}
	a := open(c.a, "Chromium A, public", publicSites)
	t.Run("as Chromium comes", func(t *testing.T) { c.testCall(t, a, b, "data", "data") })
	t.Run("signaling at a private address alone", func(t *testing.T) {
		checkWebSocket(t, a, "error")
		a.browser.(*chromium).grant(t, "https://"+meet, "local-network")
		checkWebSocket(t, a, "open")
	})

	a, b = open(c.a, "Chromium A, checking", checkWebRTC...), open(c.b, "Chromium B, checking", checkWebRTC...)
	t.Run("with the check", func(t *testing.T) {
		checkPermission(t, a, "prompt")
		// Headless, Chromium takes its own question for denied.
		checkNoCalls(t, [2]*caller{a, b})
	})
	t.Run("where one user allows it", func(t *testing.T) {
		a.browser.(*chromium).grant(t, "https://"+meet, "local-network")
		checkPermission(t, a, "granted")
		c.testCall(t, a, b, "data", "data")
	})
	t.Run("where the other allows it", func(t *testing.T) { c.testCall(t, b, a, "data", "data") })
	for _, policy := range []string{"LocalNetworkAccessAllowedForUrls", "LocalNetworkAllowedForUrls"} {
		t.Run("with "+policy, func(t *testing.T) {
			c.a.etc(t, "chromium/policies/managed/meet.json", fmt.Sprintf(`{%q: ["https://%s"]}`, policy, meet))
			a := open(c.a, "Chromium A, managed", checkWebRTC...)
			checkPermission(t, a, "granted")
			c.testCall(t, a, b, "data", "data")
		})
	}
}

// checkWebSocket checks what comes of a WebSocket to another address of the proxy, which is not taken
// for a public one.
func checkWebSocket(t *testing.T, c *caller, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got string
	err := c.evaluate(ctx, `new Promise(resolve => {
		const socket = new WebSocket("wss://10.77.3.1/signal?room=none");
		socket.onopen = () => resolve("open");
		socket.onerror = () => resolve("error");
	})`, &got)
	if err != nil || got != want {
		t.Errorf("%s: WebSocket to a private address: %q, %v, want %q", c.title, got, err, want)
	}
}

// checkPermission checks whether a page may reach private addresses.
func checkPermission(t *testing.T, c *caller, want string) {
	t.Helper()
	var state string
	err := c.evaluate(t.Context(), `navigator.permissions.query({name: "local-network"}).then(s => s.state)`, &state)
	if err != nil || state != want {
		t.Errorf("%s: permission %q, %v, want %q", c.title, state, err, want)
	}
}
