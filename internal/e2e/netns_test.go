//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a named network namespace, as `ip netns` makes them.
type namespace string

// host is a namespace with one interface, in one of the two subnets.
type host struct {
	namespace
	v4, v6 netip.Addr
	router netip.Addr // in the same subnet
}

// network is two subnets and the router between them, dual stack:
//
//	a 10.77.1.2    ---  10.77.1.1    router  10.77.2.1    ---  10.77.2.2    b
//	fd77:0:0:1::2       fd77:0:0:1::1        fd77:0:0:2::1     fd77:0:0:2::2
//
// The router forwards unicast and, like any router, no multicast DNS.
type network struct {
	a, b   host
	router namespace
}

// newNetwork makes a network that lasts until the test ends.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{router: newNamespace(t, "router")}
	for _, family := range []string{"ipv4", "ipv6"} {
		n.router.sysctl(t, family+"/conf/all/forwarding", "1")
	}
	n.a = newHost(t, n.router, 1)
	n.b = newHost(t, n.router, 2)

	// If the network did not forward, "the pair never connects" would prove nothing.
	for _, address := range []netip.Addr{n.b.v4, n.b.v6} {
		if err := n.forwards(t.Context(), address); err != nil {
			t.Fatalf("test network does not forward from %s to %s: %v", n.a.namespace, n.b.namespace, err)
		}
	}
	return n
}

// newNamespace makes a namespace that lasts until the test ends. The process id keeps apart the
// names of test runs that overlap.
func newNamespace(t *testing.T, role string) namespace {
	t.Helper()
	ns := namespace(fmt.Sprintf("candgw-%d-%s", os.Getpid(), role))
	ip(t, "netns", "add", string(ns))
	t.Cleanup(func() { ip(t, "netns", "del", string(ns)) })

	// Without this the link-local addresses that multicast DNS needs stay tentative for a second.
	ns.sysctl(t, "ipv6/conf/default/accept_dad", "0")
	ns.ip(t, "link", "set", "lo", "up")
	return ns
}

// newHost makes the host of the given subnet and links it to the router.
func newHost(t *testing.T, router namespace, subnet int) host {
	t.Helper()
	prefix4 := fmt.Sprintf("10.77.%d.", subnet)
	prefix6 := fmt.Sprintf("fd77:0:0:%d::", subnet)
	h := host{
		namespace: newNamespace(t, fmt.Sprintf("host%d", subnet)),
		v4:        netip.MustParseAddr(prefix4 + "2"),
		v6:        netip.MustParseAddr(prefix6 + "2"),
		router:    netip.MustParseAddr(prefix4 + "1"),
	}
	link := fmt.Sprintf("subnet%d", subnet)
	router.ip(t, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", string(h.namespace))
	for _, end := range []struct {
		namespace
		link, number string
	}{{router, link, "1"}, {h.namespace, "eth0", "2"}} {
		end.ip(t, "addr", "add", prefix4+end.number+"/24", "dev", end.link)
		end.ip(t, "addr", "add", prefix6+end.number+"/64", "dev", end.link, "nodad")
		end.ip(t, "link", "set", end.link, "up")
	}
	h.ip(t, "route", "add", "default", "via", prefix4+"1")
	h.ip(t, "route", "add", "default", "via", prefix6+"1")
	return h
}

// forwards reports why a connection from host a to an address of host b fails, or nil.
func (n *network) forwards(ctx context.Context, address netip.Addr) error {
	listener, err := n.b.listen(ctx, net.JoinHostPort(address.String(), "0"))
	if err != nil {
		return err
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := n.a.dial(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// command returns a command that runs inside the namespace. `ip` becomes the command by exec, so
// that the process id is the command's own and open files are passed on.
func (ns namespace) command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", string(ns), name}, args...)...)
}

// output runs a command inside the namespace to its end and returns what it wrote.
func (ns namespace) output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := ns.command(name, args...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
	return string(output)
}

// start runs a command until the test ends. The command has a process group of its own, which is
// killed whole. The channel is closed when the command has ended. What it wrote is shown if the test
// fails.
func start(t *testing.T, cmd *exec.Cmd) <-chan struct{} {
	t.Helper()
	// Wait returns when every descendant has closed its end of this output, and so when none is
	// left to write to the folders that the test is about to remove.
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", cmd, err)
	}
	ended := make(chan struct{})
	var waitErr error
	go func() {
		defer close(ended)
		waitErr = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails if the group is gone already
		<-ended
		if t.Failed() {
			t.Logf("%s: %v; it wrote:\n%s", cmd, waitErr, output.Bytes())
		}
	})
	return ended
}

// client returns an HTTP client that connects from inside the namespace. Its URLs must hold an
// address: a host name would be looked up outside.
func (ns namespace) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: ns.dial}}
}

func (ns namespace) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := ns.within(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

func (ns namespace) listen(ctx context.Context, address string) (net.Listener, error) {
	var listener net.Listener
	err := ns.within(func() (err error) {
		listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
		return err
	})
	return listener, err
}

// within calls f on a thread that is inside the namespace. A socket stays in the namespace where it
// was opened, so what f opens can be used anywhere afterwards.
func (ns namespace) within(f func() error) (err error) {
	outside, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer outside.Close()
	inside, err := os.Open(filepath.Join("/run/netns", string(ns)))
	if err != nil {
		return err
	}
	defer inside.Close()

	runtime.LockOSThread()
	if err := unix.Setns(int(inside.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering namespace %s: %w", ns, err)
	}
	defer func() {
		if restoreErr := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); restoreErr != nil {
			// The thread stays locked, so that it ends with this goroutine and serves no other.
			err = errors.Join(err, fmt.Errorf("leaving namespace %s: %w", ns, restoreErr))
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// sysctl sets a kernel parameter below net.
func (ns namespace) sysctl(t *testing.T, name, value string) {
	t.Helper()
	err := ns.within(func() error {
		return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0)
	})
	if err != nil {
		t.Fatalf("setting net/%s=%s in %s: %v", name, value, ns, err)
	}
}

func (ns namespace) ip(t *testing.T, args ...string) {
	t.Helper()
	ip(t, append([]string{"-n", string(ns)}, args...)...)
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("ip", args...)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
}
