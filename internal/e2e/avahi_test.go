//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
	t.Run("both answer", func(t *testing.T) {
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
			a.checkAddress(t, tt.group, beside.hostName, tt.kind, tt.router)
		}
	})
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
			got, ok := packet.address(name, kind)
			if !ok {
				continue
			}
			if got != want {
				t.Errorf("%s answers %s for %s, want %s", group, got, name, want)
			}
			return
		}
	}
	t.Errorf("%s has no answer for %s", group, name)
}

// address returns the address record of a name in a packet, if there is one.
func (h heard) address(name string, kind uint16) (address string, ok bool) {
	if h.message == nil || !h.message.Response {
		return "", false
	}
	for _, record := range h.message.Answer {
		if header := record.Header(); header.Rrtype == kind && strings.EqualFold(header.Name, dns.Fqdn(name)) {
			return dns.Field(record, 1), true
		}
	}
	return "", false
}

// avahi is a running avahi-daemon.
type avahi struct {
	namespace
	hostName string // that it publishes, with .local
	bus      string // address of a D-Bus system bus for it alone
}

// startAvahi runs avahi-daemon and a D-Bus of its own inside the namespace until the test ends. It
// returns once the daemon has published its name.
func startAvahi(t *testing.T, ns namespace, hostName string) *avahi {
	t.Helper()
	dir := t.TempDir()
	a := &avahi{namespace: ns, hostName: hostName + ".local", bus: "unix:path=" + filepath.Join(dir, "bus")}
	busConfig, config, run := filepath.Join(dir, "bus.conf"), filepath.Join(dir, "avahi.conf"), filepath.Join(dir, "run")
	for path, content := range map[string]string{
		busConfig: fmt.Sprintf(avahiBus, a.bus),
		config:    fmt.Sprintf("[server]\nhost-name=%s\nuse-ipv4=yes\nuse-ipv6=yes\n", hostName),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(run, "avahi-daemon"), 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, ns.command("dbus-daemon", "--config-file="+busConfig, "--nofork", "--nopidfile", "--nosyslog"))
	waitForFile(t, filepath.Join(dir, "bus"))

	// Avahi's files in /run cannot be put elsewhere, so another folder is put there: `ip netns exec` has
	// given the shell a mount namespace of its own.
	daemon := ns.command("sh", "-c", `mount --bind "$0" /run && exec "$@"`, run,
		"avahi-daemon", "--file="+config, "--no-drop-root", "--no-chroot", "--no-rlimits")
	daemon.Env = a.env()
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

// avahiBus lets everybody who reaches the bus, which is root alone, do everything.
const avahiBus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="root"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
`

func (a *avahi) env() []string { return append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+a.bus) }

// resolve looks up a name through the daemon. The option is the family, -4 or -6.
func (a *avahi) resolve(name, option string) (output string, err error) {
	cmd := a.command("avahi-resolve", option, "-n", name)
	cmd.Env = a.env()
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

func waitForFile(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has not come", path)
		}
	}
}
