package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/candgw/candgw/internal/mcast"
)

var browser = netip.MustParseAddr("10.77.1.9")

// newNamespace takes the test into a network namespace of its own. It is that of one thread: what the test
// opens itself is in it, what goroutines open is not.
func newNamespace(t *testing.T) {
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
	ip(t, "link set lo up")
}

func ip(t *testing.T, args string) {
	t.Helper()
	if output, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, output)
	}
}

// addLink adds an interface without addresses, on which nobody is but this host.
func addLink(t *testing.T, name, options string) {
	t.Helper()
	ip(t, "link add "+name+" "+options+" type veth peer name peer-"+name)
	for _, end := range []string{"peer-" + name, name} {
		ip(t, "link set "+end+" up addrgenmode none")
	}
}

// sockets counts the UDP sockets in the namespace.
func sockets(t *testing.T) (n int) {
	t.Helper()
	for _, file := range []string{"udp", "udp6"} {
		table, err := os.ReadFile("/proc/thread-self/net/" + file)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(table, []byte("\n")) - 1 // its heading
	}
	return n
}

func waitForNoSockets(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); sockets(t) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d sockets stay open", sockets(t))
		}
	}
}

// checkResolves asks for a name of a browser on a link, which answers over IPv4 to the group, but not at first
// as often as it is told to.
func checkResolves(t *testing.T, l *LinkNames, name string, unanswered int) {
	t.Helper()
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := mcast.ListenGroup4(ifc)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := ipv4.NewPacketConn(c)
	group := &net.UDPAddr{IP: mcast.Group4, Port: mcast.Port}
	if err := p.JoinGroup(ifc, group); err != nil {
		t.Fatal(err)
	}
	if err := p.SetMulticastInterface(ifc); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, _, _, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 || m.Questions[0].Type != dnsmessage.TypeA {
				continue
			}
			if unanswered--; unanswered >= 0 {
				continue
			}
			answer := dnsmessage.Message{
				Header: dnsmessage.Header{Response: true, Authoritative: true},
				Answers: []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 120},
					Body:   &dnsmessage.AResource{A: browser.As4()},
				}},
			}
			// Once it has left the group, the system takes the answer only for those who are in it by themselves.
			packet, err := answer.Pack()
			if err = errors.Join(err, p.LeaveGroup(ifc, group)); err == nil {
				_, err = p.WriteTo(packet, nil, group)
			}
			if err != nil {
				t.Error(err)
			}
			return
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if addr, err := l.ResolveName(ctx, "x.local", netip.Addr{}); addr != browser {
		t.Fatalf("got %v, %v", addr, err)
	}
}

// ask asks for a name that nobody has, once.
func ask(l *LinkNames) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := l.ResolveName(ctx, "x.local", netip.Addr{})
	return err
}

// askOn begins to ask for a client, on one link.
func askOn(t *testing.T, l *LinkNames, name, client string, answers chan<- netip.Addr) []*question {
	t.Helper()
	interfaces, err := mcast.Interfaces(nil)
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := netip.ParseAddr(client)
	known, asked, err := l.ask(choose(interfaces, addr), name, answers)
	if err != nil || known.IsValid() || len(asked) != 1 {
		t.Fatalf("got %v, %v, %v, want one question", known, asked, err)
	}
	return asked
}

func TestLinkNamesOfChangingLink(t *testing.T) {
	newNamespace(t)
	l := NewLinkNames(nil)
	l.idle = time.Hour
	defer l.Close()

	addLink(t, "one", "index 77 address 02:00:00:00:00:01")
	if err := ask(l); !errors.Is(err, ErrNoLink) || sockets(t) != 0 {
		t.Errorf("without an address: %v, %d sockets", err, sockets(t))
	}
	ip(t, "addr add fd77::1/64 dev one nodad")
	if err := ask(l); errors.Is(err, ErrNoLink) || sockets(t) == 0 {
		t.Errorf("with IPv6: %v, %d sockets", err, sockets(t))
	}
	ip(t, "addr add 10.77.1.1/24 dev one")
	checkResolves(t, l, "one", 0)

	// Those of before are not in the group on this one, though it has their number.
	ip(t, "link del one")
	addLink(t, "one", "index 77 address 02:00:00:00:00:02")
	ip(t, "addr add 10.77.1.1/24 dev one")
	ip(t, "addr add fd77::1/64 dev one nodad")
	checkResolves(t, l, "one", 0)

	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := sockets(t); n != 0 {
		t.Errorf("%d sockets stay open", n)
	}
}

func TestLinkNamesIdle(t *testing.T) {
	newNamespace(t)
	l := NewLinkNames(nil)
	l.idle = time.Millisecond
	defer l.Close()
	addLink(t, "one", "")
	ip(t, "addr add 10.77.1.1/24 dev one")

	for range 3 {
		checkResolves(t, l, "one", 1) // pion/mdns asks again after a second
		waitForNoSockets(t)
	}

	// Two questions at once, of which one ends.
	answers := make(chan netip.Addr, 1)
	asked := askOn(t, l, "y.local", "", answers)
	if err := ask(l); errors.Is(err, ErrNoLink) {
		t.Error(err)
	}
	time.Sleep(100 * time.Millisecond)
	if sockets(t) == 0 {
		t.Error("closed under a question")
	}
	l.leave(asked, answers)
	waitForNoSockets(t)
}

func TestLinkNamesZones(t *testing.T) {
	newNamespace(t)
	addLink(t, "one", "index 77")
	addLink(t, "two", "index 78")
	addLink(t, "bare", "index 79")
	ip(t, "addr add 10.77.1.1/24 dev one")
	for _, link := range []string{"one", "two"} {
		ip(t, "addr add fe80::1/64 dev "+link+" nodad")
	}
	for _, tt := range []struct {
		name, client string
		only, want   []string
	}{
		{"not known", "", nil, []string{"one", "two"}},
		{"loopback", "::1", nil, []string{"one", "two"}},
		{"in a network", "10.77.1.9", nil, []string{"one"}},
		{"in a network, as IPv6", "::ffff:10.77.1.9", nil, []string{"one"}},
		{"no zone", "fe80::9", nil, []string{"one", "two"}},
		{"zone by name", "fe80::9%two", nil, []string{"two"}},
		{"zone by index", "fe80::9%78", nil, []string{"two"}},
		{"zone of somebody else", "fe80::9%wlan7", nil, []string{"one", "two"}},
		{"zone not to ask on", "fe80::9%two", []string{"one"}, nil},
		{"zone without address", "fe80::9%bare", nil, nil},
	} {
		interfaces, err := mcast.Interfaces(tt.only)
		if err != nil {
			t.Fatal(err)
		}
		client, _ := netip.ParseAddr(tt.client)
		var got []string
		for k := range maps.Keys(choose(interfaces, client)) {
			got = append(got, k.name)
		}
		slices.Sort(got)
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
