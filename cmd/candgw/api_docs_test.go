package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAPIDocumentation runs every command in docs/api.md as it is written, against a server with the configuration that
// stands before it, if one does. Paths are moved into a folder of the test, and addresses to one of loopback.
func TestAPIDocumentation(t *testing.T) {
	for _, program := range []string{"curl", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CANDGW_E2E") == "1" {
				t.Fatal(err)
			}
			t.Skipf("%v; 'make setup' installs it", err)
		}
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for section := range strings.SplitSeq(string(page), "\n##") {
		_, commands, ok := strings.Cut(section, "```sh\n")
		if !ok {
			continue
		}
		title, _, _ := strings.Cut(strings.TrimLeft(section, "# "), "\n")
		commands, _, _ = strings.Cut(commands, "```")
		_, block, _ := strings.Cut(section, "```hcl\n")
		block, _, _ = strings.Cut(block, "```")
		t.Run(title, func(t *testing.T) { runDocumented(t, block, commands) })
		ran++
	}
	if ran != 4 {
		t.Errorf("%d sections with commands, want 4", ran)
	}
}

func runDocumented(t *testing.T, block, commands string) {
	dir, address := t.TempDir(), freeAddr(t)
	moved := strings.NewReplacer("/etc/candgw/", dir+"/", "/run/candgw/", dir+"/", "10.20.0.5:8480", address, "127.0.0.1:8480", address)
	if block == "" {
		block = "api {\n  listen = \"127.0.0.1:8480\"\n}\n"
	}
	config := "data_dir = \"data\"\ndns {\n  listen = \"127.0.0.1:0\"\n}\nmdns {\n  enabled = false\n}\n" + moved.Replace(block)
	for name, text := range map[string]string{
		"candgw.hcl": config, "token": "0123456789abcdef", "offer.sdp": endOffer,
		".curlrc": "fail\nmax-time = 30\nconnect-to = \"::" + address + "\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca, caKey := writeCertificate(t, dir, "ca", nil, nil)
	writeCertificate(t, dir, "api", ca, caKey)
	callers, callersKey := writeCertificate(t, dir, "callers", nil, nil)
	writeCertificate(t, dir, "caller", callers, callersKey)

	(&endTest{config: filepath.Join(dir, "candgw.hcl")}).start(t)
	sh := exec.Command("sh", "-ec", moved.Replace(commands))
	sh.Dir, sh.Env = dir, append(os.Environ(), "HOME="+dir, "CURL_HOME="+dir)
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.Contains(commands, "/v1/resolve") {
		if !strings.Contains(string(out), `"address":"10.20.3.4","ttl":120`) {
			t.Errorf("printed %s", out)
		}
	} else if !strings.Contains(string(out), ".local ") || strings.Contains(string(out), "10.20.3.4") {
		t.Errorf("printed %s", out)
	}
	if !strings.Contains(commands, "token") && !strings.Contains(commands, "--cert ") {
		return
	}
	// Without what authenticates, the same is refused.
	stranger := strings.NewReplacer("Authorization", "X", "--cert /etc/candgw/caller.crt --key /etc/candgw/caller.key", "").Replace(commands)
	sh = exec.Command("sh", "-ec", moved.Replace(stranger))
	sh.Dir, sh.Env = dir, append(os.Environ(), "HOME="+dir, "CURL_HOME="+dir)
	const refused = 22 // as curl has it for a status of 400 and more
	if out, _ := sh.CombinedOutput(); sh.ProcessState.ExitCode() != refused {
		t.Errorf("a stranger: exit status %d, %s", sh.ProcessState.ExitCode(), out)
	}
}

// writeCertificate writes NAME.crt and NAME.key, for candgw1.corp.example and for clients, by an authority, or of one.
func writeCertificate(t *testing.T, dir, name string, by *x509.Certificate, with *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"candgw1.corp.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if by == nil {
		template.DNSNames, template.ExtKeyUsage = nil, nil
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		by, with = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: raw}, ".key": {Type: "PRIVATE KEY", Bytes: rawKey}} {
		if err := os.WriteFile(filepath.Join(dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}
