//go:build linux

package e2e

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// gatewayName is what the extension is told to ask.
const gatewayName = "gateway.example"

// managedNetwork is a network with a gateway for extensions and web sites, all on the router.
type managedNetwork struct {
	*network
	authority *authority
	folder    string // of the extension
}

// newManagedNetwork makes one in which the hosts know the names of the sites and of the gateway.
func newManagedNetwork(t *testing.T, sites ...string) *managedNetwork {
	t.Helper()
	n := &managedNetwork{network: newNetwork(t), authority: newAuthority(t), folder: extensionFolder(t)}
	for _, h := range []host{n.a, n.b} {
		h.etc(t, "hosts", fmt.Sprintf("%s %s %s\n", h.router, gatewayName, strings.Join(sites, " ")))
	}
	return n
}

// serve serves https://NAME/ for each of the names on the router until the test ends.
func (n *managedNetwork) serve(t *testing.T, handler http.Handler, names ...string) {
	t.Helper()
	n.serveAt(t, ":443", handler, names...)
}

func (n *managedNetwork) serveAt(t *testing.T, address string, handler http.Handler, names ...string) {
	t.Helper()
	certificate := n.authority.issue(t, names...)
	listener, err := n.router.listen(t.Context(), address)
	if err != nil {
		t.Fatalf("serving %q: %v", names, err)
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.ServeTLS(listener, certificate.certificateFile, certificate.keyFile) }()
	t.Cleanup(func() { server.Close() })
}

// startGateway starts candgw on the router, with a listener for the extension, a policy if there is one, and
// further settings of the listener.
func (n *managedNetwork) startGateway(t *testing.T, policy string, settings ...string) *gateway {
	t.Helper()
	certificate := n.authority.issue(t, gatewayName)
	folder := t.TempDir()
	config := filepath.Join(folder, "candgw.hcl")
	text := fmt.Sprintf(`
browsers {
  listen     = ":8443"
  extensions = ["chrome-extension://%s", "moz-extension://%s"]
  %s
  tls {
    certificate_file = %q
    key_file         = %q
  }
}
`, chromiumExtensionID(t, n.folder), firefoxExtensionUUID, strings.Join(settings, "\n  "), certificate.certificateFile, certificate.keyFile)
	arguments := []string{"--config", config}
	files := map[string]string{config: text}
	if policy != "" {
		file := filepath.Join(folder, "policy.hcl")
		files[file] = policy
		arguments = append(arguments, "--policy", file)
	}
	for file, content := range files {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return startGateway(t, n.router, arguments...)
}

// with is how a browser is managed that has the extension.
func (n *managedNetwork) with(budget int) extended {
	return extended{folder: n.folder, authority: n.authority, managed: map[string]any{
		"gateways": []string{"https://" + gatewayName + ":8443"}, "budget": budget,
	}}
}

// managedBrowser is a kind of browser.
type managedBrowser struct {
	title string
	start func(t *testing.T, h host, e extended) *extendedBrowser
}

// Their tabs behind others have the same time as the one in front.
var managedBrowsers = []managedBrowser{
	{"Chromium", func(t *testing.T, h host, e extended) *extendedBrowser {
		return startExtendedChromium(t, h.namespace, e, "--disable-background-timer-throttling", "--disable-renderer-backgrounding")
	}},
	{"Firefox", func(t *testing.T, h host, e extended) *extendedBrowser {
		return startExtendedFirefox(t, h.namespace, e, `
user_pref("dom.min_background_timeout_value", 4);
user_pref("dom.min_background_timeout_value_without_budget_throttling", 4);
user_pref("dom.timeout.enable_budget_timer_throttling", false);
`)
	}},
}

// opens returns the address that a name stands for, or the zero Addr for a name that no key of the gateway opens.
func (g *gateway) opens(t *testing.T, name string) netip.Addr {
	t.Helper()
	conn, err := g.dial(t.Context(), "udp", "127.0.0.1:5354")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, _, err := new(dns.Client).ExchangeWithConn(new(dns.Msg).SetQuestion(name+".", kind), &dns.Conn{Conn: conn})
		if err != nil {
			t.Fatalf("asking for %s: %v", name, err)
		}
		for _, record := range answer.Answer {
			switch record := record.(type) {
			case *dns.A:
				return netip.MustParseAddr(record.A.String())
			case *dns.AAAA:
				return netip.MustParseAddr(record.AAAA.String())
			}
		}
	}
	return netip.Addr{}
}
