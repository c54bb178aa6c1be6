package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// ErrInvalid says that policies were not loaded; the error's text tells of every mistake, with its
// file, its line and what to write instead.
var ErrInvalid = errors.New("invalid policy")

const (
	maxFile = 4 << 20
	// maxDepth bounds how deep a file nests. The parser of HCL has no bound, and takes the process with
	// it where its stack ends.
	maxDepth = 100

	defaultSuite = "aes-uuid"
	defaultTTL   = 120 * time.Second
	maxTTL       = time.Hour
)

// The words of the language where a value must be one of a few.
var (
	candidateTypes = []string{"host", "srflx", "prflx", "relay"}
	actions        = map[string]Action{"encrypt": Encrypt, "keep": Keep, "drop": Drop}
	suites         = []string{"aes-uuid", "aes-gcm", "aes-ctr-hmac", "aes-cbc-hmac"}
)

// Networks that have a name in policies: those of RFC 1918, RFC 4193 and RFC 6598, and loopback.
var (
	privateNetworks  = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "100.64.0.0/10"}
	loopbackNetworks = []string{"127.0.0.0/8", "::1/128"}
)

type fileHCL struct {
	Policies []policyHCL `hcl:"policy,block"`
}

type policyHCL struct {
	Name        string         `hcl:"name,label"`
	Description string         `hcl:"description,optional"`
	Clients     *hcl.Attribute `hcl:"clients,optional"`
	Candidates  []candidateHCL `hcl:"candidate,block"`
	NameForm    *nameHCL       `hcl:"name,block"`
	Resolve     *resolveHCL    `hcl:"resolve,block"`
	Range       hcl.Range      `hcl:",def_range"`
}

type candidateHCL struct {
	Type           string         `hcl:"type,label"`
	Action         *hcl.Attribute `hcl:"action,optional"`
	Addresses      *hcl.Attribute `hcl:"addresses,optional"`
	Otherwise      *hcl.Attribute `hcl:"otherwise,optional"`
	RelatedAddress *hcl.Attribute `hcl:"related_address,optional"`
	TypeRange      hcl.Range      `hcl:"type,label_range"`
}

type nameHCL struct {
	Suite *hcl.Attribute `hcl:"suite,optional"`
}

type resolveHCL struct {
	Clients   *hcl.Attribute `hcl:"clients,optional"`
	OwnLinks  bool           `hcl:"own_links,optional"`
	Addresses *hcl.Attribute `hcl:"addresses,optional"`
	TTL       *hcl.Attribute `hcl:"ttl,optional"`
}

// A Source is the text of one policy file.
type Source struct {
	Name string
	Text []byte
}

// LoadFiles is [Load] of files on disk.
func LoadFiles(paths ...string) (*Set, error) {
	var sources []Source
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		sources = append(sources, Source{path, text})
	}
	return Load(sources...)
}

// Load reads policies in the order given. All mistakes are reported at once; a set with a mistake is
// not loaded at all. The error is [ErrInvalid].
func Load(sources ...Source) (*Set, error) {
	parser := hclparse.NewParser()
	l := loader{names: map[string]bool{}, eval: &hcl.EvalContext{
		Variables: map[string]cty.Value{
			"private_networks":  stringList(privateNetworks),
			"loopback_networks": stringList(loopbackNetworks),
		},
		Functions: map[string]function.Function{"concat": stdlib.ConcatFunc},
	}}
	for _, src := range sources {
		if len(src.Text) > maxFile {
			return nil, fmt.Errorf("%w: %s has %d octets, more than %d", ErrInvalid, src.Name, len(src.Text), maxFile)
		}
		if line := tooDeep(src); line > 0 {
			return nil, fmt.Errorf("%w: %s:%d: nested more than %d deep", ErrInvalid, src.Name, line, maxDepth)
		}
		file, diags := parser.ParseHCL(src.Text, src.Name)
		l.diags = l.diags.Extend(diags)
		if diags.HasErrors() {
			continue
		}
		var doc fileHCL
		l.diags = l.diags.Extend(gohcl.DecodeBody(file.Body, l.eval, &doc))
		for _, p := range doc.Policies {
			l.policy(p)
		}
	}
	if l.diags.HasErrors() {
		return nil, diagnostics(l.diags, parser.Files())
	}
	return &l.set, nil
}

// tooDeep returns the line where a text nests deeper than maxDepth, by brackets or by operators that
// take what follows them; 0 if it does nowhere.
func tooDeep(src Source) int {
	tokens, _ := hclsyntax.LexConfig(src.Text, src.Name, hcl.InitialPos)
	brackets, operators := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOParen, hclsyntax.TokenOBrack, hclsyntax.TokenOBrace, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			brackets++
		case hclsyntax.TokenCParen, hclsyntax.TokenCBrack, hclsyntax.TokenCBrace, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			brackets--
		case hclsyntax.TokenNewline, hclsyntax.TokenComma:
			operators = 0
		case hclsyntax.TokenMinus, hclsyntax.TokenBang, hclsyntax.TokenQuestion:
			operators++
		}
		if brackets+operators > maxDepth {
			return t.Range.Start.Line
		}
	}
	return 0
}

// diagnostics renders mistakes as the text of one error: where they are as file:line, which editors
// can jump to, then each with its source line.
func diagnostics(diags hcl.Diagnostics, files map[string]*hcl.File) error {
	var places []string
	for _, d := range diags {
		if place := fmt.Sprintf("%s:%d", d.Subject.Filename, d.Subject.Start.Line); !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	var text strings.Builder
	hcl.NewDiagnosticTextWriter(&text, files, 100, false).WriteDiagnostics(diags)
	return fmt.Errorf("%w: %s\n\n%s", ErrInvalid, strings.Join(places, ", "), strings.TrimRight(text.String(), "\n"))
}

type loader struct {
	eval  *hcl.EvalContext
	set   Set
	names map[string]bool
	diags hcl.Diagnostics
}

func (l *loader) fail(at hcl.Range, summary, detail string) {
	l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

func (l *loader) policy(p policyHCL) {
	if l.names[p.Name] {
		l.fail(p.Range, "Second policy of one name", fmt.Sprintf("There is a policy %q already: give this one another name.", p.Name))
	}
	l.names[p.Name] = true

	r := rule{name: p.Name, clients: l.prefixes(p.Clients), suite: defaultSuite, candidates: map[string]candidateRule{}}
	for _, t := range candidateTypes[1:] {
		r.candidates[t] = candidateRule{action: Keep}
	}
	seen := map[string]bool{}
	for _, c := range p.Candidates {
		if !slices.Contains(candidateTypes, c.Type) {
			l.fail(c.TypeRange, "Unknown candidate type", choice(c.Type, candidateTypes))
			continue
		}
		if seen[c.Type] {
			l.fail(c.TypeRange, "Second block of one candidate type", fmt.Sprintf("Put all of candidate %q into one block.", c.Type))
		}
		seen[c.Type] = true
		r.candidates[c.Type] = l.candidate(c)
	}
	if p.NameForm != nil && p.NameForm.Suite != nil {
		r.suite = l.oneOf(p.NameForm.Suite, suites)
	}
	if p.Resolve != nil {
		r.resolve = l.resolve(p.Resolve, r.clients)
	}
	l.set.policies = append(l.set.policies, r)
}

func (l *loader) candidate(c candidateHCL) candidateRule {
	r := candidateRule{action: Keep, addresses: l.prefixes(c.Addresses)}
	if c.Type == "host" {
		r.action = Encrypt
	}
	words := []string{"encrypt", "keep", "drop"}
	if c.Action != nil {
		r.action = actions[l.oneOf(c.Action, words)]
	}
	if c.Otherwise != nil {
		r.otherwise = actions[l.oneOf(c.Otherwise, words)]
	}
	if c.RelatedAddress != nil {
		r.keepRelated = l.oneOf(c.RelatedAddress, []string{"redact", "keep"}) == "keep"
	}
	return r
}

func (l *loader) resolve(r *resolveHCL, policyClients prefixes) *resolveRule {
	out := &resolveRule{clients: policyClients, addresses: l.prefixes(r.Addresses), ownLinks: r.OwnLinks, ttl: defaultTTL}
	if r.Clients != nil {
		out.clients = l.prefixes(r.Clients)
	}
	if r.TTL != nil {
		text := l.text(r.TTL)
		d, err := time.ParseDuration(text)
		switch {
		case text == "": // reported by text
		case err != nil:
			l.fail(r.TTL.Expr.Range(), "Not a duration", fmt.Sprintf("Write a number with a unit, as in \"120s\" or \"5m\", not %q.", text))
		case d < time.Second || d > maxTTL:
			l.fail(r.TTL.Expr.Range(), "Duration out of range", fmt.Sprintf("A time to live is 1s to %v.", maxTTL))
		}
		out.ttl = d
	}
	return out
}

// text evaluates an attribute that must be a string; it returns "" where it reported that it is none.
func (l *loader) text(a *hcl.Attribute) string {
	v, diags := a.Expr.Value(l.eval)
	l.diags = l.diags.Extend(diags)
	if diags.HasErrors() {
		return ""
	}
	if v.IsNull() || !v.IsWhollyKnown() || v.Type() != cty.String || v.AsString() == "" {
		l.fail(a.Expr.Range(), "Wrong type", fmt.Sprintf("%q wants a text in quotes.", a.Name))
		return ""
	}
	return v.AsString()
}

// oneOf evaluates an attribute that must be one of a few words.
func (l *loader) oneOf(a *hcl.Attribute, words []string) string {
	s := l.text(a)
	if s != "" && !slices.Contains(words, s) {
		l.fail(a.Expr.Range(), fmt.Sprintf("Unknown %s", a.Name), choice(s, words))
	}
	return s
}

// choice tells which words there are, and the nearest to what was written.
func choice(got string, words []string) string {
	nearest := slices.MinFunc(words, func(a, b string) int {
		return levenshtein.Distance(got, a, nil) - levenshtein.Distance(got, b, nil)
	})
	hint := ""
	if levenshtein.Distance(got, nearest, nil) <= 3 {
		hint = fmt.Sprintf(" Did you mean %q?", nearest)
	}
	return fmt.Sprintf("%q is none of %s.%s", got, strings.Join(words, ", "), hint)
}

// prefixes evaluates an attribute that must be a list of networks.
func (l *loader) prefixes(a *hcl.Attribute) prefixes {
	if a == nil {
		return prefixes{}
	}
	out := prefixes{set: true}
	// The elements of a literal list have places of their own; those of a computed one share its.
	elements, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() {
		elements = nil
	}
	v, diags := a.Expr.Value(l.eval)
	l.diags = l.diags.Extend(diags)
	if diags.HasErrors() {
		return out
	}
	if v.IsNull() || !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		l.fail(a.Expr.Range(), "Wrong type", fmt.Sprintf("%q wants a list of networks, as in [\"10.0.0.0/8\"].", a.Name))
		return out
	}
	for i, e := range v.AsValueSlice() {
		at := a.Expr.Range()
		if i < len(elements) {
			at = elements[i].Range()
		}
		if e.IsNull() || e.Type() != cty.String {
			l.fail(at, "Wrong type", "A network is a text in quotes, as in \"10.0.0.0/8\".")
			continue
		}
		p, err := netip.ParsePrefix(e.AsString())
		switch {
		case err != nil:
			l.fail(at, "Not a network", fmt.Sprintf("Write an address and a length, as in \"10.0.0.0/8\", not %q.", e.AsString()))
		case p.Addr().Is4In6():
			l.fail(at, "Not a network", fmt.Sprintf("%q is an IPv4-mapped network: write the IPv4 one.", e.AsString()))
		case p != p.Masked():
			l.fail(at, "Host bits set", fmt.Sprintf("%q has bits set beyond its length: write %q.", e.AsString(), p.Masked()))
		default:
			out.list = append(out.list, p)
		}
	}
	return out
}

func stringList(items []string) cty.Value {
	values := make([]cty.Value, len(items))
	for i, s := range items {
		values[i] = cty.StringVal(s)
	}
	return cty.ListVal(values)
}
