//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// startBus runs a D-Bus of its own inside the namespace until the test ends, and returns what the
// environment of a program must hold to have it as the system's.
func startBus(t *testing.T, ns namespace) (variable string) {
	t.Helper()
	dir := t.TempDir()
	config, socket := filepath.Join(dir, "bus.conf"), filepath.Join(dir, "bus")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, ns.command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--nosyslog"))
	waitForFile(t, socket)
	return "DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + socket
}

// busConfig lets everybody who reaches the bus, which is root alone, do everything.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="root"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
`

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
