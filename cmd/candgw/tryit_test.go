package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The commands that serve prints for a newcomer are run as they are printed.
func TestPrintedCommands(t *testing.T) {
	for _, program := range []string{"curl", "dig", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CANDGW_E2E") == "1" {
				t.Fatal(err)
			}
			t.Skipf("%v; 'make setup' installs it", err)
		}
	}
	dir := t.TempDir()
	serve := exec.Command(os.Args[0], "serve", "--data-dir", filepath.Join(dir, "data"),
		"--api", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--mdns-interface", "none")
	serve.Args[0] = "candgw" // by which name the test binary is the command
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		serve.Process.Kill()
		serve.Wait()
	}()
	// After "Try it" each line of prose begins a command, which is indented; the second has one line.
	var commands []string
	lines := bufio.NewScanner(stdout)
	for tryIt := false; len(commands) < 2 || commands[1] == ""; {
		if !lines.Scan() {
			t.Fatalf("the output ends after the commands %q", commands)
		}
		line := lines.Text()
		tryIt = tryIt || strings.HasPrefix(line, "Try it")
		switch command, ok := strings.CutPrefix(line, "  "); {
		case !tryIt || line == "":
		case !ok:
			commands = append(commands, "")
		default:
			commands[len(commands)-1] += command + "\n"
		}
	}
	if len(commands) != 2 {
		t.Fatalf("got the commands %q", commands)
	}
	for i, want := range []string{"a=candidate:", "10.77.1.2\n"} {
		sh := exec.Command("sh", "-ec", commands[i])
		sh.Dir = dir
		out, err := sh.Output()
		if err != nil || !strings.Contains(string(out), want) || i == 0 && strings.Contains(string(out), "10.77.1.2") {
			t.Errorf("%s\nprinted %q, %v", commands[i], out, err)
		}
	}
}
