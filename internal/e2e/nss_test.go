//go:build linux

package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestNSS has names looked up by the functions of the C library that most programs use, through
// nss-mdns and Avahi and through DNS.
func TestNSS(t *testing.T) {
	require(t, "avahi-daemon", "dbus-daemon", "getent")
	n := newNetwork(t)
	const candgw, other = "10.77.1.1", "10.77.2.1" // DNS servers
	g := startGateway(t, n.router, "--dns", candgw+":53")
	serveSOA(t, n.router, other+":53")
	a := startAvahi(t, n.a.namespace, "candgw-e2e-nss")
	libraries := filepath.Dir(unpacked(t, "lib/*/libnss_mdns_minimal.so.2"))
	const foreign = "8c9bd03b-b7a5-4a76-a803-eebc688f0388.local"

	// Debian's is the first. Those that ask for both families, Avahi 0.8 keeps waiting for the one that a
	// name lacks, and of a name that it is asked for it reads 63 characters, too few for one of IPv6.
	const debian, minimal = "files mdns4_minimal [NOTFOUND=return] dns", "files mdns_minimal"
	for _, tt := range []struct {
		title    string
		sources  string // of host names, for /etc/nsswitch.conf
		server   string
		database string
		name     string
		want     string // empty if there is to be none
	}{
		{"getent hosts", debian, candgw, "hosts", g.newName(t, n.a, n.a.v4), "10.77.1.2"},
		{"getent ahosts", debian, candgw, "ahosts", g.newName(t, n.a, n.a.v4), "10.77.1.2"},
		{"mdns_minimal", minimal, candgw, "ahostsv4", g.newName(t, n.a, n.a.v4), "10.77.1.2"},
		{"Avahi's own", minimal, candgw, "ahostsv4", a.hostName, "10.77.1.2"},
		{"Avahi's own, IPv6", minimal, candgw, "ahostsv6", a.hostName, "fd77:0:0:1::2"},
		{"DNS", "dns", candgw, "hosts", g.newName(t, n.a, n.a.v4), "10.77.1.2"},
		{"DNS, IPv6", "dns", candgw, "hosts", g.newName(t, n.a, n.a.v6), "fd77:0:0:1::2"},
		{"DNS, both families", "dns", candgw, "ahosts", g.newName(t, n.a, n.a.v6), "fd77:0:0:1::2"},
		{"DNS, name that does not open", "dns", candgw, "hosts", foreign, ""},
		// What candgw spares nss-mdns: an SOA for `local` makes it give up.
		{"DNS server with an SOA", minimal, other, "ahostsv4", g.newName(t, n.a, n.a.v4), ""},
	} {
		t.Run(tt.title, func(t *testing.T) {
			host := libc{namespace: a.namespace, run: a.run, sources: tt.sources, server: tt.server, libraries: libraries}
			host.checkGetent(t, tt.database, tt.name, tt.want)
		})
	}
}

// libc is a host as the C library sees it.
type libc struct {
	namespace
	run       string // the folder that it has as /run
	sources   string // of host names
	server    string // of DNS
	libraries string // where others may be than the system's
}

// checkGetent looks up a name. It is not to be found if the address is empty.
func (l libc) checkGetent(t *testing.T, database, name, want string) {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"nsswitch.conf": "hosts: " + l.sources + "\n",
		"resolv.conf":   "nameserver " + l.server + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// This shell alone sees the mounts, as when the daemon was started. The files may be links into /run.
	cmd := l.command("sh", "-ec", `
		mount --bind "$1" /run
		for file in nsswitch.conf resolv.conf; do
			target=$(readlink -m "/etc/$file")
			[ -e "$target" ] || install -D /dev/null "$target"
			mount --bind "$0/$file" "$target"
		done
		LD_LIBRARY_PATH=$2 exec getent "$3" "$4"`, dir, l.run, l.libraries, database, name)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 2 || len(output) > 0) {
		t.Fatalf("%s: %v\n%s", cmd, err, output) // 2 is getent's status for a name that is not found
	}
	if got, _, _ := strings.Cut(string(output), " "); got != want {
		t.Errorf("getent %s %s in %s wrote %q, want %q", database, name, l.namespace, output, want)
	}
}

// serveSOA serves DNS that has an SOA for everything, as of a company that took `local` for its own zone.
func serveSOA(t *testing.T, ns namespace, address string) {
	t.Helper()
	var conn net.PacketConn
	err := ns.within(func() (err error) {
		conn, err = net.ListenPacket("udp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		answer := new(dns.Msg).SetReply(r)
		if r.Question[0].Qtype == dns.TypeSOA {
			answer.Answer = []dns.RR{&dns.SOA{
				Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
				Ns:  "ns.local.", Mbox: "postmaster.local.", Serial: 1,
			}}
		}
		_ = w.WriteMsg(answer)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
}
