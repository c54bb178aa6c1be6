//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestAvahi has names looked up by the resolver of most Linux desktops, on the link and on the router,
// where it shares the port of Multicast DNS with candgw.
func TestAvahi(t *testing.T) {
	require(t, "avahi-daemon", "avahi-resolve", "dbus-daemon")
	n := newNetwork(t)
	g := startGateway(t, n.router)
	beside := startAvahi(t, n.router, "candgw-e2e-beside")

	t.Run("from the link", func(t *testing.T) {
		asker := startAvahi(t, n.a.namespace, "candgw-e2e-asker")
		asker.checkResolves(t, g.newName(t, n.a, n.a.v4), n.a.v4)
		asker.checkResolves(t, g.newName(t, n.a, n.a.v6), n.a.v6)
		asker.checkResolves(t, beside.hostName, netip.MustParseAddr("10.77.1.1"))
	})
	t.Run("beside candgw", func(t *testing.T) {
		beside.checkResolves(t, g.newName(t, n.a, n.a.v4), n.a.v4)
		beside.checkResolves(t, g.newName(t, n.a, n.a.v6), n.a.v6)
	})
	t.Run("both answer", func(t *testing.T) { testBothAnswer(t, n, g, beside.hostName) })
}

// testBothAnswer has B ask candgw for names, and another responder on the router for the router's.
func testBothAnswer(t *testing.T, n *network, g *gateway, hostName string) {
	for _, tt := range []struct {
		local, group string
		kind         uint16
		address      netip.Addr // of the host that asks
		router       string
	}{
		{any4, group4, dns.TypeA, n.b.v4, "10.77.2.1"},
		{any6, group6, dns.TypeAAAA, n.b.v6, "fd77:0:0:2::1"},
	} {
		a := newAsker(t, n.b, tt.local)
		for range 3 {
			a.checkAddress(t, tt.group, g.newName(t, n.b, tt.address), tt.kind, tt.address.String())
		}
		a.checkAddress(t, tt.group, hostName, tt.kind, tt.router)
	}
}

// checkAddress asks for an address of a name, among other responders' traffic. It asks more than once:
// what Avahi has multicast a moment ago, when it announced itself, it does not repeat.
func (a *asker) checkAddress(t *testing.T, group, name string, kind uint16, want string) {
	t.Helper()
	for range 5 {
		a.send(t, group, question(name, kind, dns.ClassINET))
		for deadline := time.Now().Add(time.Second); ; {
			packet, ok := a.hears(time.Until(deadline))
			if !ok {
				break
			}
			got := packet.addresses(name, kind)
			if len(got) == 0 {
				continue
			}
			if !slices.Contains(got, want) {
				t.Errorf("%s answers %s for %s, want %s", group, got, name, want)
			}
			return
		}
	}
	t.Errorf("%s has no answer for %s", group, name)
}

// address returns the address record of a name in a packet, if there is one.
func (h heard) address(name string, kind uint16) (address string, ok bool) {
	if found := h.addresses(name, kind); len(found) > 0 {
		return found[0], true
	}
	return "", false
}

// addresses returns all of them.
func (h heard) addresses(name string, kind uint16) (addresses []string) {
	if h.message == nil || !h.message.Response {
		return nil
	}
	for _, record := range h.message.Answer {
		if header := record.Header(); header.Rrtype == kind && strings.EqualFold(header.Name, dns.Fqdn(name)) {
			addresses = append(addresses, dns.Field(record, 1))
		}
	}
	return addresses
}

// avahi is a running avahi-daemon.
type avahi struct {
	namespace
	hostName string // that it publishes, with .local
	bus      string // of D-Bus, for it alone, as the environment tells it
	run      string // the folder that it has as /run
}

// startAvahi runs avahi-daemon and a D-Bus of its own inside the namespace until the test ends. It
// returns once the daemon has published its name.
func startAvahi(t *testing.T, ns namespace, hostName string) *avahi {
	t.Helper()
	dir := t.TempDir()
	a := &avahi{namespace: ns, hostName: hostName + ".local", bus: startBus(t, ns), run: filepath.Join(dir, "run")}
	config := filepath.Join(dir, "avahi.conf")
	content := fmt.Sprintf("[server]\nhost-name=%s\nuse-ipv4=yes\nuse-ipv6=yes\n", hostName)
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(a.run, "avahi-daemon"), 0o755); err != nil {
		t.Fatal(err)
	}

	// Avahi's files in /run cannot be put elsewhere, so another folder is put there: `ip netns exec` has
	// given the shell a mount namespace of its own.
	daemon := ns.command("sh", "-c", `mount --bind "$0" /run && exec "$@"`, a.run,
		"avahi-daemon", "--file="+config, "--no-drop-root", "--no-chroot", "--no-rlimits")
	daemon.Env = append(os.Environ(), a.bus)
	start(t, daemon)
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		output, err := a.resolve(a.hostName, "-4")
		if err == nil && strings.Contains(output, "\t") {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("avahi-daemon is not ready: %v\n%s", err, output)
		}
	}
}

// resolve looks up a name through the daemon. The option is the family, -4 or -6.
func (a *avahi) resolve(name, option string) (output string, err error) {
	cmd := a.command("avahi-resolve", option, "-n", name)
	cmd.Env = append(os.Environ(), a.bus)
	raw, err := cmd.CombinedOutput()
	return string(raw), err
}

func (a *avahi) checkResolves(t *testing.T, name string, want netip.Addr) {
	t.Helper()
	option := "-4"
	if want.Is6() {
		option = "-6"
	}
	output, err := a.resolve(name, option)
	if err != nil || output != fmt.Sprintf("%s\t%s\n", name, want) {
		t.Errorf("avahi-resolve %s -n %s in %s: %v, wrote %q, want %s", option, name, a.namespace, err, output, want)
	}
}
