//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build puts every program that is not a package of the system into the folder, under its name.
func (b *bench) build() error {
	root, err := output(b.ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/candgw/candgw")
	if err != nil {
		return err
	}
	here := filepath.Join(root, "bench")
	commands := [][]string{
		{here, filepath.Join(here, "setup.sh")},
		{here, "gcc", "-O2", "-Wall", "-o", b.path("load"), "load.c"},
		{here, "gcc", "-O2", "-Wall", "-o", b.path("floor"), "floor.c"},
		{filepath.Join(here, "peers"), "go", "build", "-buildvcs=false", "-o", b.folder, "./coredns", "./miekg"},
	}
	if len(b.programs) == 0 {
		b.programs = programs{{"candgw", b.path("candgw")}}
		commands = append(commands, []string{root, "go", "build", "-buildvcs=auto", "-o", b.path("candgw"), "./cmd/candgw"})
	}
	for _, c := range commands {
		if _, err := output(b.ctx, c[0], c[1:]...); err != nil {
			return err
		}
	}
	// Debian's AppArmor profile keeps the program from reading a temporary folder; it goes by the path.
	unbound, err := exec.LookPath("unbound")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(unbound)
	if err != nil {
		return err
	}
	return os.WriteFile(b.path("unbound"), program, 0o700)
}

// output runs a command in a folder and returns what it prints.
func output(ctx context.Context, folder string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var errors bytes.Buffer
	cmd.Dir, cmd.Stderr = folder, &errors
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), err, out, errors.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// programs are builds of candgw, each with the name that it has in the tables.
type programs []struct{ name, path string }

func (p *programs) String() string { return "" }

// Set reads PATH, or NAME=PATH of each build with commas between.
func (p *programs) Set(text string) error {
	for i, part := range strings.Split(text, ",") {
		name, path, named := strings.Cut(part, "=")
		if !named {
			name, path = "candgw", part
			if i > 0 {
				return fmt.Errorf("more than one build want names: a=%s", part)
			}
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		*p = append(*p, struct{ name, path string }{name, path})
	}
	return nil
}
