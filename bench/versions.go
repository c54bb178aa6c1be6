//go:build linux

package main

import (
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"regexp"
)

var versionNumber = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+`)

// says returns the first version that a command prints.
func says(command ...string) func(*bench) (string, error) {
	return func(b *bench) (string, error) {
		out, err := exec.CommandContext(b.ctx, command[0], command[1:]...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
		return string(versionNumber.Find(out)), nil
	}
}

// builtWith returns the version of a module that a program of the benchmark is built with.
func builtWith(program, module string) func(*bench) (string, error) {
	return func(b *bench) (string, error) {
		info, err := buildinfo.ReadFile(b.path(program))
		if err != nil {
			return "", err
		}
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Version, nil
			}
		}
		return "", fmt.Errorf("%s is built without %s", program, module)
	}
}

// commit returns which commit a program was built from, "" if it does not tell.
func commit(program string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	var revision, modified string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	return revision + modified, nil
}
