//go:build linux

package e2e

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestResolved has names looked up by systemd-resolved, which sends and hears Multicast DNS itself, on
// the link, and answers for a name of its own on the router, where it shares the port with candgw.
func TestResolved(t *testing.T) {
	require(t, "dbus-daemon", "getent", "unshare", "hostname")
	n := newNetwork(t)
	g := startGateway(t, n.router)

	t.Run("from the link", func(t *testing.T) {
		r := startResolved(t, n.a.namespace, "eth0", "candgw-e2e-asker")
		r.checkQuery(t, g.newName(t, n.a, n.a.v4), n.a.v4)
		r.checkQuery(t, g.newName(t, n.a, n.a.v6), n.a.v6)
		r.checkGetent(t, "ahostsv4", g.newName(t, n.a, n.a.v4), n.a.v4.String())
		r.checkGetent(t, "ahosts", g.newName(t, n.a, n.a.v4), n.a.v4.String())
		r.checkGetent(t, "ahosts", g.newName(t, n.a, n.a.v6), n.a.v6.String())
	})
	// It hears no answer from its own host, whoever sends it.
	t.Run("both answer", func(t *testing.T) {
		r := startResolved(t, n.router, "subnet2", "candgw-e2e-beside")
		testBothAnswer(t, n, g, r.hostName)
	})
}

// debian is where scripts/setup.sh unpacks what it does not install.
const debian = "testdata/debian"

// resolved is a running systemd-resolved.
type resolved struct {
	libc
	hostName string // that it publishes, with .local
	bus      string // of D-Bus, for it alone, as the environment tells it
	link     string // that it asks on
}

// startResolved runs systemd-resolved and a D-Bus of its own inside the namespace until the test ends.
// It returns once the daemon asks on the link.
func startResolved(t *testing.T, ns namespace, link, hostName string) *resolved {
	t.Helper()
	dir := t.TempDir()
	r := &resolved{hostName: hostName + ".local", bus: startBus(t, ns), link: link, libc: libc{
		namespace: ns, run: filepath.Join(dir, "run"), sources: "resolve", server: "127.0.0.1",
		libraries: filepath.Dir(unpacked(t, "usr/lib/*/libnss_resolve.so.2")) + ":" + unpacked(t, "usr/lib/*/systemd"),
	}}
	config, users := filepath.Join(r.run, "systemd/resolved.conf.d"), filepath.Join(dir, "passwd")
	if err := os.MkdirAll(config, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(config, "e2e.conf"): "[Resolve]\nMulticastDNS=yes\nLLMNR=no\nDNSStubListener=no\n",
		// The user that it runs as, who need not exist on this machine.
		users: "root:x:0:0::/:/bin/sh\nsystemd-resolve:x:0:0::/:/bin/false\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	daemon := ns.command("sh", "-ec", `
		mount --bind "$0" /run
		mount --bind "$1" /etc/passwd
		exec unshare --uts sh -ec 'hostname "$0"; exec "$1"' "$2" "$3"`,
		r.run, users, hostName, unpacked(t, "lib/systemd/systemd-resolved"))
	daemon.Env = r.env()
	start(t, daemon)
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		output, err := r.resolvectl(t, "mdns", link, "yes")
		if err == nil {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("systemd-resolved is not ready: %v\n%s", err, output)
		}
	}
}

// unpacked returns the path of what was unpacked.
func unpacked(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(debian, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s, where scripts/setup.sh unpacks it: %v", pattern, debian, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (r *resolved) env() []string {
	return append(os.Environ(), r.bus, "LD_LIBRARY_PATH="+r.libraries)
}

func (r *resolved) resolvectl(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	cmd := r.command(unpacked(t, "usr/bin/resolvectl"), args...)
	cmd.Env = r.env()
	raw, err := cmd.CombinedOutput()
	return string(raw), err
}

func (r *resolved) checkQuery(t *testing.T, name string, want netip.Addr) {
	t.Helper()
	output, err := r.resolvectl(t, "--protocol=mdns", "--cache=no", "query", name)
	answer, _, _ := strings.Cut(output, "\n")
	if wanted := name + ": " + want.String(); err != nil || strings.Join(strings.Fields(answer), " ") != wanted+" -- link: "+r.link {
		t.Errorf("resolvectl query %s in %s: %v, wrote %q, want %q", name, r.namespace, err, output, wanted)
	}
}
