package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/candgw/candgw/internal/policytest"
	"github.com/candgw/candgw/policy"
)

// policyTest runs the tests that stand beside policies.
func (a *app) policyTest(args []string) error {
	fs := a.flags("policy test")
	verbose := fs.Bool("v", false, "")
	loader, paths, err := a.policyPaths(fs, args)
	if err != nil {
		return err
	}
	var failed []error
	tested := map[string]bool{}
	for _, path := range paths {
		if policy.IsTest(path) { // as *.hcl has it on a command line
			if path, err = policytest.Tested(path); err != nil {
				failed = append(failed, err)
				continue
			}
		}
		if path = filepath.Clean(path); !tested[path] {
			tested[path] = true
			failed = append(failed, a.testPath(loader, path, *verbose))
		}
	}
	return worst(failed)
}

func (a *app) testPath(loader *policy.Loader, path string, verbose bool) error {
	began := time.Now()
	set, err := loader.LoadPath(path)
	if err != nil {
		return err
	}
	tests, err := policytest.Beside(path)
	if err != nil {
		return err
	}
	total, failed := 0, 0
	for _, test := range tests {
		cases, err := policytest.Load(test)
		if err != nil {
			return err
		}
		for _, c := range cases {
			failures, err := c.Run(set)
			if err != nil {
				failures = []string{err.Error()}
			}
			total++
			switch {
			case len(failures) > 0:
				failed++
				fmt.Fprintf(a.stdout, "--- FAIL: %s\n    %s:%d: %s\n", c.Name, filepath.ToSlash(c.File), c.Line, strings.Join(failures, "\n        "))
			case verbose:
				fmt.Fprintf(a.stdout, "--- PASS: %s\n", c.Name)
			}
		}
	}
	if failed > 0 {
		fmt.Fprintf(a.stdout, "FAIL\t%s\t%d of %d cases\n", path, failed, total)
		return errSilent
	}
	fmt.Fprintf(a.stdout, "ok  \t%s\t%d cases\t%.3fs\n", path, total, time.Since(began).Seconds())
	return nil
}
