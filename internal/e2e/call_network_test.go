//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// siteNetwork is two sites, dual stack, and between them a backbone with the server of a web application:
//
//	a 10.77.1.2  ---\                                                   /---  b 10.77.2.2
//	fd77:0:0:1::2    one 10.77.0.1  ---  backbone  ---  10.77.0.2  two        fd77:0:0:2::2
//	c 10.77.3.2  ---/  fd77::1              |             fd77::2
//	fd77:0:0:3::2                   server 10.77.0.9, fd77::9
//
// The routers forward unicast and, like any router, no multicast DNS. Nothing relays: there is no STUN or TURN
// server anywhere.
type siteNetwork struct {
	a, b, c  host
	one, two namespace // the routers
	server   host
}

const (
	siteOne4, siteTwo4 = "{ 10.77.1.0/24, 10.77.3.0/24 }", "10.77.2.0/24"
	siteOne6, siteTwo6 = "{ fd77:0:0:1::/64, fd77:0:0:3::/64 }", "fd77:0:0:2::/64"
)

func newSiteNetwork(t *testing.T) *siteNetwork {
	t.Helper()
	n := &siteNetwork{one: newNamespace(t, "one"), two: newNamespace(t, "two")}
	for _, router := range []namespace{n.one, n.two} {
		for _, family := range []string{"ipv4", "ipv6"} {
			router.sysctl(t, family+"/conf/all/forwarding", "1")
		}
	}
	n.a, n.c, n.b = newHost(t, n.one, 1), newHost(t, n.one, 3), newHost(t, n.two, 2)
	n.server.namespace = newNamespace(t, "server")

	backbone := newNamespace(t, "backbone")
	backbone.ip(t, "link", "add", "bridge", "up", "type", "bridge")
	for number, ns := range map[int]namespace{1: n.one, 2: n.two, 9: n.server.namespace} {
		port := fmt.Sprintf("port%d", number)
		backbone.ip(t, "link", "add", port, "type", "veth", "peer", "name", "backbone", "netns", string(ns))
		backbone.ip(t, "link", "set", port, "master", "bridge", "up")
		ns.ip(t, "addr", "add", fmt.Sprintf("10.77.0.%d/24", number), "dev", "backbone")
		ns.ip(t, "addr", "add", fmt.Sprintf("fd77::%d/64", number), "dev", "backbone", "nodad")
		ns.ip(t, "link", "set", "backbone", "up")
	}
	for _, subnet := range []int{1, 3} {
		for _, ns := range []namespace{n.two, n.server.namespace} {
			ns.ip(t, "route", "add", fmt.Sprintf("10.77.%d.0/24", subnet), "via", "10.77.0.1")
			ns.ip(t, "route", "add", fmt.Sprintf("fd77:0:0:%d::/64", subnet), "via", "fd77::1")
		}
	}
	for _, ns := range []namespace{n.one, n.server.namespace} {
		ns.ip(t, "route", "add", "10.77.2.0/24", "via", "10.77.0.2")
		ns.ip(t, "route", "add", "fd77:0:0:2::/64", "via", "fd77::2")
	}
	n.countUDP(t)
	n.checkForwards(t, true)
	return n
}

// checkForwards checks whether the routers let a TCP connection through from A to B. If they never did, "the pair
// does not connect" would prove nothing.
func (n *siteNetwork) checkForwards(t *testing.T, want bool) {
	t.Helper()
	between := network{a: n.a, b: n.b}
	for _, address := range []netip.Addr{n.b.v4, n.b.v6} {
		if err := between.forwards(t.Context(), address); (err == nil) != want {
			t.Fatalf("TCP from A to %s: %v, want it to pass: %t", address, err, want)
		}
	}
}

// countUDP has both routers count the UDP packets that they forward: those between the hosts, and all others.
func (n *siteNetwork) countUDP(t *testing.T) {
	t.Helper()
	for _, router := range []namespace{n.one, n.two} {
		router.nft(t, `table inet paths {
			counter direct {}
			counter others {}
			chain forward {
				type filter hook forward priority 0;
				meta l4proto != udp return
				ip saddr { 10.77.1.2, 10.77.2.2, 10.77.3.2 } ip daddr { 10.77.1.2, 10.77.2.2, 10.77.3.2 } counter name direct return
				ip6 saddr { fd77:0:0:1::2, fd77:0:0:2::2, fd77:0:0:3::2 } ip6 daddr { fd77:0:0:1::2, fd77:0:0:2::2, fd77:0:0:3::2 } counter name direct return
				counter name others
			}
		}`)
	}
}

// forwardedUDP returns how many UDP packets a router has forwarded between the hosts, and how many others.
func forwardedUDP(t *testing.T, router namespace) (direct, others int) {
	t.Helper()
	var listed struct {
		Nftables []struct {
			Counter struct {
				Name    string `json:"name"`
				Packets int    `json:"packets"`
			} `json:"counter"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(router.output(t, "nft", "-j", "list", "counters")), &listed); err != nil {
		t.Fatal(err)
	}
	for _, object := range listed.Nftables {
		switch object.Counter.Name {
		case "direct":
			direct = object.Counter.Packets
		case "others":
			others = object.Counter.Packets
		}
	}
	return direct, others
}

// allowOnlyUDP makes both routers firewalls that let nothing but UDP through between the sites.
func (n *siteNetwork) allowOnlyUDP(t *testing.T) {
	t.Helper()
	for _, router := range []namespace{n.one, n.two} {
		router.nft(t, fmt.Sprintf(`table inet firewall {
			chain forward {
				type filter hook forward priority 10;
				meta l4proto udp accept
				ip saddr %[1]s ip daddr %[2]s drop
				ip saddr %[2]s ip daddr %[1]s drop
				ip6 saddr %[3]s ip6 daddr %[4]s drop
				ip6 saddr %[4]s ip6 daddr %[3]s drop
			}
		}`, siteOne4, siteTwo4, siteOne6, siteTwo6))
	}
	n.checkForwards(t, false)
}

// block has both routers drop what goes to UDP ports of the hosts, until the test ends.
func (n *siteNetwork) block(t *testing.T, ports []string) {
	t.Helper()
	for _, router := range []namespace{n.one, n.two} {
		router.nft(t, fmt.Sprintf(`table inet blocked {
			chain forward {
				type filter hook forward priority 20;
				udp dport { %s } drop
			}
		}`, strings.Join(ports, ", ")))
		t.Cleanup(func() { router.output(t, "nft", "delete", "table", "inet", "blocked") })
	}
}

// nft adds rules to the namespace's firewall.
func (ns namespace) nft(t *testing.T, rules string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	ns.output(t, "nft", "-f", file)
}

// etc puts a file in the place of one below /etc for the commands that are started inside the namespace from now
// on, and for nobody else: ip-netns(8).
func (ns namespace) etc(t *testing.T, name, content string) {
	t.Helper()
	folder := filepath.Join("/etc/netns", string(ns))
	file := filepath.Join(folder, name)
	t.Cleanup(func() {
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
		for parent := filepath.Dir(file); len(parent) >= len(folder); parent = filepath.Dir(parent) {
			_ = os.Remove(parent) // those that are empty now
		}
	})
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
