package policytest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/candgw/candgw/policy"
)

// ErrNoTests says that no tests stand beside policies.
var ErrNoTests = errors.New("nothing to test")

// Beside returns the files of tests beside policies: all those in a folder, or the one that goes with a
// file, campus.test.hcl with campus.hcl. It is an error if there is none.
func Beside(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		test := strings.TrimSuffix(strings.TrimSuffix(path, ".json"), ".hcl") + ".test.hcl"
		if _, err := os.Stat(test); err != nil {
			return nil, fmt.Errorf("%w: %s has no tests: write %s", ErrNoTests, path, test)
		}
		return []string{test}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if policy.IsTest(e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no tests: write one in a file *.test.hcl in it", ErrNoTests, path)
	}
	return out, nil
}

// Tested returns the policies that a file of tests goes with: the file of its name, or else all of its
// folder. It is the reverse of [Beside].
func Tested(path string) (string, error) {
	base := strings.TrimSuffix(path, ".test.hcl")
	for _, name := range []string{base + ".hcl", base + ".hcl.json"} {
		if _, err := os.Stat(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return name, err
		}
	}
	return filepath.Dir(path), nil
}
