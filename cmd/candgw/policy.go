package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/policy"
)

func (a *app) policy(args []string) error {
	verbs := map[string]func([]string) error{
		"check": a.policyCheck, "explain": a.policyExplain, "fmt": a.policyFmt, "test": a.policyTest,
	}
	args, err := a.parse(a.flags("policy"), args, false)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usageError("policy wants check, explain, fmt or test")
	}
	verb, ok := verbs[args[0]]
	if !ok {
		return usageError("there is no command 'policy %s'", args[0])
	}
	return verb(args[1:])
}

// policyFlags choose policies.
type policyFlags struct {
	app      *app // unless it is nil, its configuration may name policies
	path     string
	allowEnv bool
}

func (a *app) policyFlags(fs *flag.FlagSet) *policyFlags {
	p := policyFlags{app: a}
	fs.StringVar(&p.path, "policy", "", "")
	p.addAllowEnv(fs)
	return &p
}

func (p *policyFlags) addAllowEnv(fs *flag.FlagSet) {
	fs.BoolVar(&p.allowEnv, "allow-env", false, "")
}

func (p *policyFlags) loader() *policy.Loader {
	if p.allowEnv {
		return &policy.Loader{Getenv: os.LookupEnv}
	}
	return new(policy.Loader)
}

// builtIn is what a report calls the policies that need no file.
const builtIn = "default.hcl (built in)"

// open reads the policies, or those that are built in, for which files is nil.
func (p *policyFlags) open() (current func() *policy.Set, files *policy.Files, err error) {
	if p.path == "" && p.app != nil && p.app.config != nil {
		p.path, p.allowEnv = p.app.config.PolicyDir, p.allowEnv || p.app.config.AllowEnv
	}
	if p.path == "" {
		set, err := p.loader().Load(policy.Source{Name: builtIn, Text: policies.Default})
		return func() *policy.Set { return set }, nil, err
	}
	if files, err = p.loader().Open(p.path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("the policies: %w", err)
	} else if err != nil {
		return nil, nil, err
	}
	return files.Set, files, nil
}

// policyPaths parses the arguments of a command for policies at any number of paths.
func (a *app) policyPaths(fs *flag.FlagSet, args []string) (*policy.Loader, []string, error) {
	var p policyFlags
	p.addAllowEnv(fs)
	paths, err := a.parse(fs, args, true)
	if err == nil && len(paths) == 0 {
		err = usageError("%s wants files or folders", fs.Name())
	}
	return p.loader(), paths, err
}

// worst returns the errors that there is something to say about, or else whether there was one.
func worst(errs []error) error {
	var silent error
	var loud []error
	for _, err := range errs {
		if errors.Is(err, errSilent) {
			silent = err
		} else {
			loud = append(loud, err)
		}
	}
	if err := errors.Join(loud...); err != nil {
		return err
	}
	return silent
}
