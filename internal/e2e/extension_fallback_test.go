//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// segment is one subnet with a router and two hosts, dual stack, where browsers find each other by their own names:
//
//	a 10.77.1.2, fd77:0:0:1::2  ---  router 10.77.1.1, fd77:0:0:1::1  ---  b 10.77.1.3, fd77:0:0:1::3
type segment struct {
	a, b   host
	router namespace
}

func newSegment(t *testing.T) *segment {
	t.Helper()
	n := &segment{router: newNamespace(t, "router")}
	n.router.ip(t, "link", "add", "subnet1", "up", "type", "bridge")
	n.router.ip(t, "addr", "add", "10.77.1.1/24", "dev", "subnet1")
	n.router.ip(t, "addr", "add", "fd77:0:0:1::1/64", "dev", "subnet1", "nodad")
	for number, h := range map[int]*host{2: &n.a, 3: &n.b} {
		*h = host{
			namespace: newNamespace(t, fmt.Sprintf("host%d", number)),
			v4:        netip.MustParseAddr(fmt.Sprintf("10.77.1.%d", number)),
			v6:        netip.MustParseAddr(fmt.Sprintf("fd77:0:0:1::%d", number)),
			router:    netip.MustParseAddr("10.77.1.1"),
		}
		port := fmt.Sprintf("port%d", number)
		n.router.ip(t, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", string(h.namespace))
		n.router.ip(t, "link", "set", port, "master", "subnet1", "up")
		h.ip(t, "addr", "add", h.v4.String()+"/24", "dev", "eth0")
		h.ip(t, "addr", "add", h.v6.String()+"/64", "dev", "eth0", "nodad")
		h.ip(t, "link", "set", "eth0", "up")
		h.ip(t, "route", "add", "default", "via", "10.77.1.1")
		h.ip(t, "route", "add", "default", "via", "fd77:0:0:1::1")
	}
	return n
}

// TestExtensionFallback shows that the extension makes nothing worse where no gateway answers: calls that connect by the
// browsers' own names still do, and pages are told the same candidates as without it, null last. A gateway that works
// stands in for one that does not.
func TestExtensionFallback(t *testing.T) {
	require(t)
	l := newLinkTest(t, newSegment(t), 300, "8443", "8444")
	certificate := l.authority.issue(t, extensionGateway)

	t.Run("away", func(t *testing.T) { l.testFallback(t) })
	t.Run("slow", func(t *testing.T) {
		l.listenAt(t, "8443") // which takes connections, and says nothing
		l.testFallback(t)
	})
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		t.Run(fmt.Sprint("status ", status), func(t *testing.T) {
			listener := l.listenAt(t, "8443")
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
				w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
				if r.Method == http.MethodPost {
					w.WriteHeader(status)
				}
			})}
			go func() { _ = server.ServeTLS(listener, certificate.certificateFile, certificate.keyFile) }()
			t.Cleanup(func() { server.Close() })
			l.testFallback(t)
		})
	}
	t.Run("the second works", func(t *testing.T) {
		g := l.startNode(t, "8444")
		for _, b := range []*callBrowser{l.chromium, l.firefox} {
			page := openGatheringPage(t, b.browser, "https://"+meet+"/")
			// On a busy machine a gateway may need more than the budget.
			for deadline := time.Now().Add(patience); ; {
				gathered := gather(t, page)
				if g.opensAll(t, gathered.Candidates[:1]) {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%s: a page has the candidates %q, want encrypted ones", b.title, gathered.Candidates)
					break
				}
			}
		}
		l.testCalls(t)
	})
}

// listenAt listens at a port of the router until the test ends.
func (l *linkTest) listenAt(t *testing.T, port string) net.Listener {
	t.Helper()
	listener, err := l.router.listen(t.Context(), ":"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// testFallback checks what pages are told while no gateway answers, and that calls connect.
func (l *linkTest) testFallback(t *testing.T) {
	for _, b := range []*callBrowser{l.chromium, l.firefox} {
		with := gather(t, openGatheringPage(t, b.browser, "https://"+meet+"/"))
		without := gather(t, openGatheringPage(t, b.browser, "https://"+plain+"/"))
		t.Logf("%s: last candidate after %.0f ms, without the extension after %.0f ms", b.title, with.Milliseconds, without.Milliseconds)
		if got, want := forms(with.Candidates), forms(without.Candidates); !slices.Equal(got, want) {
			t.Errorf("%s: the page is told %q, want %q as without the extension", b.title, got, want)
		}
		if last := len(with.Candidates) - 1; last < 1 || slices.Index(with.Candidates, "null") != last {
			t.Errorf("%s: the page is told %q, want some candidates and then null", b.title, with.Candidates)
		}
	}
	l.testCalls(t)
}

// forms returns what candidates have in common with those of another connection in the same browser, sorted: which family
// comes first is not always the same.
func forms(candidates []string) (found []string) {
	for _, candidate := range candidates {
		fields := strings.Fields(candidate)
		if len(fields) > 7 {
			fields = slices.Concat(fields[1:4], fields[6:8]) // component, transport, priority, type
		}
		found = append(found, strings.Join(fields, " "))
	}
	slices.Sort(found)
	return found
}

func (l *linkTest) testCalls(t *testing.T) {
	t.Helper()
	callers := openCallers(t, meet, l.chromium, l.firefox)
	for _, pair := range [][2]*caller{{callers[0], callers[1]}, {callers[1], callers[0]}} {
		call := startCall(t, pair[0], pair[1], "data", "data")
		if !call.connects(t, patience-5*time.Second) {
			for _, p := range call.peers() {
				t.Errorf("%s went through %q", p.host.namespace, p.connectionStates(t))
			}
			t.Fatalf("%s to %s: not connected; the server was told:\n%s", pair[0].title, pair[1].title, l.server.messages())
		}
		checkMessage(t, call.from, call.to)
	}
}
