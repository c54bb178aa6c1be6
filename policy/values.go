package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gaissmai/bart"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// text evaluates an attribute that must be a text; it returns "" where it reported that it is none.
func (r *reader) text(a *hcl.Attribute) string {
	v, ok := r.value(a)
	if !ok {
		return ""
	}
	switch {
	case v.IsNull() || v.Type() != cty.String:
		r.fail(a.Expr.Range(), "Wrong type", fmt.Sprintf("%q wants a text in quotes.", a.Name))
		return ""
	case v.AsString() == "":
		r.fail(a.Expr.Range(), "Empty text", fmt.Sprintf("%q wants a text with something in it: write one, or leave it out.", a.Name))
	}
	return v.AsString()
}

// oneOf evaluates an attribute that must be one of a few words.
func (r *reader) oneOf(a *hcl.Attribute, words []string) string {
	s := r.text(a)
	if s != "" && !slices.Contains(words, s) {
		r.fail(a.Expr.Range(), fmt.Sprintf("Unknown %s", a.Name), choice(s, words))
	}
	return s
}

// flag evaluates an attribute that must be true or false, which it is if unset.
func (r *reader) flag(a *hcl.Attribute) bool {
	if a == nil {
		return false
	}
	v, ok := r.value(a)
	if !ok {
		return false
	}
	if v.IsNull() || v.Type() != cty.Bool {
		r.fail(a.Expr.Range(), "Wrong type", fmt.Sprintf("%q wants true or false, without quotes.", a.Name))
		return false
	}
	return v.True()
}

// number evaluates an attribute that must be a whole number.
func (r *reader) number(a *hcl.Attribute, least, most int) int {
	v, ok := r.value(a)
	if !ok {
		return least
	}
	if !v.IsNull() && v.Type() == cty.Number {
		if n, exact := v.AsBigFloat().Int64(); exact == 0 && int64(least) <= n && n <= int64(most) {
			return int(n)
		}
	}
	r.fail(a.Expr.Range(), "Not such a number", fmt.Sprintf("%q wants a whole number of %d to %d, without quotes.", a.Name, least, most))
	return least
}

// duration evaluates an attribute that must be a time with a unit.
func (r *reader) duration(a *hcl.Attribute, least, most time.Duration) time.Duration {
	v, ok := r.value(a)
	if !ok {
		return least
	}
	if !v.IsNull() && v.Type() == cty.Number {
		r.fail(a.Expr.Range(), "Not a duration", fmt.Sprintf("%q wants a unit, and quotes around both, as in \"120s\" or \"5m\".", a.Name))
		return least
	}
	s := r.text(a)
	d, err := time.ParseDuration(s)
	switch {
	case s == "": // reported by text
	case err != nil:
		r.fail(a.Expr.Range(), "Not a duration", fmt.Sprintf("Write a number with a unit, as in \"120s\" or \"5m\", not %q.", s))
	case d < least || d > most:
		r.fail(a.Expr.Range(), "Duration out of range", fmt.Sprintf("%q is %v to %v.", a.Name, least, most))
	default:
		return d
	}
	return least
}

// An element is one of a list, with the place where it is written.
type element struct {
	text string
	at   hcl.Range
}

// list evaluates an attribute that must be a list of texts. what says of what it is one.
func (r *reader) list(a *hcl.Attribute, what, example string) []element {
	v, ok := r.value(a)
	if !ok {
		return nil
	}
	if v.IsNull() || !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		r.fail(a.Expr.Range(), "Wrong type", fmt.Sprintf("%q wants a list of %s, as in [%q].", a.Name, what, example))
		return nil
	}
	// The elements of a literal list have places of their own; those of a computed one share its.
	places, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() {
		places = nil
	}
	out := make([]element, 0, v.LengthInt())
	for i, e := range v.AsValueSlice() {
		at := a.Expr.Range()
		if i < len(places) {
			at = places[i].Range()
		}
		if e.IsNull() || e.Type() != cty.String {
			r.fail(at, "Wrong type", fmt.Sprintf("%q wants a list of %s, each a text in quotes, as in [%q].", a.Name, what, example))
			continue
		}
		out = append(out, element{e.AsString(), at})
	}
	return out
}

// words evaluates an attribute that must be a list of some of a few words. It is nil only if unset.
func (r *reader) words(a *hcl.Attribute, words []string) []string {
	if a == nil {
		return nil
	}
	out := []string{}
	for _, e := range r.list(a, strings.Join(words, " and "), words[0]) {
		if !slices.Contains(words, e.text) {
			r.fail(e.at, fmt.Sprintf("Unknown word in %s", a.Name), choice(e.text, words))
		} else if !slices.Contains(out, e.text) {
			out = append(out, e.text)
		}
	}
	return out
}

// origins evaluates an attribute that must be a list of web origins.
func (r *reader) origins(a *hcl.Attribute) (out []Origin) {
	for _, e := range r.list(a, "web origins", "https://meet.example.com") {
		o, err := ParseOrigin(e.text)
		if err != nil {
			r.fail(e.at, "Not an origin", fmt.Sprintf("Write it as browsers send it, scheme and host alone, as in \"https://meet.example.com\", not %q. For every page leave origins out.", e.text))
			continue
		}
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// A writtenList is a list of networks as it stands in a policy.
type writtenList []writtenNetwork

type writtenNetwork struct {
	netip.Prefix
	at      hcl.Range
	literal bool // written out there
}

// networks evaluates an attribute that must be a list of networks.
func (r *reader) networks(a *hcl.Attribute) writtenList {
	list := r.list(a, "networks", "10.0.0.0/8")
	out := make(writtenList, 0, len(list))
	literal := isLiteral(a.Expr)
	for _, e := range list {
		p, wrong, detail := parseNetwork(e.text)
		if wrong != "" {
			r.fail(e.at, wrong, detail)
			continue
		}
		out = append(out, writtenNetwork{p, e.at, literal})
	}
	if literal {
		r.warnTwice(out)
	}
	return out
}

// optionalNetworks is networks for an attribute that may be unset.
func (r *reader) optionalNetworks(a *hcl.Attribute) networks {
	if a == nil {
		return networks{}
	}
	local := ""
	if t, diags := hcl.AbsTraversalForExpr(a.Expr); !diags.HasErrors() && len(t) == 2 {
		for _, l := range localsOf(a.Expr) {
			local = l.name
		}
	}
	if n, ok := r.tables[local]; ok {
		return n
	}
	n := r.networks(a).compile()
	if local != "" && !r.diags.HasErrors() {
		r.tables[local] = n
	}
	return n
}

func (l writtenList) compile() networks {
	n := networks{set: true}
	for _, p := range l {
		if n.table == nil {
			n.table = new(bart.Lite)
		}
		n.table.Insert(p.Prefix)
	}
	return n
}

// isLiteral reports whether an expression is a list written out.
func isLiteral(e hcl.Expression) bool {
	_, diags := hcl.ExprList(e)
	return !diags.HasErrors()
}

// coveredTwice warns of networks in a local that is a list written out.
func (r *reader) coveredTwice(e hcl.Expression, v cty.Value) {
	places, diags := hcl.ExprList(e)
	if diags.HasErrors() || !v.CanIterateElements() {
		return
	}
	var list writtenList
	for i, item := range v.AsValueSlice() {
		if i < len(places) && !item.IsNull() && item.Type() == cty.String {
			if p, wrong, _ := parseNetwork(item.AsString()); wrong == "" {
				list = append(list, writtenNetwork{p, places[i].Range(), true})
			}
		}
	}
	r.warnTwice(list)
}

// warnTwice warns of networks that another one of the same list holds.
func (r *reader) warnTwice(list writtenList) {
	var seen bart.Table[int]
	for i, p := range list {
		if _, ok := seen.Get(p.Prefix); ok {
			r.warn(p.at, "Network covered twice", fmt.Sprintf("%v is in this list already: leave one out.", p.Prefix))
			continue
		}
		seen.Insert(p.Prefix, i)
	}
	for _, p := range list {
		if p.Bits() == 0 {
			continue
		}
		wider := netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
		if by, _, ok := seen.LookupPrefixLPM(wider); ok {
			r.warn(p.at, "Network covered twice", fmt.Sprintf("%v is inside %v of the same list: leave one out.", p.Prefix, by))
		}
	}
}

// parseNetwork reads a network. What is wrong with it comes as a summary and what to do.
func parseNetwork(s string) (p netip.Prefix, wrong, detail string) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, "Not a network", fmt.Sprintf("Write an address and a length, as in \"10.0.0.0/8\", not %q.%s", s, hint(s))
	case p.Addr().Is4In6():
		return p, "Not a network", fmt.Sprintf("%q is an IPv4-mapped network: write the IPv4 one.", s)
	case p != p.Masked():
		return p, "Host bits set", fmt.Sprintf("%q has bits set beyond its length: write %q.", s, p.Masked())
	}
	return p, "", ""
}

// hint tells what is wrong with what is nearly a network.
func hint(s string) string {
	addr, length, _ := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	switch {
	case err != nil || a.Zone() != "":
		return ""
	case length == "":
		return fmt.Sprintf(" For one host write \"%v/%d\".", a, a.BitLen())
	}
	return fmt.Sprintf(" Its length is 0 to %d, without zeros before.", a.BitLen())
}
