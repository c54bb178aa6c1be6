package neighbor

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newNamespace takes the test into a network namespace of its own, which is that of one thread.
func newNamespace(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread() // and never unlocks, so that the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		t.Skip("network namespaces need root")
	} else if err != nil {
		t.Fatal(err)
	}
}

func ip(t testing.TB, args string) {
	t.Helper()
	if output, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, output)
	}
}

// TestNeighbors has tables of neighbors that the test has written. internal/e2e has real neighbors.
func TestNeighbors(t *testing.T) {
	newNamespace(t)
	for _, link := range []string{"one", "two"} {
		ip(t, "link add "+link+" address 02:00:00:00:ff:01 type veth peer name peer-"+link)
		for _, end := range []string{"peer-" + link, link} {
			ip(t, "link set "+end+" up addrgenmode none")
		}
	}
	ip(t, "addr add 10.77.1.1/24 dev one")
	ip(t, "addr add fd77:0:0:1::1/64 dev one nodad")
	ip(t, "addr add 10.77.2.1/24 dev two")
	ip(t, "addr add fd77:0:0:2::1/64 dev two nodad")
	for _, link := range []string{"one", "two"} {
		ip(t, "addr add fe80::1/64 dev "+link+" nodad")
	}
	const host, hostOnTwo, another = "02:00:00:00:00:05", "02:00:00:00:00:06", "02:00:00:00:00:07"
	for _, entry := range []string{
		"10.77.1.5 dev one nud reachable lladdr " + host,
		"fd77:0:0:1::5 dev one nud stale lladdr " + host,
		"fe80::5 dev one nud permanent lladdr " + host,
		"fe80::5 dev two nud permanent lladdr " + hostOnTwo,
		"10.77.2.5 dev two nud reachable lladdr " + hostOnTwo,
		"fd77:0:0:2::5 dev two nud reachable lladdr " + host, // the one on link one has another address on link two
		"10.77.1.7 dev one nud reachable lladdr " + another,
		"fd77:0:0:1::7 dev one nud reachable lladdr " + another,
		"10.77.1.8 dev one nud noarp lladdr " + host,
		"fd77:0:0:1::9 dev one nud reachable lladdr 02:00:00:00:ff:01", // this host's own, as where nobody is asked
		"10.77.1.9 dev one nud reachable lladdr 02:00:00:00:ff:01",
		"10.77.1.10 dev one nud reachable lladdr 00:00:00:00:00:00",
		"10.77.1.11 dev one nud reachable lladdr 00:00:00:00:00:00",
		"10.77.3.5 dev one nud reachable lladdr " + host, // in no network of the link
	} {
		ip(t, "neigh replace "+entry)
	}
	for _, tt := range []struct {
		name, known, other string
		want               bool
		asks               int
	}{
		{"IPv6 of a host that came over IPv4", "10.77.1.5", "fd77:0:0:1::5", true, 0},
		{"IPv4 of a host that came over IPv6", "fd77:0:0:1::5", "10.77.1.5", true, 0},
		{"that came over a link-local address", "fe80::5%one", "fd77:0:0:1::5", true, 0},
		{"that came over a link-local address of another link", "fe80::5%two", "fd77:0:0:1::5", false, 0},
		{"on the other link", "fe80::5%two", "10.77.2.5", true, 0},
		{"a link-local address", "10.77.1.5", "fe80::5", true, 0},
		{"another host", "10.77.1.5", "fd77:0:0:1::7", false, 0},
		{"another host's IPv4", "10.77.1.5", "10.77.1.7", false, 0},
		{"another host asks", "10.77.1.7", "fd77:0:0:1::5", false, 0},
		{"its address on another link", "10.77.1.5", "fd77:0:0:2::5", false, 0},
		{"in no network of the link", "10.77.1.5", "10.77.3.5", false, 0},
		{"nobody answers", "10.77.1.5", "10.77.1.99", false, 1},
		{"nobody answers over IPv6", "10.77.1.5", "fd77:0:0:1::99", false, 1},
		{"two that nobody answers for", "10.77.1.98", "10.77.1.99", false, 1},
		{"an entry that nobody has told", "10.77.1.5", "10.77.1.8", false, 1},
		{"the hardware address of this host", "10.77.1.9", "fd77:0:0:1::9", false, 1},
		{"no hardware address", "10.77.1.10", "10.77.1.11", false, 1},
	} { // in this goroutine, whose thread is in the namespace: not in subtests
		asks := 0
		got := SameHost(context.Background(), netip.MustParseAddr(tt.known), netip.MustParseAddr(tt.other), func() bool { asks++; return true })
		if got != tt.want || asks != tt.asks {
			t.Errorf("%s: got %v, and %d asked", tt.name, got, asks)
		}
	}
	if SameHost(context.Background(), netip.MustParseAddr("10.77.1.5"), netip.MustParseAddr("10.77.1.97"), never) {
		t.Error("nobody may be asked")
	}
	if out, err := exec.Command("ip", "neigh", "show", "10.77.1.97").Output(); err != nil || len(out) > 0 {
		t.Errorf("%v; somebody was asked, though nobody may be: %s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if SameHost(ctx, netip.MustParseAddr("10.77.1.5"), netip.MustParseAddr("10.77.1.96"), func() bool { return true }) {
		t.Error("nobody waits")
	}
}

// TestParse has entries that are cut be none.
func TestParse(t *testing.T) {
	entry := []byte{
		unix.AF_INET, 0, 0, 0, 7, 0, 0, 0, unix.NUD_REACHABLE, 0, 0, unix.RTN_UNICAST,
		8, 0, unix.NDA_DST, 0, 10, 77, 1, 5,
		10, 0, unix.NDA_LLADDR, 0, 2, 0, 0, 0, 0, 5, 0, 0,
	}
	if addr, h, ok := parse(entry, 7); !ok || addr.String() != "10.77.1.5" || h != (hardware{2, 0, 0, 0, 0, 5}) {
		t.Errorf("got %v, %v, %v", addr, h, ok)
	}
	if _, _, ok := parse(entry, 8); ok {
		t.Error("it is of another link")
	}
	for n := range len(entry) - 2 { // but for the octets that fill it up
		if _, _, ok := parse(entry[:n], 7); ok {
			t.Errorf("%d octets are taken for an entry", n)
		}
	}
	entry[12] = 0 // the length of an attribute
	if _, _, ok := parse(entry, 7); ok {
		t.Error("an attribute without a length is taken")
	}
}
