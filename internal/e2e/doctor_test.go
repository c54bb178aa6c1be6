//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// finding is what `candgw doctor --json` prints of a check.
type finding struct{ Check, Status, What, Do string }

// examine runs the doctor inside a namespace, and returns what it found and whether it was content.
func (g *gateway) examine(t *testing.T, ns namespace, arguments ...string) (found []finding, content bool) {
	t.Helper()
	cmd := ns.command(g.program, append([]string{"doctor", "--json"}, arguments...)...)
	output, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
	if err := json.Unmarshal(output, &found); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
	for _, h := range []string{"10.77.", "fd77:"} {
		if strings.Contains(string(output), h) {
			t.Errorf("the findings tell an address:\n%s", output)
		}
	}
	return found, err == nil
}

// checkFound checks the statuses of all findings of a check.
func checkFound(t *testing.T, found []finding, check string, want ...string) {
	t.Helper()
	var got []string
	for _, f := range found {
		if f.Check == check {
			got = append(got, f.Status)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q; all: %+v", check, got, want, found)
	}
}

func TestDoctor(t *testing.T) {
	require(t)
	n := newNetwork(t)
	g := &gateway{namespace: n.router, program: build(t), dataDir: t.TempDir(), api: "http://127.0.0.1:8480", http: n.router.client()}
	g.run(t, "keys", "init", "--data-dir", g.dataDir)
	data := []string{"--data-dir", g.dataDir}
	peer := func(address string) []string { return append(slices.Clone(data), "--peer", address) }

	t.Run("without serve", func(t *testing.T) {
		found, content := g.examine(t, n.router, data...)
		checkFound(t, found, "port 5353", "fail")
		checkFound(t, found, "DNS", "fail")
		checkFound(t, found, "link subnet1", "fail", "fail") // IPv4 and IPv6
		if content {
			t.Error("it is content")
		}
		found, _ = g.examine(t, n.a.namespace, peer(n.a.router.String())...)
		checkFound(t, found, "peer, DNS", "fail")
		checkFound(t, found, "peer, Multicast DNS", "fail")
	})

	g.serve(t, "--dns", "0.0.0.0:5354")

	t.Run("with it", func(t *testing.T) {
		found, content := g.examine(t, n.router, data...)
		checkFound(t, found, "port 5353", "ok")
		checkFound(t, found, "DNS", "ok")
		checkFound(t, found, "link subnet1", "ok", "ok")
		checkFound(t, found, "link subnet2", "ok", "ok")
		if !content {
			t.Errorf("it is not content: %+v", found)
		}
	})
	t.Run("a peer on the link", func(t *testing.T) {
		found, _ := g.examine(t, n.a.namespace, peer(n.a.router.String())...)
		checkFound(t, found, "peer, DNS", "ok")
		checkFound(t, found, "peer, Multicast DNS", "ok")
	})
	t.Run("a peer behind the router", func(t *testing.T) {
		found, _ := g.examine(t, n.a.namespace, peer(n.b.router.String()+":5354")...)
		checkFound(t, found, "peer, DNS", "ok")
		checkFound(t, found, "peer, Multicast DNS", "skip")
	})
	t.Run("a peer with another ring", func(t *testing.T) {
		other := t.TempDir()
		g.run(t, "keys", "init", "--data-dir", other)
		found, content := g.examine(t, n.a.namespace, "--data-dir", other, "--peer", n.a.router.String())
		checkFound(t, found, "peer, DNS", "fail")
		checkFound(t, found, "peer, Multicast DNS", "fail")
		if content || !slices.ContainsFunc(found, func(f finding) bool { return strings.Contains(f.What, "does not open a name made here") }) {
			t.Errorf("got %v, %+v", content, found)
		}
	})
	t.Run("a node that has other networks only", func(t *testing.T) {
		n.router.ip(t, "link", "set", "subnet2", "down")
		defer n.router.ip(t, "link", "set", "subnet2", "up")
		found, _ := g.examine(t, n.router, data...)
		checkFound(t, found, "link subnet1", "ok", "ok")
		checkFound(t, found, "link subnet2")
	})
}

// run runs a command of candgw to its end.
func (g *gateway) run(t *testing.T, arguments ...string) string {
	t.Helper()
	return g.output(t, g.program, arguments...)
}
