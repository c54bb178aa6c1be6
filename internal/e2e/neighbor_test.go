//go:build linux

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNeighbors has raw addresses be encrypted for the host that has them, whichever of them it connects from, and for
// nobody else: the gateway and two hosts are on one link, and a third is on another.
func TestNeighbors(t *testing.T) {
	require(t)
	router := newNamespace(t, "router")
	router.ip(t, "link", "add", "lan", "type", "bridge")
	router.ip(t, "link", "set", "lan", "up")
	router.ip(t, "addr", "add", "10.77.1.1/24", "dev", "lan")
	router.ip(t, "addr", "add", "fd77:0:0:1::1/64", "dev", "lan", "nodad")
	onLAN := func(number int) namespace {
		ns := newNamespace(t, fmt.Sprintf("host%d", number))
		port := fmt.Sprintf("port%d", number)
		router.ip(t, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", string(ns))
		router.ip(t, "link", "set", port, "master", "lan", "up")
		ns.ip(t, "addr", "add", fmt.Sprintf("10.77.1.%d/24", number), "dev", "eth0")
		ns.ip(t, "addr", "add", fmt.Sprintf("fd77:0:0:1::%d/64", number), "dev", "eth0", "nodad")
		ns.ip(t, "link", "set", "eth0", "up")
		return ns
	}
	first, second := onLAN(5), onLAN(6)
	elsewhere := newHost(t, router, 2)
	first.ip(t, "addr", "add", "fd77::1:a1b2:c3d4:e5f6:a7b8/64", "dev", "eth0", "nodad") // as a temporary one

	g := &gateway{namespace: router, program: build(t), dataDir: t.TempDir(), api: "http://127.0.0.1:8480", http: router.client()}
	root, err := os.ReadFile(writeCertificate(t, g.dataDir, "candgw.corp.example"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(root)
	config := filepath.Join(g.dataDir, "candgw.hcl")
	if err := os.WriteFile(config, []byte(`browsers {
		listen     = ":8443"
		extensions = ["`+extensionOrigin+`"]
		tls {
			certificate_file = "tls.crt"
			key_file         = "tls.key"
		}
	}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g.serve(t, "--config", config)

	linkLocal := "[fe80::" // of the router's end, whose zone is that of the host
	for _, a := range strings.Fields(router.output(t, "ip", "-6", "-o", "addr", "show", "dev", "lan", "scope", "link")) {
		if p, err := netip.ParsePrefix(a); err == nil {
			linkLocal = "[" + p.Addr().String() + "%eth0]:8443"
		}
	}
	const over4, over6 = "10.77.1.1:8443", "[fd77:0:0:1::1]:8443"
	for _, tt := range []struct {
		name    string
		from    namespace
		to      string
		address string
		own     bool
	}{
		{"IPv6 of a host that connects over IPv4", first, over4, "fd77:0:0:1::5", true},
		{"its temporary one", first, over4, "fd77::1:a1b2:c3d4:e5f6:a7b8", true},
		{"the one it connects from", first, over4, "10.77.1.5", true},
		{"IPv4 of a host that connects over IPv6", second, over6, "10.77.1.6", true},
		{"IPv4 of one that connects over a link-local address", first, linkLocal, "10.77.1.5", true},
		{"IPv6 of another host on the link", first, over4, "fd77:0:0:1::6", false},
		{"IPv4 of another host on the link", first, over4, "10.77.1.6", false},
		{"another host asks", second, over4, "fd77:0:0:1::5", false},
		{"the gateway's own", first, over4, "fd77:0:0:1::1", false},
		{"the gateway's own on another link", first, over4, "10.77.2.1", false},
		{"one that nobody has", first, over4, "fd77:0:0:1::99", false},
		{"one of a host on another link", first, over4, elsewhere.v4.String(), false},
		{"the own one, from another link", elsewhere.namespace, "10.77.2.1:8443", "10.77.2.2", true},
		{"the other own one, from another link", elsewhere.namespace, "10.77.2.1:8443", elsewhere.v6.String(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			candidate := g.askAsExtension(t, tt.from, tt.to, trusted, tt.address)
			if !tt.own {
				if candidate != "" {
					t.Errorf("it has become %s", candidate)
				}
				return
			}
			found := names([]string{candidate})
			if len(found) != 1 {
				t.Fatalf("it has become %q", candidate)
			}
			response, err := g.http.Get(g.api + "/v1/resolve?" + url.Values{"name": found, "client": {"10.77.1.6"}}.Encode())
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var resolved struct{ Address string }
			if err := json.NewDecoder(response.Body).Decode(&resolved); err != nil || resolved.Address != tt.address {
				t.Errorf("%v; its name stands for %q", err, resolved.Address)
			}
		})
	}
}

const extensionOrigin = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"

// askAsExtension has a raw address encrypted, as the extension in a browser of a host does, and returns the candidate that
// it has become, "" if it was kept.
func (g *gateway) askAsExtension(t *testing.T, from namespace, to string, trusted *x509.CertPool, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: from.dial, TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "candgw.corp.example"}}}
	defer client.CloseIdleConnections()
	body := fmt.Sprintf(`{"origin":"https://meet.example.com","candidates":[{"candidate":"candidate:1 1 udp 2122129151 %s 41749 typ host ufrag abcd","pwd":"MpiyNBrY/PGEqhMFOPRVzGsf"}]}`, address)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, (&url.URL{Scheme: "https", Host: to, Path: "/v1/encrypt"}).String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Origin": {extensionOrigin}, "Content-Type": {"application/json"}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answered struct {
		Candidates []struct{ Candidate, Kept string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answered); err != nil || response.StatusCode != http.StatusOK || len(answered.Candidates) != 1 {
		t.Fatalf("%s, %v, %+v", response.Status, err, answered)
	}
	if a := answered.Candidates[0]; a.Candidate == "" && !strings.Contains(a.Kept, "the client's own") {
		t.Errorf("it is kept because %s", a.Kept)
	}
	return answered.Candidates[0].Candidate
}
