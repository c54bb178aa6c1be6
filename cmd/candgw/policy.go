package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/policytest"
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
	if files, err = p.loader().Open(p.path); err != nil {
		return nil, nil, err
	}
	return files.Set, files, nil
}

// policyCheck reads each path as a set of its own, as serve would.
func (a *app) policyCheck(args []string) error {
	fs := a.flags("policy check")
	asJSON := fs.Bool("json", false, "")
	var p policyFlags
	p.addAllowEnv(fs)
	paths, err := a.parse(fs, args, true)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return usageError("policy check wants files or folders")
	}
	var problems []policy.Problem
	var failed []error
	for _, path := range paths {
		found, err := checkPath(p.loader(), path)
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

// policyExplain tells what the policies do with each candidate of a body, or with a lookup, and which
// line of them does it.
func (a *app) policyExplain(args []string) error {
	fs := a.flags("policy explain")
	p := a.policyFlags(fs)
	client, origin := fs.String("client", "", ""), fs.String("origin", "", "")
	lookup, from := fs.String("lookup", "", ""), fs.String("from", "", "")
	onLink := fs.Bool("on-link", false, "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	var request gateway.Request
	var l policy.Lookup
	var err error
	if request.Client, err = addressFlag("client", *client); err != nil {
		return err
	}
	if request.Origin, err = originFlag(*origin); err != nil {
		return err
	}
	if l.Addr, err = addressFlag("lookup", *lookup); err != nil {
		return err
	}
	if l.Asker, err = addressFlag("from", *from); err != nil {
		return err
	}
	l.OnLink = *onLink
	switch {
	case *lookup == "" && (*from != "" || *onLink):
		return usageError("--from and --on-link are for --lookup")
	case *lookup != "" && *from == "":
		return usageError("say with --from who looks up %s", *lookup)
	case *lookup != "" && (*client != "" || *origin != ""):
		return usageError("--client and --origin are for signaling; who looks up is said with --from")
	}
	current, _, err := p.open()
	if err != nil {
		return err
	}
	if *lookup != "" {
		a.explainLookup(current(), l)
		return nil
	}
	if request.Body, err = readBody(a.stdin); err != nil {
		return err
	}
	request.Format = gateway.FormatOf(request.Body)
	return a.explainBody(current(), request)
}

func (a *app) explainLookup(set *policy.Set, l policy.Lookup) {
	asker := set.DecideAsker(l.Asker, l.OnLink)
	answer := asker.Answer(l.Addr)
	switch {
	case !answer.Allow:
		fmt.Fprintf(a.stdout, "refused: %v\n", answer.By)
	case !policy.Reachable(l.Addr):
		fmt.Fprintf(a.stdout, "refused: no other host can reach an address of its kind\n")
	default:
		rate := "no rate limit"
		if asker.Rate > 0 {
			rate = fmt.Sprintf("at most %d a second, %d at once", asker.Rate, asker.Burst)
		}
		fmt.Fprintf(a.stdout, "answered: %v; time to live %v; %s\n", answer.By, answer.TTL, rate)
	}
}

func (a *app) explainBody(set *policy.Set, request gateway.Request) error {
	g, err := policytest.NewGateway(set, nil)
	if err != nil {
		return err
	}
	result, err := g.Encrypt(context.Background(), request)
	var refusal *gateway.Refusal
	switch {
	case errors.As(err, &refusal):
		fmt.Fprintf(a.stdout, "refused: %s: %s: %v\n", refusal.Where(), refusal.What, refusal.By)
		return nil
	case err != nil && !errors.Is(err, gateway.ErrNothingLeft):
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, c := range result.Report.Candidates {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.Where(), c.Type, c.Transport, c.Result, policytest.Explain(&c))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	session := set.DecideSession(request.Client, request.Origin)
	if n := result.Report.Assertions; n > 0 {
		fmt.Fprintf(a.stdout, "identity assertions taken out: %d: %v\n", n, session.Identity.By)
	}
	if session.InboundBy == nil && !request.Client.IsValid() {
		fmt.Fprintln(a.stderr, "candgw: no policy is for a client of whom nothing is known: say with --client who sends this")
	}
	return nil
}

// readBody reads one octet more than is allowed, so that the gateway sees a body that is too long.
func readBody(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, gateway.MaxBody+1)) }

// policyTest runs the tests that stand beside policies.
func (a *app) policyTest(args []string) error {
	fs := a.flags("policy test")
	verbose := fs.Bool("v", false, "")
	var p policyFlags
	p.addAllowEnv(fs)
	paths, err := a.parse(fs, args, true)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return usageError("policy test wants files or folders of policies")
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
			failed = append(failed, a.testPath(p.loader(), path, *verbose))
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
