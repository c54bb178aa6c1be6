package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExtensionPolicies runs the commands that extension/policies/README.md has for the policies beside it.
func TestExtensionPolicies(t *testing.T) {
	const folder = "../../extension/policies"
	page, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```sh\n")
	block, _, _ = strings.Cut(strings.ReplaceAll(block, "\\\n", ""), "```")
	held := map[string]bool{}
	for line := range strings.Lines(block) {
		command, file, _ := strings.Cut(strings.TrimSpace(line), " > ")
		want, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(command, "'", ""))[1:]
		if status := run(args, nil, &stdout, &stderr); status != 0 {
			t.Fatalf("%s: status %d: %s", command, status, &stderr)
		}
		if stdout.String() != string(want) {
			t.Errorf("%s\nprints\n%s\nbut %s is\n%s", command, &stdout, file, want)
		}
		held[file] = true
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) != len(held) {
		t.Errorf("README.md has commands for %d of the policies %q (%v)", len(held), files, err)
	}
}

// TestExtensionAgrees holds what the command refuses to what the extension itself would refuse.
func TestExtensionAgrees(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node")
	}
	gateways := []string{
		"https://candgw.corp.example", "https://candgw.corp.example/", "https://candgw.corp.example:8443", "https://10.0.0.1:443", "https://[fd00::1]:8443", "https://10.0.0.256",
		"http://candgw.corp.example", "https://candgw.corp.example/v1", "https://candgw.corp.example?", "https://candgw.corp.example#a", "HTTPS://candgw.corp.example",
		"https://me@candgw.corp.example", "https://candgw.corp.example:", "https://candgw.corp.example:0", "https://candgw.corp.example:65536",
		"https://", "https:candgw", "candgw.corp.example", "", " https://a", "https://a ", "https://a\n", "https://a//", "https://a\\b", "https://[fd00", "wss://a",
	}
	patterns := []string{
		"*://*/*", "https://*/*", "http://localhost/*", "https://*.example.com/*", "https://meet.example.com/*", "*://10.0.0.1/*",
		"https://meet.example.com", "https://meet.example.com/", "https://meet.example.com/call/*", "https://meet.example.com:444/*", "https://*example.com/*",
		"https://meet.*/*", "https://*.*.com/*", "<all_urls>", "*", "ftp://a/*", "file:///*", "https:///*", "", "https://a/*\n", "https://a b/*", "https://a@b/*",
	}
	policies := make([]extensionSettings, 0, len(gateways)+2*len(patterns))
	for _, gateway := range gateways {
		policies = append(policies, extensionSettings{Gateways: []string{gateway}})
	}
	for _, pattern := range patterns {
		policies = append(policies, extensionSettings{Gateways: gateways[:1], Sites: []string{pattern}},
			extensionSettings{Gateways: gateways[:1], ExcludedSites: []string{pattern}})
	}
	policies = append(policies, extensionSettings{Gateways: gateways[:4]}, extensionSettings{Gateways: make([]string, mostGateways+1)})
	for i := range policies[len(policies)-1].Gateways {
		policies[len(policies)-1].Gateways[i] = "https://" + string(rune('a'+i))
	}

	input, err := json.Marshal(policies)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "--input-type=module", "--eval", `
		import { readFileSync } from "node:fs";
		const { configurationOf } = await import("data:text/javascript," + encodeURIComponent(readFileSync("../../extension/configuration.js", "utf8")));
		const problem = (policy) => { try { configurationOf(policy); return "" } catch (error) { return error.message } };
		console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(problem)));`)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	if err := json.Unmarshal(output, &problems); err != nil || len(problems) != len(policies) {
		t.Fatalf("%d answers for %d policies: %v", len(problems), len(policies), err)
	}
	for i, policy := range policies {
		if err := policy.check(); (err == nil) != (problems[i] == "") {
			t.Errorf("%+v: the command says %v, and the extension %q", policy, err, problems[i])
		}
	}
}
