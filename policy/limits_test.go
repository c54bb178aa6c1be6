package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

// However deep a file nests, it is an error like any other: HCL itself would overflow the stack.
func TestDeepNesting(t *testing.T) {
	const many = 1 << 14
	for _, tt := range []struct{ name, before, again, after string }{
		{"parentheses", "x = ", "(", ""},
		{"lists", "x = ", "[", ""},
		{"objects", "x = ", "{a=", ""},
		{"minus", "x = ", "-", "1\n"},
		{"not", "x = ", "!", "true\n"},
		{"minus over lines", "x = (", "-\n", "1)\n"},
		{"minus over lines of a for", "x = {for a in b : a => ", "-\n", "1}\n"},
		{"minus in calls", "x = ", "-f(1,-", ""},
		{"interpolation without quotes", "x = ", "${", ""},
		{"interpolation", "x = ", "\"${", ""},
		{"condition", "x = ", "a?", ""},
		{"conditions", "x = ", "a?b:", "c\n"},
		{"for", "x = ", "[for a in ", ""},
		{"blocks", "", "policy {\n", ""},
		{"calls", "x = ", "f(", ""},
		{"index in index", "x = ", "a[", ""},
		{"index after index", "x = a", "[b]", "\n"},
		{"splat", "x = a", "[*]", "\n"},
		{"attribute splat", "x = a", ".*", "\n"},
		{"attributes of a call", "x = f()", ".a", "\n"},
		{"sum", "x = 1", "+1", "\n"},
		{"sum over lines", "x = (1", "+1\n", ")\n"},
		{"product", "x = 1", "*1", "\n"},
		{"remainder", "x = 1", "%1", "\n"},
		{"quotient", "x = 1", "/1", "\n"},
		{"and", "x = a", "&&a", "\n"},
		{"or", "x = a", "||a", "\n"},
		{"equal", "x = a", "==a", "\n"},
		{"less", "x = a", "<a", "\n"},
		{"if in a template", "x = \"", "%{if a}", "\"\n"},
		{"if that is never closed", "x = ", "\"%{if ", ""},
		{"for in a heredoc", "x = <<E\n", "%{for a in b}\n", "E\n"},
		{"brackets that close another", "x = ", "([)", "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "\n" + tt.before + strings.Repeat(tt.again, many/len(tt.again)) + tt.after
			p := mistakesIn(t, policy.Source{Name: "deep.hcl", Text: []byte(text)})
			if len(p) != 1 || p[0].Summary != "Nested too deep" || p[0].Line < 2 || !strings.Contains(p[0].Detail, "at most 100 deep") {
				t.Errorf("got %.300v", p)
			}
		})
	}
	for _, tt := range []struct{ name, text, says string }{
		{"arrays", "\n" + strings.Repeat("[", many), "Nested too deep"},
		{"objects", "\n" + strings.Repeat(`{"a":`, many), "Nested too deep"},
		{"after a mistake", "\n[nul, " + strings.Repeat("[", many), "Not JSON"},
		{"after a number that is none", "\n[01, " + strings.Repeat("[", many), "Not JSON"},
		{"template", "{\"policy\":\n{\"a\": {\"description\": " + quoted("${"+strings.Repeat("-", many)+"1}") + "}}}", "Nested too deep"},
		{"template in a name", "{\"policy\":\n{" + quoted(strings.Repeat(`${"`, many)) + ": {}}}", "Nested too deep"},
	} {
		t.Run("JSON, "+tt.name, func(t *testing.T) {
			p := mistakesIn(t, policy.Source{Name: "deep.hcl.json", Text: []byte(tt.text)})
			if len(p) != 1 || p[0].Summary != tt.says || p[0].Line != 2 {
				t.Errorf("got %.300v", p)
			}
		})
	}
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// What is long without being deep is no mistake.
func TestLongButNotDeep(t *testing.T) {
	load(t, "locals {\n"+
		" a = ["+strings.Repeat(`["-1.2.3", -1, !true, "${"a"}"], `, 1000)+"]\n"+
		" b = [\n"+strings.Repeat(`  [-1],`+"\n", 1000)+"]\n"+
		strings.Repeat(" # {[(\n", 1000)+
		" c = {\n"+bindings(1000)+" }\n"+
		" d = \""+strings.Repeat("${1} {[( ", 1000)+"\"\n}\n"+
		"policy \"a\" {}")
}

func bindings(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  k%d = -1 + 2\n", i)
	}
	return b.String()
}

func TestTooMuch(t *testing.T) {
	p := mistakesIn(t, policy.Source{Name: "big.hcl", Text: make([]byte, policy.MaxFile+1)})
	if len(p) != 1 || p[0].Place() != "big.hcl" || p[0].Text != "Error: File too large\n\n  in big.hcl\n\nA policy file has at most 4 MiB: split it." {
		t.Errorf("got %+v", p)
	}
	var b strings.Builder
	for i := range policy.MaxPolicies {
		fmt.Fprintf(&b, "policy \"%d\" { clients = [\"10.%d.%d.0/24\"] }\n", i, i/256, i%256)
	}
	if set := load(t, b.String()); set.Len() != policy.MaxPolicies || len(set.Warnings()) > 0 {
		t.Errorf("%d policies, %d warnings", set.Len(), len(set.Warnings()))
	}
	b.WriteString("policy \"more\" {}\npolicy \"and more\" {}\n")
	p = mistakesIn(t, policy.Source{Name: "many.hcl", Text: []byte(b.String())})
	if len(p) != 1 || p[0].Line != policy.MaxPolicies+1 || !strings.Contains(p[0].Detail, "at most 10000 policies") {
		t.Errorf("got %+v", p)
	}
}

// All mistakes of all files, with those that can be seen beside a syntax error or an unknown name.
func TestAllAtOnce(t *testing.T) {
	p := mistakesIn(t,
		policy.Source{Name: "b.hcl", Text: []byte("locals {\n  campus = [\"10.0.0.0/8\"]\n  own = [\"10.0.0.0/8\"]\n}\npolicy \"a\" {\n  clients = [\n    \"x\",\n    \"y\",\n  ]\n  resolv {}\n  resolve { ttl = \"y\" }\n}")},
		policy.Source{Name: "a.hcl", Text: []byte("policy \"b\" {\n  clients = local.campus\n  adresses = []\n}\npolicy \"c\" {\n  clients = local.campsu\n}")},
		policy.Source{Name: "c.hcl.json", Text: []byte("{\"policy\": {\"d\": {\n\"clients\": [\"10.0.0.1/8\"],\n\"resolve\": {\"ttl\": 1}}}}")},
	)
	var got []string
	for _, p := range p {
		got = append(got, p.Place())
	}
	if want := []string{"a.hcl:3", "a.hcl:6", "b.hcl:7", "b.hcl:8", "b.hcl:10", "b.hcl:11", "c.hcl.json:2", "c.hcl.json:3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: %+v", got, want, p)
	}
	// A local may stand in what could not be read.
	p = mistakesIn(t,
		policy.Source{Name: "a.hcl", Text: []byte("locals {\n  campus = [\n}")},
		policy.Source{Name: "b.hcl", Text: []byte("policy \"b\" {\n  clients = local.campus\n  origins = [\"x\"]\n}")},
	)
	if len(p) != 2 || p[0].File != "a.hcl" || p[1].Place() != "b.hcl:3" {
		t.Errorf("got %+v", p)
	}
}

// Of many mistakes a hundred are told, and how many there are more.
func TestManyMistakes(t *testing.T) {
	text := "policy \"a\" {\n clients = [\n" + strings.Repeat("\"x\",\n", 250) + "]\n name { suffix = \"a.example\" }\n}"
	_, err := new(policy.Loader).Load(policy.Source{Name: "a.hcl", Text: []byte(text)})
	var invalid *policy.Invalid
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, p := range invalid.Problems {
		counts[p.Severity]++
	}
	if counts["error"] != 100 || counts["warning"] != 1 || strings.Count(err.Error(), "(and 150 more)") != 1 {
		t.Errorf("got %v, %v", counts, err)
	}
}

// A hundred mistakes at the end of a long list are told in a moment: not in one for each of its lines.
func TestMistakesOfLongList(t *testing.T) {
	folder := t.TempDir()
	write(t, folder+"/list", strings.Repeat("10.0.0.0/33\n", policy.MaxFile/12))
	p := mistakesIn(t, policy.Source{Name: folder + "/a.hcl", Text: []byte("policy \"a\" { clients = file_lines(\"list\") }")})
	if len(p) != 100 || p[99].Line != 100 || !strings.Contains(p[99].Text, fmt.Sprintf("(and %d more)", policy.MaxFile/12-100)) {
		t.Errorf("got %d, the last %+v", len(p), p[len(p)-1])
	}
}

// A few lines that double a list or a text over and over are an error before they fill the memory.
func TestDoublingIsBounded(t *testing.T) {
	for name, step := range map[string]string{
		"lists": "x%d = concat(" + strings.Repeat("local.x%[2]d, ", 10) + "[])\n",
		"texts": "x%d = \"" + strings.Repeat("${local.x%[2]d}", 10) + "\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			text.WriteString("locals {\n" + map[string]string{"lists": "x0 = [\"10.0.0.0/8\"]\n", "texts": "x0 = \"0123456789\"\n"}[name])
			for i := range 12 {
				fmt.Fprintf(&text, step, i+1, i)
			}
			text.WriteString("}\npolicy \"a\" {}\n")
			p := mistakesIn(t, policy.Source{Name: "double.hcl", Text: []byte(text.String())})
			if len(p) != 1 || !strings.Contains(p[0].Detail, "more than 262144") && !strings.Contains(p[0].Detail, "at most 262144") {
				t.Errorf("got %.500v", p)
			}
		})
	}
}
