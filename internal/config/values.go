package config

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Each of these reads an attribute into its place, and reports whether it was there and right. Where it
// was not, the place stays as it is.

// value evaluates an attribute. wants says what its value must be.
func (r *reader) value(a *hcl.Attribute, wants string, right func(cty.Value) bool) (v cty.Value, ok bool) {
	if a == nil {
		return v, false
	}
	v, diags := a.Expr.Value(r.eval)
	switch {
	case diags.HasErrors() && hcl.ExprAsKeyword(a.Expr) == "":
		r.diags = r.diags.Extend(diags)
	case diags.HasErrors() || v.IsNull() || !v.IsWhollyKnown() || !right(v):
		r.fail(a.Expr.Range(), "Wrong type", fmt.Sprintf("%q wants %s.", a.Name, wants))
	default:
		return v, true
	}
	return v, false
}

// needs reports an attribute that a block cannot do without, if it is not there. what says what it is for.
func (r *reader) needs(block hcl.Body, a *hcl.Attribute, name, what string) {
	if a == nil {
		r.fail(block.MissingItemRange(), "Missing attribute", fmt.Sprintf("The block wants %q: %s.", name, what))
	}
}

func isText(v cty.Value) bool { return v.Type() == cty.String }

func (r *reader) text(to *string, a *hcl.Attribute) bool {
	v, ok := r.value(a, "a text in quotes", isText)
	if ok && v.AsString() == "" {
		r.fail(a.Expr.Range(), "Empty text", fmt.Sprintf("%q wants a text with something in it: write one, or leave it out.", a.Name))
		return false
	}
	if ok {
		*to = v.AsString()
	}
	return ok
}

// path reads a path, relative to the folder of the file.
func (r *reader) path(to *string, a *hcl.Attribute) bool {
	var path string
	if !r.text(&path, a) {
		return false
	}
	if strings.ContainsRune(path, 0) {
		r.fail(a.Expr.Range(), "Not a path", "No path has a NUL in it: write another one.")
		return false
	}
	if *to = filepath.Clean(path); !filepath.IsAbs(path) {
		*to = filepath.Join(r.folder, path)
	}
	return true
}

func (r *reader) flag(to *bool, a *hcl.Attribute) bool {
	v, ok := r.value(a, "true or false, without quotes", func(v cty.Value) bool { return v.Type() == cty.Bool })
	if ok {
		*to = v.True()
	}
	return ok
}

// oneOf reads one of a few words, and returns which.
func (r *reader) oneOf(a *hcl.Attribute, words []string) (int, bool) {
	var s string
	if !r.text(&s, a) {
		return 0, false
	}
	i := slices.Index(words, s)
	if i < 0 {
		r.fail(a.Expr.Range(), "Unknown "+a.Name, fmt.Sprintf("%q is none of %s.", s, strings.Join(words, ", ")))
	}
	return i, i >= 0
}

// count reads a whole number of 1 to most.
func (r *reader) count(to *int, a *hcl.Attribute, most int) bool {
	v, ok := r.value(a, "a number, without quotes", func(v cty.Value) bool { return v.Type() == cty.Number })
	if !ok {
		return false
	}
	n, exact := v.AsBigFloat().Int64()
	if exact != big.Exact || n < 1 || n > int64(most) {
		r.fail(a.Expr.Range(), "Number out of range", fmt.Sprintf("%q is a whole number of 1 to %d.", a.Name, most))
		return false
	}
	*to = int(n)
	return true
}

// duration reads a time with a unit.
func (r *reader) duration(to *time.Duration, a *hcl.Attribute, least, most time.Duration) bool {
	v, ok := r.value(a, "a time in quotes, as in \"24h\" or \"1m\"", func(v cty.Value) bool { return isText(v) || v.Type() == cty.Number })
	if !ok {
		return false
	}
	if !isText(v) {
		r.fail(a.Expr.Range(), "Not a duration", fmt.Sprintf("%q wants a unit, and quotes around both, as in \"24h\" or \"1m\".", a.Name))
		return false
	}
	d, err := time.ParseDuration(v.AsString())
	switch {
	case err != nil:
		r.fail(a.Expr.Range(), "Not a duration", fmt.Sprintf("Write a number with a unit, as in \"24h\" or \"1m\", not %q.", v.AsString()))
	case d < least || d > most:
		r.fail(a.Expr.Range(), "Duration out of range", fmt.Sprintf("%q is %s to %s.", a.Name, short(least), short(most)))
	default:
		*to = d
		return true
	}
	return false
}

// short writes a duration without the units that are zero at its end: 24h, not 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// listen reads host and port.
func (r *reader) listen(to *string, a *hcl.Attribute) bool {
	var s string
	if !r.text(&s, a) {
		return false
	}
	if wrong := checkListen(s); wrong != "" {
		r.fail(a.Expr.Range(), "Not an address", wrong)
		return false
	}
	*to = s
	return true
}

// checkListen returns what to write instead of what is not host and port.
func checkListen(s string) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		hint := ""
		if a, err := netip.ParseAddr(s); err == nil {
			hint = fmt.Sprintf(" A port follows the address, as in %q.", netip.AddrPortFrom(a, 5354))
		}
		return fmt.Sprintf("Write host and port, as in %q or %q, not %q.%s", "127.0.0.1:5354", "[::1]:5354", s, hint)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Sprintf("The port is a number of 0 to 65535, not %q.", port)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHost(host) {
		return fmt.Sprintf("The host is an IP address or a name, not %q. For every address leave it out, as in %q.", host, ":"+port)
	}
	return ""
}

// isHost reports whether a text is the name of a host, and no IP address that is cut short.
func isHost(s string) bool {
	label := ""
	for label = range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, isNotLDH) {
			return false
		}
	}
	return len(s) <= 253 && strings.Trim(label, "0123456789") != ""
}

func isNotLDH(c rune) bool {
	return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

// An element is one of a list, with the place where it is written.
type element struct {
	text string
	at   hcl.Range
}

// list reads a list of texts. what says of what it is one.
func (r *reader) list(a *hcl.Attribute, what, example string) (out []element, ok bool) {
	wants := fmt.Sprintf("a list of %s, each a text in quotes, as in [%q]", what, example)
	v, ok := r.value(a, wants, func(v cty.Value) bool {
		return v.CanIterateElements() && !v.Type().IsObjectType() && !v.Type().IsMapType()
	})
	if !ok {
		return nil, false
	}
	// The elements of a literal list have places of their own; those of a computed one share its.
	places, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() {
		places = nil
	}
	for i, e := range v.AsValueSlice() {
		at := a.Expr.Range()
		if i < len(places) {
			at = places[i].Range()
		}
		if e.IsNull() || !isText(e) {
			r.fail(at, "Wrong type", fmt.Sprintf("%q wants %s.", a.Name, wants))
			ok = false
			continue
		}
		out = append(out, element{e.AsString(), at})
	}
	return out, ok
}

func (r *reader) interfaces(to *[]string, a *hcl.Attribute) bool {
	list, ok := r.list(a, "names of interfaces", "eth0")
	names := []string{}
	for _, e := range list {
		switch e.text {
		case "":
			r.fail(e.at, "Empty text", "An interface has a name: write one, or leave interfaces out for all of them.")
			ok = false
		case "none": // as the flag of serve has it
			r.fail(e.at, "Not an interface", "To switch Multicast DNS off write enabled = false.")
			ok = false
		}
		names = append(names, e.text)
	}
	if ok {
		*to = names
	}
	return ok
}
