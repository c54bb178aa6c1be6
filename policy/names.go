package policy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apparentlymart/go-cidr/cidr"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// Networks that have a name in policies: those of RFC 1918, RFC 4193 and RFC 6598, and loopback.
var (
	privateNetworks  = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "100.64.0.0/10"}
	loopbackNetworks = []string{"127.0.0.0/8", "::1/128"}
)

// A reader makes a set of policy files.
type reader struct {
	problems
	getenv func(string) (string, bool)

	eval   *hcl.EvalContext
	folder string               // what file_lines is relative to
	lists  map[string]cty.Value // by path
	looks  look                 // at these files
	local  map[string]*local
	tables map[string]networks // of locals
	// partial says that some file could not be read.
	partial bool

	rules []*parsed
	names map[string]hcl.Range
}

func newReader(getenv func(string) (string, bool)) *reader {
	r := &reader{
		problems: problems{files: map[string]*hcl.File{}},
		getenv:   getenv,
		lists:    map[string]cty.Value{},
		looks:    look{},
		local:    map[string]*local{},
		tables:   map[string]networks{},
		names:    map[string]hcl.Range{},
	}
	r.eval = &hcl.EvalContext{
		Variables: map[string]cty.Value{
			"private_networks":  stringList(privateNetworks),
			"loopback_networks": stringList(loopbackNetworks),
		},
		Functions: map[string]function.Function{
			"concat":     concat,
			"cidrsubnet": cidrSubnet,
			"file_lines": textFunction("name", cty.List(cty.String), r.fileLines),
			"env":        textFunction("name", cty.String, r.env),
		},
	}
	return r
}

func stringList(items []string) cty.Value {
	if len(items) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	values := make([]cty.Value, len(items))
	for i, s := range items {
		values[i] = cty.StringVal(s)
	}
	return cty.ListVal(values)
}

// A local is a value with a name, which every file of a set may use.
type local struct {
	attr   *hcl.Attribute
	folder string
	state  localState
}

type localState uint8

const (
	unread localState = iota
	reading
	done
)

// locals evaluates the locals of all files, each after those that it is made of.
func (r *reader) locals(documents []document) {
	for _, d := range documents {
		for _, block := range d.Locals {
			attrs, diags := block.Body.JustAttributes()
			r.extend(diags)
			for name, attr := range attrs {
				if first := r.local[name]; first != nil {
					there := first.attr.NameRange
					r.fail(attr.NameRange, "Second local of one name", fmt.Sprintf("There is a local %q in %s:%d already: give this one another name.", name, there.Filename, there.Start.Line))
					continue
				}
				r.local[name] = &local{attr: attr, folder: d.folder}
			}
		}
	}
	values := map[string]cty.Value{}
	for _, name := range slices.Sorted(maps.Keys(r.local)) {
		r.readLocal(name, values)
	}
	r.eval.Variables["local"] = cty.ObjectVal(values)
}

func (r *reader) readLocal(name string, values map[string]cty.Value) {
	l := r.local[name]
	if l.state == done {
		return
	}
	l.state = reading
	named := map[string]cty.Value{}
	for _, other := range localsOf(l.attr.Expr) {
		switch o := r.local[other.name]; {
		case o == nil: // reported where it is evaluated
		case o.state == reading:
			r.fail(other.at, "A local made of itself", fmt.Sprintf("%q needs the value of %q, which is not known before it: write the value of one of them out.", name, other.name))
			named[other.name] = cty.DynamicVal
		default:
			r.readLocal(other.name, values)
			named[other.name] = values[other.name]
		}
	}
	r.eval.Variables["local"] = cty.ObjectVal(named)
	r.folder = l.folder
	values[name] = cty.DynamicVal // what is made of a mistake is not reported again
	v, ok := r.value(l.attr)
	if ok && tooMuch(v) {
		r.fail(l.attr.Expr.Range(), "Too much", fmt.Sprintf("A local holds at most %d elements, or %d octets of text.", maxElements, maxText))
		ok = false
	}
	if ok {
		values[name] = v
		r.coveredTwice(l.attr.Expr, v)
	}
	l.state = done
}

type localName struct {
	name string
	at   hcl.Range
}

// localsOf returns the locals that an expression names. One without a name is all of them.
func localsOf(e hcl.Expression) (out []localName) {
	for _, t := range e.Variables() {
		if t.RootName() != "local" {
			continue
		}
		name := localName{at: t.SourceRange()}
		if len(t) > 1 {
			switch step := t[1].(type) {
			case hcl.TraverseAttr:
				name = localName{step.Name, step.SrcRange}
			case hcl.TraverseIndex:
				if step.Key.Type() == cty.String {
					name = localName{step.Key.AsString(), step.SrcRange}
				}
			}
		}
		out = append(out, name)
	}
	return out
}

// value evaluates an attribute; not ok means that a mistake was reported, now or before.
func (r *reader) value(a *hcl.Attribute) (v cty.Value, ok bool) {
	for _, l := range localsOf(a.Expr) {
		switch {
		case r.local[l.name] != nil:
			continue
		case l.name == "":
			r.fail(l.at, "All locals at once", "Name one of them, as in local.campus.")
		case !r.partial: // else it may be in a file that could not be read
			names := slices.Sorted(maps.Keys(r.local))
			r.fail(l.at, "Unknown local", fmt.Sprintf("No locals block of these files has %q: write one, or the name of another.%s", l.name, didYouMean(l.name, names)))
		}
		return v, false
	}
	v, diags := a.Expr.Value(r.eval)
	if !r.extend(diags) || !v.IsWhollyKnown() {
		return v, false
	}
	return v, true
}

// textFunction returns a function of one text.
func textFunction(parameter string, result cty.Type, do func(string) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: parameter, Type: cty.String}},
		Type:   function.StaticReturnType(result),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := do(args[0].AsString())
			if err != nil {
				return v, function.NewArgError(0, err)
			}
			return v, nil
		},
	})
}

func (r *reader) env(name string) (cty.Value, error) {
	if r.getenv == nil {
		return cty.NilVal, errors.New("the environment is not read, so that these files alone say what holds: write the value here, or allow it with --allow-env")
	}
	value, ok := r.getenv(name)
	if !ok {
		return cty.NilVal, fmt.Errorf("the environment has no variable %s", name)
	}
	return cty.StringVal(value), nil
}

// fileLines reads a list of networks, one a line. Empty lines are skipped, and what stands after a #.
// It stays inside the folder of the policy, so that to check somebody's policy is not to read one's
// own files to them.
func (r *reader) fileLines(name string) (cty.Value, error) {
	path := filepath.Join(r.folder, filepath.FromSlash(name))
	if list, ok := r.lists[path]; ok && filepath.IsLocal(filepath.FromSlash(name)) {
		return list, nil
	}
	text, info, err := readInside(r.folder, name)
	r.looks[path] = info
	if err != nil {
		r.lists[path] = cty.UnknownVal(cty.List(cty.String)) // is not reported a second time
		return cty.NilVal, err
	}
	r.files[path] = &hcl.File{Bytes: text}
	r.lists[path] = r.readLines(path, text)
	return r.lists[path], nil
}

func (r *reader) readLines(path string, text []byte) cty.Value {
	var items []string
	var list writtenList
	start, number := 0, 0
	for line := range bytes.Lines(text) {
		at := hcl.Pos{Line: number + 1, Column: 1, Byte: start}
		start, number = start+len(line), number+1
		line, _, _ = bytes.Cut(line, []byte("#"))
		word := bytes.TrimSpace(line)
		if len(word) == 0 {
			continue
		}
		at = along(at, bytes.Index(line, word))
		place := hcl.Range{Filename: path, Start: at, End: along(at, len(word))}
		if p, wrong, detail := parseNetwork(string(word)); wrong != "" {
			r.fail(place, wrong, detail)
		} else {
			items = append(items, p.String())
			list = append(list, writtenNetwork{p, place, true})
		}
	}
	r.warnTwice(list)
	return stringList(items)
}

// maxElements bounds what a local or a function holds: a few lines that double a list over and over would
// fill all memory.
const maxElements = 1 << 18

// concat is the function of that name in Terraform, within bounds.
var concat = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "lists", Type: cty.DynamicPseudoType},
	Type: func(args []cty.Value) (cty.Type, error) {
		elements := 0
		for _, v := range args {
			if v.IsKnown() && !v.IsNull() && v.CanIterateElements() {
				elements += v.LengthInt()
			}
		}
		if elements > maxElements {
			return cty.NilType, fmt.Errorf("the lists have %d elements, more than %d", elements, maxElements)
		}
		return stdlib.ConcatFunc.ReturnTypeForValues(args)
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stdlib.Concat(args...) },
})

// maxText bounds a text in a local for the same reason.
const maxText = 64 << 10

// tooMuch reports whether a value is beyond these bounds.
func tooMuch(v cty.Value) bool {
	return v.IsWhollyKnown() && !v.IsNull() && (v.Type() == cty.String && len(v.AsString()) > maxText ||
		v.CanIterateElements() && v.LengthInt() > maxElements)
}

// cidrSubnet is the function of that name in Terraform: of a network it numbers the parts that are
// longer by some bits, and returns one of them.
var cidrSubnet = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "network", Type: cty.String}, {Name: "newbits", Type: cty.Number}, {Name: "number", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		base, wrong, detail := parseNetwork(args[0].AsString())
		if wrong != "" {
			return cty.NilVal, function.NewArgErrorf(0, "%s", strings.TrimSuffix(detail, "."))
		}
		bits, accuracy := args[1].AsBigFloat().Int64()
		if accuracy != big.Exact || bits < 0 || bits > int64(base.Addr().BitLen()-base.Bits()) {
			return cty.NilVal, function.NewArgErrorf(1, "%v can be longer by 0 to %d bits", base, base.Addr().BitLen()-base.Bits())
		}
		number, parts := args[2].AsBigFloat(), new(big.Float).SetMantExp(big.NewFloat(1), int(bits))
		if !number.IsInt() || number.Sign() < 0 || number.Cmp(parts) >= 0 {
			return cty.NilVal, function.NewArgErrorf(2, "%v has %.0f parts of that length: want a whole number, from 0, of one", base, parts)
		}
		which, _ := number.Int(nil)
		mask := net.CIDRMask(base.Bits(), base.Addr().BitLen())
		subnet, err := cidr.SubnetBig(&net.IPNet{IP: base.Addr().AsSlice(), Mask: mask}, int(bits), which)
		if err != nil {
			return cty.NilVal, err
		}
		addr, _ := netip.AddrFromSlice(subnet.IP)
		return cty.StringVal(netip.PrefixFrom(addr, base.Bits()+int(bits)).String()), nil
	},
})
