//go:build linux

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The addresses in docs/dns.md.
const (
	docsCandgw1, docsCandgw2 = "10.20.0.5", "10.20.0.6"
	// On host A, where the resolvers run, and a server for the zone above.
	docsResolver, docsParent = "10.20.0.53", "10.20.0.54"
)

// docsBlock returns the block of docs/dns.md whose first line is a comment with that text.
func docsBlock(t *testing.T, title string) string {
	t.Helper()
	return docsBlockOf(t, "dns.md", title)
}

// docsBlockOf does the same for another page.
func docsBlockOf(t *testing.T, name, title string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(page), "\n```") {
		_, block, _ := strings.Cut(part, "\n")
		first, _, _ := strings.Cut(block, "\n")
		if i%2 == 1 && strings.TrimLeft(first, "#/; ") == strings.TrimLeft(title, "#/; ") {
			return block + "\n"
		}
	}
	t.Fatalf("docs/%s has no block %q", name, title)
	return ""
}

// TestDocumentedDNS has names of all forms resolved through real resolvers that are configured as
// docs/dns.md says.
func TestDocumentedDNS(t *testing.T) {
	require(t, "dig", "unbound", "named", "named-checkconf", "named-checkzone", "dbus-daemon", "unshare", "hostname")
	n := newNetwork(t)
	for _, address := range []string{docsCandgw1, docsCandgw2} {
		n.router.ip(t, "addr", "add", address+"/24", "dev", "subnet1")
	}
	for _, address := range []string{docsResolver, docsParent} {
		n.a.ip(t, "addr", "add", address+"/24", "dev", "eth0")
	}
	folder := t.TempDir()
	roots := writeCertificate(t, folder, "candgw1.corp.example", "candgw2.corp.example")
	// Both addresses are those of one candgw, so that there is one for each name server.
	config := writeFile(t, folder, "candgw.hcl", replaced(t, docsBlock(t, "/etc/candgw/candgw.hcl, on candgw1"), docsCandgw1+":", ":"))
	policies := writeFile(t, folder, "policies.hcl", docsPolicies)

	g := &gateway{namespace: n.router, program: build(t), dataDir: t.TempDir(), api: "http://127.0.0.1:8480", http: n.router.client()}
	g.output(t, g.program, "keys", "init", "--data-dir", g.dataDir)
	for _, suite := range []string{"aes-gcm", "aes-cbc-hmac"} {
		g.output(t, g.program, "keys", "generate", "--suite", suite, "--state", "active", "--data-dir", g.dataDir)
	}
	g.serve(t, "--config", config, "--policy", policies)

	zones := docsNames(t, g, n)
	unbound := copyOf(t, "unbound")
	named := copyOf(t, "named")
	coredns := filepath.Join(t.TempDir(), "coredns")
	buildCoreDNS(t, coredns)

	overTLS := docsBlock(t, "/etc/unbound/unbound.conf.d/candgw.conf, over TLS")
	stub := docsBlock(t, "/etc/unbound/unbound.conf.d/candgw.conf")
	for _, tt := range []struct {
		name  string
		zones []string
		start func(t *testing.T, folder string)
	}{
		{"Unbound", []string{"ice.corp.example", "local"}, func(t *testing.T, folder string) {
			n.startUnbound(t, unbound, folder, stub)
		}},
		{"Unbound with strict minimisation", []string{"ice.corp.example", "local"}, func(t *testing.T, folder string) {
			n.startUnbound(t, unbound, folder, stub+"server:\n    qname-minimisation-strict: yes\n")
		}},
		{"Unbound over TLS", []string{"ice.corp.example"}, func(t *testing.T, folder string) {
			n.startUnbound(t, unbound, folder, replaced(t, overTLS, "/etc/ssl/certs/ca-certificates.crt", roots))
		}},
		{"Unbound with a delegation", []string{"ice.corp.example"}, func(t *testing.T, folder string) {
			n.startParent(t, named, folder)
			n.startUnbound(t, unbound, folder, "server:\n    domain-insecure: \"corp.example\"\nstub-zone:\n    name: \"corp.example\"\n    stub-addr: "+docsParent+"\n")
		}},
		{"BIND", []string{"ice.corp.example", "local"}, func(t *testing.T, folder string) {
			n.startBIND(t, named, folder, docsResolver, recursion+docsBlock(t, "/etc/bind/named.conf.options, in the block options"), docsBlock(t, "/etc/bind/named.conf.local"))
		}},
		{"BIND with a delegation", []string{"ice.corp.example"}, func(t *testing.T, folder string) {
			n.startParent(t, named, folder)
			n.startBIND(t, named, folder, docsResolver, recursion+`validate-except { "corp.example"; };`, "zone \"corp.example\" { type static-stub; server-addresses { "+docsParent+"; }; };\n")
		}},
		{"CoreDNS", []string{"ice.corp.example", "local"}, func(t *testing.T, folder string) {
			start(t, n.a.command(coredns, "-conf", writeFile(t, folder, "Corefile", docsBlock(t, "Corefile"))))
		}},
		{"CoreDNS over TLS", []string{"ice.corp.example"}, func(t *testing.T, folder string) {
			corefile := replaced(t, docsBlock(t, "Corefile, over TLS"), "tls_servername", "tls "+roots+"\n        tls_servername")
			start(t, n.a.command(coredns, "-conf", writeFile(t, folder, "Corefile", corefile)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.start(t, t.TempDir())
			for _, zone := range tt.zones {
				for _, ask := range zones[zone] {
					n.checkLookup(t, ask)
				}
			}
		})
	}

	t.Run("systemd-resolved on the client", func(t *testing.T) {
		r := startResolved(t, n.b.namespace, "eth0", "candgw-e2e-client")
		for line := range strings.Lines(docsBlock(t, "resolvectl dns eth1 10.20.0.5 10.20.0.6")) {
			words := strings.Fields(strings.NewReplacer("eth1", "eth0", "'", "").Replace(line))
			if len(words) == 0 {
				continue
			}
			if output, err := r.resolvectl(t, words[1:]...); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, output)
			}
		}
		for _, ask := range zones["ice.corp.example"] {
			output, err := r.resolvectl(t, "--cache=no", "query", "--type="+ask.kind, ask.name)
			if found := strings.Contains(output, ask.name+" IN "+ask.kind+" "+ask.answer); found != (ask.answer != "") || found != (err == nil) {
				t.Errorf("%s %s: want %q, got %v\n%s", ask.name, ask.kind, ask.answer, err, output)
			}
		}
	})

	// The lines about DNSSEC are needed: a resolver that validates, and cannot have the proof that there is
	// none, gives no answer.
	t.Run("Unbound that takes the zone for signed", func(t *testing.T) {
		n.startUnbound(t, unbound, t.TempDir(), replaced(t, stub, `domain-insecure: "ice.corp.example"`, ""))
		ask := zones["ice.corp.example"][0]
		n.checkLookup(t, zones["local"][0])
		ask.status, ask.answer = "SERVFAIL", ""
		n.checkLookup(t, ask)
	})
}

// docsPolicies give the names of a client the form that its network stands for.
const docsPolicies = `
policy "two labels" {
  clients = ["10.1.0.0/16"]
  candidate "host" {}
  name {
    suite  = "aes-gcm"
    suffix = "ice.corp.example"
  }
}
policy "three labels" {
  clients = ["10.2.0.0/16"]
  candidate "host" {}
  name {
    suite  = "aes-cbc-hmac"
    suffix = "ice.corp.example"
  }
}
policy "one label" {
  clients = ["10.3.0.0/16"]
  candidate "host" {}
  name {
    suffix = "ice.corp.example"
  }
}
policy "local" {
  candidate "host" {}
  resolve {
    clients = ["10.20.0.0/24", "10.77.2.0/24"] # the resolvers, and the client that asks by itself
  }
}
`

// A lookup is a question, and what is to come of it.
type lookup struct {
	name, kind, status string
	answer             string // the record's data, "" for none
}

// docsNames returns lookups by zone. Those of the longest names come first, as resolvers ask for their last
// labels first and nothing is in their caches then.
func docsNames(t *testing.T, g *gateway, n *network) map[string][]lookup {
	t.Helper()
	name := func(client, address string) string {
		// Another password each time, as a suite of the draft encrypts one address of each.
		sdp := strings.Replace(fmt.Sprintf(sampleOffer, address), "sample-password-of-a-session", rand.Text(), 1)
		encrypted, ok := g.encrypt(t, netip.MustParseAddr(client), "application/sdp", sdp)
		found := names(candidateLines(encrypted))
		if !ok || len(found) != 1 {
			t.Fatalf("the sample offer has the names %q", found)
		}
		return found[0]
	}
	const foreign = "8c9bd03b-b7a5-4a76-a803-eebc688f0388."
	three, two := name("10.2.0.1", "10.77.1.2"), name("10.1.0.1", "2001:db8:77:1::2")
	if strings.Count(three, ".") != 5 || strings.Count(two, ".") != 4 {
		t.Fatalf("names of the draft's suites: %s, %s", three, two)
	}
	ice, local := name("10.3.0.1", "10.77.1.2"), name("10.9.0.1", "10.77.1.2")
	return map[string][]lookup{
		"ice.corp.example": {
			{three, "A", "NOERROR", "10.77.1.2"},
			{two, "AAAA", "NOERROR", "2001:db8:77:1::2"},
			{ice, "A", "NOERROR", "10.77.1.2"},
			{ice, "AAAA", "NOERROR", ""},
			{name("10.3.0.1", "fd77:0:0:1::2"), "AAAA", "NOERROR", "fd77:0:0:1::2"},
			{foreign + "ice.corp.example", "A", "NXDOMAIN", ""},
			{"ice.corp.example", "A", "NOERROR", ""},
		},
		"local": {
			{local, "A", "NOERROR", "10.77.1.2"},
			{local, "AAAA", "NOERROR", ""},
			{name("10.9.0.1", "fd77:0:0:1::2"), "AAAA", "NOERROR", "fd77:0:0:1::2"},
			{foreign + "local", "A", "NXDOMAIN", ""},
		},
	}
}

// checkLookup asks the resolver on host A from host B. It waits for the resolver to come up.
func (n *network) checkLookup(t *testing.T, ask lookup) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		cmd := n.b.command("dig", "+tries=1", "+time=5", "@"+docsResolver, ask.name, ask.kind)
		output, err := cmd.CombinedOutput()
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		answer := ""
		for line := range strings.Lines(string(output)) {
			if fields := strings.Fields(line); len(fields) == 5 && fields[0] == ask.name+"." && fields[3] == ask.kind {
				answer += fields[4]
			}
		}
		if err != nil || !strings.Contains(string(output), "status: "+ask.status+",") || answer != ask.answer {
			t.Fatalf("%s %s: want %s %q\n%s", ask.name, ask.kind, ask.status, ask.answer, output)
		}
		return
	}
}

// startUnbound runs Unbound on host A. It has the key of the root, which it cannot reach, so that it takes
// every zone for signed that it is not told of.
func (n *network) startUnbound(t *testing.T, program, folder, snippet string) {
	t.Helper()
	config := writeFile(t, folder, "unbound.conf", fmt.Sprintf(`
server:
    directory: %q
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: %s
    access-control: 10.0.0.0/8 allow
    num-threads: 1
    trust-anchor: ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
remote-control:
    control-enable: no
stub-zone:
    name: "."
    stub-addr: 127.0.0.1 # which Unbound does not ask
include: %q
`, folder, docsResolver, writeFile(t, folder, "candgw.conf", snippet)))
	start(t, n.a.command(program, "-d", "-c", config))
}

const recursion = "allow-recursion { any; };\n"

// startBIND runs BIND on host A. It knows the keys of the root and cannot reach it.
func (n *network) startBIND(t *testing.T, program, folder, address, options, zones string) {
	t.Helper()
	folder, err := os.MkdirTemp(folder, "bind")
	if err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, folder, "named.conf", fmt.Sprintf(`
options {
    directory %q;
    pid-file none;
    session-keyfile none;
    listen-on { %s; };
    listen-on-v6 { none; };
    allow-query { any; };
    %s
};
controls { };
%s
`, folder, address, options, zones))
	if output, err := exec.Command("named-checkconf", config).CombinedOutput(); err != nil || len(bytes.TrimSpace(output)) > 0 {
		t.Fatalf("named-checkconf: %v\n%s", err, output)
	}
	start(t, n.a.command(program, "-g", "-n", "1", "-c", config))
}

// startParent runs a server on host A with the zone above, as docs/dns.md delegates from it.
func (n *network) startParent(t *testing.T, program, folder string) {
	t.Helper()
	zone := writeFile(t, folder, "db.corp.example", "$TTL 3600\n@ IN SOA ns hostmaster 1 3600 600 604800 3600\n@ IN NS ns\nns IN A "+docsParent+"\n"+
		docsBlock(t, "in the zone corp.example"))
	if output, err := exec.Command("named-checkzone", "corp.example", zone).CombinedOutput(); err != nil {
		t.Fatalf("named-checkzone: %v\n%s", err, output)
	}
	n.startBIND(t, program, folder, docsParent, "recursion no;", fmt.Sprintf("zone \"corp.example\" { type primary; file %q; };\n", zone))
}

// copyOf returns a copy of a program. Debian's AppArmor profiles go by the path, and keep the original from
// reading a temporary folder.
func copyOf(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), program)
	if err := os.WriteFile(out, content, 0o700); err != nil {
		t.Fatal(err)
	}
	return out
}

func buildCoreDNS(t *testing.T, program string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = "testdata/coredns"
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
}

// writeCertificate makes a certificate for hosts, tls.crt and tls.key, which is its own root, and returns the
// path of the former.
func writeCertificate(t *testing.T, folder string, hosts ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: hosts, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, folder, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return writeFile(t, folder, "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
}

func writeFile(t *testing.T, folder, name, content string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// replaced returns a text with something else in it, which must be there.
func replaced(t *testing.T, text, former, now string) string {
	t.Helper()
	if !strings.Contains(text, former) {
		t.Fatalf("no %q in\n%s", former, text)
	}
	return strings.ReplaceAll(text, former, now)
}
