//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// TestDNSFromHosts asks candgw by DNS, with dig, from hosts near and far.
func TestDNSFromHosts(t *testing.T) {
	require(t, "dig")
	n := newNetwork(t)
	// Of the addresses outside private networks, one is on a link of the router and one is behind B.
	n.router.ip(t, "addr", "add", "198.51.100.1/24", "dev", "subnet1")
	n.a.ip(t, "addr", "add", "198.51.100.2/24", "dev", "eth0")
	n.b.ip(t, "addr", "add", "203.0.113.2/32", "dev", "eth0")
	n.router.ip(t, "route", "add", "203.0.113.2", "via", "10.77.2.2")

	g := startGateway(t, n.router, "--dns", "10.77.1.1:5300", "--zone", "local,ice.corp.example")
	v4, v6 := g.newName(t, n.a, n.a.v4), g.newName(t, n.a, n.a.v6)
	inZone := strings.TrimSuffix(v4, ".local") + ".ice.corp.example"
	const foreign = "8c9bd03b-b7a5-4a76-a803-eebc688f0388.local"
	none := []string{"ANSWER: 0, AUTHORITY: 0,"}
	address4, address6 := []string{"ANSWER: 1,", v4 + ". 120 IN A 10.77.1.2\n"}, []string{"ANSWER: 1,", v6 + ". 120 IN AAAA fd77:0:0:1::2\n"}

	for _, tt := range []struct {
		title  string
		from   namespace
		args   string
		status string
		want   []string
	}{
		{"A", n.a.namespace, v4 + " A", "NOERROR", address4},
		{"AAAA", n.a.namespace, v6 + " AAAA", "NOERROR", address6},
		{"A over TCP", n.a.namespace, "+tcp " + v4 + " A", "NOERROR", address4},
		{"AAAA over TCP", n.a.namespace, "+tcp " + v6 + " AAAA", "NOERROR", address6},
		{"without EDNS", n.a.namespace, "+noedns " + v4 + " A", "NOERROR", address4},
		{"through the router", n.b.namespace, v4 + " A", "NOERROR", address4},
		{"other family", n.a.namespace, v4 + " AAAA", "NOERROR", none},
		{"other type", n.a.namespace, v4 + " TXT", "NOERROR", none},
		{"own zone", n.a.namespace, inZone + " A", "NOERROR", []string{"ANSWER: 1,", inZone + ". 120 IN A 10.77.1.2\n"}},
		{"name that does not open", n.a.namespace, foreign + " A", "NXDOMAIN", none},
		{"name of another form", n.a.namespace, "printer.local A", "NXDOMAIN", none},
		{"name that does not open, over TCP", n.a.namespace, "+tcp " + foreign + " A", "NXDOMAIN", none},
		// With an SOA here, nss-mdns would give up Multicast DNS altogether.
		{"SOA", n.a.namespace, "local SOA", "NOERROR", none},
		{"SOA below", n.a.namespace, v4 + " SOA", "NOERROR", none},
		{"others' name", n.a.namespace, "example.com A", "REFUSED", none},
		{"root", n.a.namespace, ". NS", "REFUSED", none},
		{"public address on a link", n.a.namespace, "-b 198.51.100.2 " + v4 + " A", "NOERROR", address4},
		{"public address elsewhere", n.b.namespace, "-b 203.0.113.2 " + v4 + " A", "REFUSED", none},
		{"public address elsewhere, over TCP", n.b.namespace, "-b 203.0.113.2 +tcp " + v4 + " A", "REFUSED", none},
		{"public address elsewhere, bad name", n.b.namespace, "-b 203.0.113.2 " + foreign + " A", "REFUSED", none},
	} {
		t.Run(tt.title, func(t *testing.T) {
			output := tt.from.dig(t, append([]string{"-p", "5300", "@10.77.1.1"}, strings.Fields(tt.args)...)...)
			for _, want := range append([]string{"status: " + tt.status + ","}, tt.want...) {
				if !strings.Contains(output, want) {
					t.Errorf("dig wrote no %q:\n%s", want, output)
				}
			}
		})
	}
}

// dig runs dig inside the namespace and returns what it wrote, with single spaces between the fields
// of a record.
func (ns namespace) dig(t *testing.T, args ...string) string {
	t.Helper()
	output := ns.output(t, "dig", append([]string{"+tries=1", "+time=5"}, args...)...)
	var lines strings.Builder
	for line := range strings.Lines(output) {
		lines.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return lines.String()
}
