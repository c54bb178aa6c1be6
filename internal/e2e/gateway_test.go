//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gateway is a running `candgw serve` with no configuration but a data folder of its own.
type gateway struct {
	namespace
	program string
	dataDir string
	api     string // its URL
	http    *http.Client
}

// startGateway builds candgw and runs it inside the namespace until the test ends, with further
// arguments if any are given. It returns once the gateway is ready.
func startGateway(t *testing.T, ns namespace, arguments ...string) *gateway {
	t.Helper()
	g := &gateway{namespace: ns, program: build(t), dataDir: t.TempDir(), api: "http://127.0.0.1:8480", http: ns.client()}
	g.serve(t, arguments...)
	return g
}

// startAnother runs a second one beside g that shares its data folder, with its API and DNS at other ports.
func (g *gateway) startAnother(t *testing.T, arguments ...string) *gateway {
	t.Helper()
	second := *g
	second.api = "http://127.0.0.1:8481"
	second.serve(t, append([]string{"--api", "127.0.0.1:8481"}, arguments...)...)
	return &second
}

func (g *gateway) serve(t *testing.T, arguments ...string) {
	t.Helper()
	arguments = append([]string{"serve", "--data-dir", g.dataDir}, arguments...)
	ended := start(t, g.command(g.program, arguments...))

	deadline := time.After(patience)
	for {
		response, err := g.http.Get(g.api + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("status %s", response.Status)
		}
		select {
		case <-ended:
			t.Fatal("candgw serve ended before it was ready")
		case <-deadline:
			t.Fatalf("candgw serve is not ready: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// build builds candgw from this module and returns the path of the program.
func build(t *testing.T) string {
	t.Helper()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	program := filepath.Join(t.TempDir(), "candgw")
	cmd := exec.Command("go", "build", "-o", program, "./cmd/candgw")
	cmd.Dir = strings.TrimSpace(string(module))
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, output)
	}
	return program
}

// sampleOffer is an offer of one host candidate: the address goes where %s is.
const sampleOffer = "v=0\r\n" +
	"o=- 1 1 IN IP4 127.0.0.1\r\n" +
	"s=-\r\n" +
	"t=0 0\r\n" +
	"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" +
	"c=IN IP4 0.0.0.0\r\n" +
	"a=ice-ufrag:abcd\r\n" +
	"a=ice-pwd:sample-password-of-a-session\r\n" +
	"a=candidate:1 1 udp 2122129151 %s 41749 typ host\r\n"

// newName returns an encrypted name of an address of the client, another one each time.
func (g *gateway) newName(t *testing.T, client host, address netip.Addr) string {
	t.Helper()
	encrypted := g.encryptDescription(t, client, fmt.Sprintf(sampleOffer, address))
	found := names(candidateLines(encrypted))
	if len(found) != 1 || !strings.HasSuffix(found[0], ".local") {
		t.Fatalf("the sample offer of %s has the names %q, want one in .local", address, found)
	}
	return found[0]
}

// encryptDescription returns the description with the names of the client's candidates encrypted.
func (g *gateway) encryptDescription(t *testing.T, client host, sdp string) string {
	t.Helper()
	encrypted, ok := g.encrypt(t, client.v4, "application/sdp", sdp)
	if !ok {
		t.Fatal("gateway left nothing of a description")
	}
	return encrypted
}

// encryptCandidate does the same for one RTCIceCandidateInit. It returns false if the candidate is
// not to be passed on.
func (g *gateway) encryptCandidate(t *testing.T, client host, candidate string) (string, bool) {
	t.Helper()
	return g.encrypt(t, client.v4, "application/json", candidate)
}

func (g *gateway) encrypt(t *testing.T, client netip.Addr, kind, body string) (encrypted string, ok bool) {
	t.Helper()
	query := url.Values{"client": {client.String()}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		g.api+"/v1/encrypt?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	response, err := g.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading the encrypted %s: %v", kind, err)
	}
	switch response.StatusCode {
	case http.StatusOK:
		return string(content), true
	case http.StatusNoContent:
		return "", false
	}
	t.Fatalf("encrypting\n%s\nstatus %s:\n%s", body, response.Status, content)
	return "", false
}

// generateActiveKey gives the ring a new active key by way of the ring's file, past the daemon.
func (g *gateway) generateActiveKey(t *testing.T) {
	t.Helper()
	cmd := g.command(g.program, "keys", "generate", "--state", "active", "--data-dir", g.dataDir)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("candgw keys generate: %v\n%s", err, output)
	}
}
