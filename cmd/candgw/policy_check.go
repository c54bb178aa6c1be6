package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/candgw/candgw/internal/policytest"
	"github.com/candgw/candgw/policy"
)

// policyCheck reads each path as a set of its own, as serve would.
func (a *app) policyCheck(args []string) error {
	fs := a.flags("policy check")
	asJSON := fs.Bool("json", false, "")
	loader, paths, err := a.policyPaths(fs, args)
	if err != nil {
		return err
	}
	var problems []policy.Problem
	var failed []error
	for _, path := range paths {
		found, err := checkPath(loader, path)
		problems = append(problems, found...)
		var invalid *policy.Invalid
		if errors.As(err, &invalid) {
			problems, err = append(problems, invalid.Problems...), errSilent
		}
		failed = append(failed, err)
	}
	if *asJSON {
		if problems == nil {
			problems = []policy.Problem{}
		}
		if err := json.NewEncoder(a.stdout).Encode(problems); err != nil {
			return err
		}
	} else {
		for _, problem := range problems {
			fmt.Fprintf(a.stderr, "%s: %s\n\n", problem.Place(), problem.Text)
		}
	}
	return worst(failed)
}

// checkPath reads policies, and the tests beside them; it returns the warnings, and the mistakes in
// the tests.
func checkPath(loader *policy.Loader, path string) ([]policy.Problem, error) {
	if policy.IsTest(path) {
		_, err := policytest.Load(path)
		return nil, err
	}
	set, err := loader.LoadPath(path)
	if err != nil {
		return nil, err
	}
	tests, err := policytest.Beside(path)
	if err != nil && !errors.Is(err, policytest.ErrNoTests) {
		return set.Warnings(), err
	}
	found := slices.Clone(set.Warnings())
	var failed []error
	for _, test := range tests {
		_, err := policytest.Load(test)
		var invalid *policy.Invalid
		if errors.As(err, &invalid) {
			found, err = append(found, invalid.Problems...), errSilent
		}
		failed = append(failed, err)
	}
	return found, worst(failed)
}
