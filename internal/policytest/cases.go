package policytest

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"

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

	Expect []expectHCL `hcl:"expect,block"`
}

type expectHCL struct {
	Range hcl.Range `hcl:",def_range"`

	Result *hcl.Attribute `hcl:"result,optional"`
	Policy *hcl.Attribute `hcl:"policy,optional"`
	By     *hcl.Attribute `hcl:"by,optional"`

	Contains *hcl.Attribute `hcl:"contains,optional"`
	Lacks    *hcl.Attribute `hcl:"lacks,optional"`

	Encrypted  *hcl.Attribute `hcl:"encrypted,optional"`
	Augmented  *hcl.Attribute `hcl:"augmented,optional"`
	Revealed   *hcl.Attribute `hcl:"revealed,optional"`
	Decrypted  *hcl.Attribute `hcl:"decrypted,optional"`
	Kept       *hcl.Attribute `hcl:"kept,optional"`
	Dropped    *hcl.Attribute `hcl:"dropped,optional"`
	Redacted   *hcl.Attribute `hcl:"redacted,optional"`
	Unresolved *hcl.Attribute `hcl:"unresolved,optional"`
	Assertions *hcl.Attribute `hcl:"assertions,optional"`

	TTL   *hcl.Attribute `hcl:"ttl,optional"`
	Rate  *hcl.Attribute `hcl:"rate,optional"`
	Burst *hcl.Attribute `hcl:"burst,optional"`
}

// An expectation is what a case expects; what is nil or empty may be anything.
type expectation struct {
	result          string
	policy, by      *string
	contains, lacks []string
	counts          []count
	ttl             *time.Duration
	rate, burst     *int
}

// A count is what is expected of one number of a report.
type count struct {
	name string
	want int
	of   func(*gateway.Report) int
}

// What result may be, by what a case is about.
var (
	candidateResults   = []string{"encrypted", "augmented", "revealed", "decrypted", "kept", "dropped", "unresolved", "refused"}
	descriptionResults = []string{"passed", "refused"}
	lookupResults      = []string{"answered", "refused"}
)

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

	expect expectation
}

// Load reads the cases of a file. The error is a *[policy.Invalid], or of the file system.
func Load(path string) ([]Case, error) {
	src, err := policy.ReadSource(path)
	if err != nil {
		return nil, err
	}
	file, err := policy.ParseFile(src)
	if err != nil {
		return nil, err
	}
	files := map[string]function.Function{"file": fileFunction(filepath.Dir(path))}
	r := reader{eval: &hcl.EvalContext{Functions: files}}
	var doc fileHCL
	r.diags = gohcl.DecodeBody(file.Body, r.eval, &doc)
	var out []Case
	for i := range doc.Cases {
		end := len(src.Text)
		if i+1 < len(doc.Cases) {
			end = doc.Cases[i+1].Range.Start.Byte
		}
		out = append(out, r.read(&doc.Cases[i], end))
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
			text, err := policy.ReadInside(folder, args[0].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			return cty.StringVal(string(text)), nil
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

// failedWithin reports whether there is a mistake between two places of the file.
func (r *reader) failedWithin(start, end int) bool {
	return slices.ContainsFunc(r.diags, func(d *hcl.Diagnostic) bool {
		return d.Subject != nil && start <= d.Subject.Start.Byte && d.Subject.Start.Byte < end
	})
}

// value evaluates an attribute, if it is there. wants says what its value must be.
func (r *reader) value(a *hcl.Attribute, to any, wants string) bool {
	if a == nil {
		return false
	}
	v, diags := a.Expr.Value(r.eval)
	r.diags = r.diags.Extend(diags)
	if diags.HasErrors() {
		return false
	}
	kind, err := gocty.ImpliedType(to)
	if err != nil {
		panic(err) // for a type of this package's own
	}
	v, err = convert.Convert(v, kind)
	if err == nil && v.IsNull() {
		err = errors.New("null")
	}
	if err == nil {
		err = gocty.FromCtyValue(v, to)
	}
	if err != nil {
		r.fail(a.Expr.Range(), "Wrong type", fmt.Sprintf("%q wants %s.", a.Name, wants))
	}
	return err == nil
}

func (r *reader) text(a *hcl.Attribute) (s string, ok bool) {
	ok = r.value(a, &s, "a text in quotes")
	return s, ok
}

func (r *reader) flag(a *hcl.Attribute) (is bool) {
	r.value(a, &is, "true or false, without quotes")
	return is
}

func (r *reader) number(a *hcl.Attribute) (n int, ok bool) {
	ok = r.value(a, &n, "a whole number")
	return n, ok
}

func (r *reader) texts(a *hcl.Attribute) (out []string) {
	r.value(a, &out, "a list of texts, as in [\"typ host\"]")
	if slices.Contains(out, "") {
		r.fail(a.Expr.Range(), "Empty text", "Every text contains the empty one: write what to look for.")
	}
	return out
}

func (r *reader) addr(a *hcl.Attribute) (addr netip.Addr) {
	if s, ok := r.text(a); ok {
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

// read reads a case that stands before the octet end.
func (r *reader) read(h *caseHCL, end int) Case {
	c := Case{
		Name: h.Name, File: h.Range.Filename, Line: h.Range.Start.Line,
		client: r.addr(h.Client), lookup: r.addr(h.Lookup), from: r.addr(h.From),
		inbound: r.flag(h.Inbound), onLink: r.flag(h.OnLink),
	}
	results := candidateResults
	switch {
	case h.Candidate != nil:
		c.body, c.single = r.text(h.Candidate)
	case h.Description != nil:
		c.body, _ = r.text(h.Description)
		results = descriptionResults
	case h.Lookup != nil:
		results = lookupResults
	}
	if origin, ok := r.text(h.Origin); ok {
		var err error
		if c.origin, err = policy.ParseOrigin(origin); err != nil {
			r.fail(h.Origin.Expr.Range(), "Not an origin", fmt.Sprintf("Write it as browsers send it, scheme and host alone, as in \"https://meet.example.com\", not %q.", origin))
		}
	}
	var names map[string]string
	if r.value(h.Names, &names, "browsers' names and what they stand for, as in { \"884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local\" = \"10.20.3.4\" }") {
		c.names = map[string]netip.Addr{}
		for name, addr := range names {
			c.names[strings.ToLower(name)] = r.parse(addr, h.Names.Expr.Range())
		}
	}
	switch {
	case given(h.Candidate, h.Description, h.Lookup) != 1:
		r.fail(h.Range, "Not one subject", "A case is about one thing: set candidate, description or lookup.")
	case len(h.Expect) == 0:
		r.fail(h.Range, "Nothing expected", fmt.Sprintf("The case cannot fail: write what is expected, as in expect { result = %q }", results[0]))
	case len(h.Expect) > 1:
		r.fail(h.Expect[1].Range, "Second expect of a case", "Put all that is expected into one block.")
	default:
		misspelled := r.failedWithin(h.Expect[0].Range.Start.Byte, end)
		r.expect(&c.expect, &h.Expect[0], results)
		r.check(h, &h.Expect[0], c.expect.result == "refused", misspelled)
	}
	return c
}

func (r *reader) expect(e *expectation, h *expectHCL, results []string) {
	var ok bool
	if e.result, ok = r.text(h.Result); ok && !slices.Contains(results, e.result) {
		r.fail(h.Result.Expr.Range(), "Unknown result", fmt.Sprintf("%q is none of %s.", e.result, strings.Join(results, ", ")))
	}
	for _, t := range []struct {
		a  *hcl.Attribute
		to **string
	}{{h.Policy, &e.policy}, {h.By, &e.by}} {
		if s, ok := r.text(t.a); ok {
			*t.to = &s
		}
	}
	e.contains, e.lacks = r.texts(h.Contains), r.texts(h.Lacks)
	for _, t := range h.counts() {
		if n, ok := r.number(t.a); ok {
			e.counts = append(e.counts, count{t.a.Name, n, t.of})
		}
	}
	for _, t := range []struct {
		a  *hcl.Attribute
		to **int
	}{{h.Rate, &e.rate}, {h.Burst, &e.burst}} {
		if n, ok := r.number(t.a); ok {
			*t.to = &n
		}
	}
	if s, ok := r.text(h.TTL); ok {
		d, err := time.ParseDuration(s)
		if err != nil {
			r.fail(h.TTL.Expr.Range(), "Not a duration", fmt.Sprintf("Write a number with a unit, as in \"120s\", not %q.", s))
		}
		e.ttl = &d
	}
}

type countHCL struct {
	a  *hcl.Attribute
	of func(*gateway.Report) int
}

func (e *expectHCL) counts() []countHCL {
	return []countHCL{
		{e.Encrypted, func(r *gateway.Report) int { return r.Encrypted }},
		{e.Augmented, func(r *gateway.Report) int { return r.Augmented }},
		{e.Revealed, func(r *gateway.Report) int { return r.Revealed }},
		{e.Decrypted, func(r *gateway.Report) int { return r.Decrypted }},
		{e.Kept, func(r *gateway.Report) int { return r.Kept }},
		{e.Dropped, func(r *gateway.Report) int { return r.Dropped }},
		{e.Redacted, func(r *gateway.Report) int { return r.Redacted }},
		{e.Unresolved, func(r *gateway.Report) int { return r.Unresolved }},
		{e.Assertions, func(r *gateway.Report) int { return r.Assertions }},
	}
}

// check reports attributes that do not go together, and would otherwise be ignored.
func (r *reader) check(h *caseHCL, e *expectHCL, refused, misspelled bool) {
	ofLookup := []*hcl.Attribute{e.TTL, e.Rate, e.Burst}
	ofBody := []*hcl.Attribute{e.Contains, e.Lacks}
	for _, n := range e.counts() {
		ofBody = append(ofBody, n.a)
	}
	wrong, of := append([]*hcl.Attribute{h.From, h.OnLink}, ofLookup...), "lookups"
	if h.Lookup != nil {
		wrong = append([]*hcl.Attribute{h.Client, h.Origin, h.Inbound, h.Names}, ofBody...)
		of = "candidates and descriptions; of lookups say from, on_link, and expect result, policy, by, ttl, rate or burst"
		if h.From == nil {
			r.fail(h.Range, "Nobody asks", "Say who looks up, as in from = \"10.20.3.4\".")
		}
	}
	for _, a := range wrong {
		if a != nil {
			r.fail(a.Range, "Not for this case", fmt.Sprintf("%s is for %s.", a.Name, of))
		}
	}
	if refused && h.Lookup == nil && given(ofBody...) > 0 {
		r.fail(e.Range, "Nothing to look at", "Of what is refused nothing is passed on: expect result, policy and by alone.")
	}
	if given(ofLookup...)+given(ofBody...)+given(e.Result, e.Policy, e.By) == 0 && !misspelled {
		r.fail(e.Range, "Nothing expected", "The case cannot fail: say what is expected, as in result = \"refused\".")
	}
}

// given returns how many attributes are there.
func given(attrs ...*hcl.Attribute) (n int) {
	for _, a := range attrs {
		if a != nil {
			n++
		}
	}
	return n
}
