package policytest

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/policy"
)

type fileHCL struct {
	Cases []caseHCL `hcl:"case,block"`
}

type caseHCL struct {
	Name  string    `hcl:"name,label"`
	Range hcl.Range `hcl:",def_range"`

	Client      *hcl.Attribute `hcl:"client,optional"`
	Origin      *hcl.Attribute `hcl:"origin,optional"`
	Candidate   *hcl.Attribute `hcl:"candidate,optional"`
	Description *hcl.Attribute `hcl:"description,optional"`
	Inbound     *hcl.Attribute `hcl:"inbound,optional"`
	Names       *hcl.Attribute `hcl:"names,optional"`
	Lookup      *hcl.Attribute `hcl:"lookup,optional"`
	From        *hcl.Attribute `hcl:"from,optional"`
	OnLink      *hcl.Attribute `hcl:"on_link,optional"`

	Expect expectHCL `hcl:"expect,block"`
}

// expectHCL is what a case expects; what is unset may be anything.
type expectHCL struct {
	Range hcl.Range `hcl:",def_range"`

	Result *hcl.Attribute `hcl:"result,optional"`
	Policy *string        `hcl:"policy,optional"`
	By     *string        `hcl:"by,optional"`

	Contains []string `hcl:"contains,optional"`
	Lacks    []string `hcl:"lacks,optional"`

	Encrypted  *int `hcl:"encrypted,optional"`
	Augmented  *int `hcl:"augmented,optional"`
	Revealed   *int `hcl:"revealed,optional"`
	Decrypted  *int `hcl:"decrypted,optional"`
	Kept       *int `hcl:"kept,optional"`
	Dropped    *int `hcl:"dropped,optional"`
	Redacted   *int `hcl:"redacted,optional"`
	Unresolved *int `hcl:"unresolved,optional"`
	Assertions *int `hcl:"assertions,optional"`

	TTL   *hcl.Attribute `hcl:"ttl,optional"`
	Rate  *int           `hcl:"rate,optional"`
	Burst *int           `hcl:"burst,optional"`
}

// What result may be, by what a case is about.
var (
	candidateResults   = []string{"encrypted", "augmented", "revealed", "decrypted", "kept", "dropped", "unresolved", "refused"}
	descriptionResults = []string{"passed", "refused"}
	lookupResults      = []string{"answered", "refused"}
)

// ErrNoTests says that no tests stand beside policies.
var ErrNoTests = errors.New("nothing to test")

// A Case is one test of policies.
type Case struct {
	Name string
	File string
	Line int

	client, lookup, from netip.Addr
	origin               policy.Origin
	body                 string // the candidate or the description
	single               bool   // it is a candidate
	inbound, onLink      bool
	names                map[string]netip.Addr

	result string
	ttl    time.Duration
	expect expectHCL
}

// Load reads the cases of a file. The error is a *[policy.Invalid], or of the file system.
func Load(path string) ([]Case, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := policy.ParseFile(policy.Source{Name: path, Text: text})
	if err != nil {
		return nil, err
	}
	r := reader{eval: &hcl.EvalContext{Functions: map[string]function.Function{"file": fileFunction(filepath.Dir(path))}}}
	var doc fileHCL
	r.diags = gohcl.DecodeBody(file.Body, r.eval, &doc)
	var out []Case
	for i := range doc.Cases {
		out = append(out, r.read(&doc.Cases[i]))
	}
	if len(doc.Cases) == 0 && !r.diags.HasErrors() {
		r.fail(hcl.Range{Filename: path}, "No case", "The file tests nothing: write case \"name\" { … }.")
	}
	return out, policy.Diagnose(r.diags, map[string]*hcl.File{path: file})
}

// fileFunction is the function file of test files: the text of a file in their folder.
func fileFunction(folder string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			f, err := os.OpenInRoot(folder, filepath.FromSlash(args[0].AsString()))
			if err != nil {
				return cty.NilVal, err
			}
			defer f.Close()
			text, err := io.ReadAll(io.LimitReader(f, gateway.MaxBody+1))
			return cty.StringVal(string(text)), err
		},
	})
}

type reader struct {
	eval  *hcl.EvalContext
	diags hcl.Diagnostics
}

func (r *reader) fail(at hcl.Range, summary, detail string) {
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

// value evaluates an attribute, if it is there.
func (r *reader) value(a *hcl.Attribute, to any) bool {
	if a == nil {
		return false
	}
	diags := gohcl.DecodeExpression(a.Expr, r.eval, to)
	r.diags = r.diags.Extend(diags)
	return !diags.HasErrors()
}

func (r *reader) addr(a *hcl.Attribute) (addr netip.Addr) {
	var s string
	if r.value(a, &s) {
		addr = r.parse(s, a.Expr.Range())
	}
	return addr
}

func (r *reader) parse(s string, at hcl.Range) netip.Addr {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		r.fail(at, "Not an address", fmt.Sprintf("Write an IP address, as in \"10.20.3.4\", not %q.", s))
	}
	return addr
}

func (r *reader) read(h *caseHCL) Case {
	c := Case{
		Name: h.Name, File: h.Range.Filename, Line: h.Range.Start.Line,
		client: r.addr(h.Client), lookup: r.addr(h.Lookup), from: r.addr(h.From), expect: h.Expect,
	}
	c.single = r.value(h.Candidate, &c.body)
	r.value(h.Description, &c.body)
	r.value(h.Inbound, &c.inbound)
	r.value(h.OnLink, &c.onLink)
	var origin string
	if r.value(h.Origin, &origin) {
		var err error
		if c.origin, err = policy.ParseOrigin(origin); err != nil {
			r.fail(h.Origin.Expr.Range(), "Not an origin", fmt.Sprintf("It is %v.", err))
		}
	}
	var names map[string]string
	if r.value(h.Names, &names) {
		c.names = map[string]netip.Addr{}
		for name, addr := range names {
			c.names[strings.ToLower(name)] = r.parse(addr, h.Names.Expr.Range())
		}
	}
	results := candidateResults
	switch {
	case h.Description != nil:
		results = descriptionResults
	case h.Lookup != nil:
		results = lookupResults
	}
	r.check(h)
	if r.value(h.Expect.Result, &c.result) && !slices.Contains(results, c.result) {
		r.fail(h.Expect.Result.Expr.Range(), "Unknown result", fmt.Sprintf("%q is none of %s.", c.result, strings.Join(results, ", ")))
	}
	var ttl string
	if r.value(h.Expect.TTL, &ttl) {
		var err error
		if c.ttl, err = time.ParseDuration(ttl); err != nil {
			r.fail(h.Expect.TTL.Expr.Range(), "Not a duration", fmt.Sprintf("Write a number with a unit, as in \"120s\", not %q.", ttl))
		}
	}
	return c
}

// check reports attributes that do not go together, and would otherwise be ignored.
func (r *reader) check(h *caseHCL) {
	subjects := 0
	for _, a := range []*hcl.Attribute{h.Candidate, h.Description, h.Lookup} {
		if a != nil {
			subjects++
		}
	}
	if subjects != 1 {
		r.fail(h.Range, "Not one subject", "A case is about one thing: set candidate, description or lookup.")
		return
	}
	e := &h.Expect
	for _, a := range []*hcl.Attribute{h.From, h.OnLink, e.TTL} {
		if a != nil && h.Lookup == nil {
			r.fail(a.Range, "Not for this case", fmt.Sprintf("%s is for lookups.", a.Name))
		}
	}
	for _, a := range []*hcl.Attribute{h.Client, h.Origin, h.Inbound, h.Names} {
		if a != nil && h.Lookup != nil {
			r.fail(a.Range, "Not for lookups", fmt.Sprintf("%s is for candidates and descriptions; who looks up is said by from.", a.Name))
		}
	}
	aboutLookups := e.Rate != nil || e.Burst != nil
	aboutBodies := e.Contains != nil || e.Lacks != nil
	for _, n := range e.counts(new(gateway.Report)) {
		aboutBodies = aboutBodies || n.want != nil
	}
	switch {
	case h.Lookup != nil && aboutBodies, h.Lookup == nil && aboutLookups:
		r.fail(e.Range, "Not for this case", "A lookup has result, policy, by, ttl, rate and burst; a candidate or description has result, policy, by, contains, lacks and counts.")
	case e.Result == nil && e.Policy == nil && e.By == nil && e.TTL == nil && !aboutLookups && !aboutBodies:
		r.fail(e.Range, "Nothing expected", "The case cannot fail: say what is expected, as in result = \"encrypted\".")
	}
}

// A count is one number of a report, and what is expected of it.
type count struct {
	name string
	want *int
	got  int
}

func (e *expectHCL) counts(r *gateway.Report) []count {
	return []count{
		{"encrypted", e.Encrypted, r.Encrypted}, {"augmented", e.Augmented, r.Augmented}, {"revealed", e.Revealed, r.Revealed},
		{"decrypted", e.Decrypted, r.Decrypted}, {"kept", e.Kept, r.Kept}, {"dropped", e.Dropped, r.Dropped},
		{"redacted", e.Redacted, r.Redacted}, {"unresolved", e.Unresolved, r.Unresolved}, {"assertions", e.Assertions, r.Assertions},
	}
}

// Beside returns the files of tests beside policies: all those in a folder, or the one that goes with a
// file, campus.test.hcl with campus.hcl. It is an error if there is none.
func Beside(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		base, _, _ := strings.Cut(filepath.Base(path), ".")
		test := filepath.Join(filepath.Dir(path), base+".test.hcl")
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
