package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// TestConnect runs two of the program, with the test as signaling between them.
func TestConnect(t *testing.T) {
	addrs := reachable(t)
	if len(addrs) == 0 {
		t.Skip("this host has no address that another could reach")
	}
	folder := t.TempDir()
	if _, err := keyring.NewFileStore(folder, "").Init(); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "pion.exe")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building it: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	offer, answer := start(t, ctx, program, "offer", folder), start(t, ctx, program, "answer", folder)
	var both sync.WaitGroup
	both.Go(func() { offer.signalTo(answer) })
	both.Go(func() { answer.signalTo(offer) })
	both.Wait()
	for _, e := range []*endpoint{offer, answer} {
		if err := e.cmd.Wait(); err != nil || !strings.Contains(e.logged.String(), `received "hello" from `) {
			t.Errorf("%s: %v; it wrote:\n%s", e.cmd, err, &e.logged)
		}
		if !strings.Contains(e.said.String(), ".local ") {
			t.Errorf("signaling has no name:\n%s", &e.said)
		}
		for _, addr := range addrs {
			if strings.Contains(e.said.String(), addr) {
				t.Errorf("signaling tells %s:\n%s", addr, &e.said)
			}
		}
	}
}

// An endpoint is a running program.
type endpoint struct {
	cmd          *exec.Cmd
	in           io.Writer
	out          io.Reader
	said, logged bytes.Buffer
}

func start(t *testing.T, ctx context.Context, program string, args ...string) *endpoint {
	t.Helper()
	e := &endpoint{cmd: exec.CommandContext(ctx, program, args...)}
	e.cmd.Stderr = &e.logged
	in, errIn := e.cmd.StdinPipe()
	out, errOut := e.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, e.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	e.in, e.out = in, out
	return e
}

// signalTo passes on what the program says, until it ends.
func (e *endpoint) signalTo(other *endpoint) {
	for lines := bufio.NewScanner(e.out); lines.Scan(); {
		line := lines.Text() + "\n"
		e.said.WriteString(line)
		_, _ = io.WriteString(other.in, line) // which may have ended
	}
}

func reachable(t *testing.T) (out []string) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if addr := netip.MustParsePrefix(a.String()).Addr(); policy.Reachable(addr) {
			out = append(out, addr.String())
		}
	}
	return out
}
