package policytest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

// write puts files into a new folder, and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

const (
	someCandidate = `candidate = "candidate:1 1 udp 1 10.0.0.1 5000 typ host"`
	someLookup    = "lookup = \"10.0.0.1\"\nfrom = \"10.0.0.2\""
)

// TestMistakes has each mistake told once, with the line and what to write.
func TestMistakes(t *testing.T) {
	const expect = "\nexpect { result = \"kept\" }"
	for _, tt := range []struct {
		name, body   string // of a case that begins in line 1
		line         int
		summary, say string
	}{
		{"unknown attribute", someCandidate + "\norigine = \"https://a.example\"" + expect, 3, "Unsupported argument", `Did you mean "origin"?`},
		{"unknown expectation", someCandidate + "\nexpect { resut = \"kept\" }", 3, "Unsupported argument", `Did you mean "result"?`},
		{"no subject", `client = "10.0.0.1"` + expect, 1, "Not one subject", "set candidate, description or lookup"},
		{"two subjects", someCandidate + "\ndescription = \"v=0\"" + "\nexpect {\n result = \"passed\"\n}", 1, "Not one subject", "set candidate, description or lookup"},
		{"no expect", someCandidate, 1, "Nothing expected", `expect { result = "encrypted" }`},
		{"two expects", someCandidate + expect + expect, 4, "Second expect of a case", "into one block"},
		{"nothing expected", someCandidate + "\nexpect {}", 3, "Nothing expected", "cannot fail"},
		{"client", someCandidate + "\nclient = \"10.0.0.0/8\"" + expect, 3, "Not an address", `not "10.0.0.0/8"`},
		{"lookup", "lookup = \"10.0.0\"\nfrom = \"10.0.0.2\"\nexpect { result = \"refused\" }", 2, "Not an address", `not "10.0.0"`},
		{"from", "lookup = \"10.0.0.1\"\nfrom = \"host\"\nexpect { result = \"refused\" }", 3, "Not an address", `not "host"`},
		{"lookup of nobody", "lookup = \"10.0.0.1\"\nexpect { result = \"refused\" }", 1, "Nobody asks", `from = "10.20.3.4"`},
		{"address of a name", someCandidate + "\nnames = { \"a.local\" = \"10.0.0\" }" + expect, 3, "Not an address", `not "10.0.0"`},
		{"names", someCandidate + "\nnames = [\"a.local\"]" + expect, 3, "Wrong type", `"names" wants browsers' names`},
		{"origin", someCandidate + "\norigin = \"https://a.example/\"" + expect, 3, "Not an origin", "https://meet.example.com"},
		{"flag", someCandidate + "\ninbound = \"yes\"" + expect, 3, "Wrong type", "true or false"},
		{"null", someCandidate + "\nclient = null" + expect, 3, "Wrong type", "a text in quotes"},
		{"result", someCandidate + "\nexpect { result = \"droped\" }", 3, "Unknown result", `"droped" is none of encrypted`},
		{"result of a description", "description = \"v=0\"\nexpect { result = \"encrypted\" }", 3, "Unknown result", "none of passed, refused"},
		{"result of a lookup", someLookup + "\nexpect { result = \"kept\" }", 4, "Unknown result", "none of answered, refused"},
		{"count", someCandidate + "\nexpect { kept = \"one\" }", 3, "Wrong type", "a whole number"},
		{"part of a count", someCandidate + "\nexpect { kept = 1.5 }", 3, "Wrong type", "a whole number"},
		{"policy", someCandidate + "\nexpect { policy = [] }", 3, "Wrong type", "a text in quotes"},
		{"contains", someCandidate + "\nexpect { contains = \"host\" }", 3, "Wrong type", "a list of texts"},
		{"lacks nothing", someCandidate + "\nexpect { lacks = [\"\"] }", 3, "Empty text", "write what to look for"},
		{"ttl", someLookup + "\nexpect { ttl = \"5\" }", 4, "Not a duration", `"120s"`},
		{"from of a candidate", someCandidate + "\nfrom = \"10.0.0.1\"" + expect, 3, "Not for this case", "from is for lookups"},
		{"on_link of a candidate", someCandidate + "\non_link = true" + expect, 3, "Not for this case", "on_link is for lookups"},
		{"ttl of a candidate", someCandidate + "\nexpect { ttl = \"5s\" }", 3, "Not for this case", "ttl is for lookups"},
		{"rate of a candidate", someCandidate + "\nexpect { rate = 5 }", 3, "Not for this case", "rate is for lookups"},
		{"client of a lookup", someLookup + "\nclient = \"10.0.0.1\"\nexpect { result = \"refused\" }", 4, "Not for this case", "client is for candidates and descriptions"},
		{"origin of a lookup", someLookup + "\norigin = \"https://a.example\"\nexpect { result = \"refused\" }", 4, "Not for this case", "origin is for candidates"},
		{"count of a lookup", someLookup + "\nexpect { kept = 1 }", 4, "Not for this case", "kept is for candidates"},
		{"contains of a lookup", someLookup + "\nexpect { contains = [\"a\"] }", 4, "Not for this case", "contains is for candidates"},
		{"contents of what is refused", "description = \"v=0\"\nexpect {\n result = \"refused\"\n lacks = [\"a\"]\n}", 3, "Nothing to look at", "result, policy and by alone"},
		{"unknown function", "description = files(\"a\")" + "\nexpect { result = \"passed\" }", 2, "Call to unknown function", `Did you mean "file"?`},
		{"file outside", "description = file(\"../secret\")" + "\nexpect { result = \"passed\" }", 2, "Error in function call", "not in the folder of the file that names it"},
		{"file outside by its path", "description = file(\"/etc/hosts\")" + "\nexpect { result = \"passed\" }", 2, "Error in function call", "not in the folder of the file that names it"},
		{"file outside by a link", "description = file(\"link\")" + "\nexpect { result = \"passed\" }", 2, "Error in function call", "escapes"},
		{"no such file", "description = file(\"nowhere.sdp\")" + "\nexpect { result = \"passed\" }", 2, "Error in function call", "nowhere.sdp: no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := write(t, map[string]string{"sub/a.test.hcl": "case \"a\" {\n" + tt.body + "\n}\n", "secret": "v=0\n"})
			if err := os.Symlink("../secret", filepath.Join(folder, "sub", "link")); err != nil {
				t.Skip(err)
			}
			path := filepath.Join(folder, "sub", "a.test.hcl")
			_, err := Load(path)
			var invalid *policy.Invalid
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v", err)
			}
			if len(invalid.Problems) != 1 {
				t.Errorf("%d problems: %v", len(invalid.Problems), err)
			}
			p := invalid.Problems[0]
			if p.Place() != fmt.Sprintf("%s:%d", path, tt.line) || p.Summary != tt.summary || !strings.Contains(p.Detail, tt.say) {
				t.Errorf("%s: %s: %s", p.Place(), p.Summary, p.Detail)
			}
		})
	}
}

func TestMistakesOfFiles(t *testing.T) {
	for _, tt := range []struct{ text, say string }{
		{"", "No case"},
		{"case {}", "Missing name for case"},
		{"policy \"a\" {}", "Unsupported block type"},
		{"case \"a\" {", "Unclosed configuration block"},
	} {
		path := filepath.Join(write(t, map[string]string{"a.test.hcl": tt.text}), "a.test.hcl")
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), tt.say) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", tt.text, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "a.test.hcl")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestBeside(t *testing.T) {
	folder := write(t, map[string]string{
		"a.hcl": "", "a.test.hcl": "", "b.hcl.json": "", "b.test.hcl": "", "c.d.hcl": "", "c.test.hcl": "", "c.d.test.hcl": "",
		"e.hcl": "", ".f.test.hcl": "", "all.test.hcl": "", "empty/a.hcl": "",
	})
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"a.hcl", []string{"a.test.hcl"}},
		{"b.hcl.json", []string{"b.test.hcl"}},
		{"c.d.hcl", []string{"c.d.test.hcl"}},
		{"e.hcl", nil},
		{".", []string{"a.test.hcl", "all.test.hcl", "b.test.hcl", "c.d.test.hcl", "c.test.hcl"}},
		{"empty", nil},
	} {
		got, err := Beside(filepath.Join(folder, tt.path))
		if errors.Is(err, ErrNoTests) != (tt.want == nil) {
			t.Errorf("%s: %v", tt.path, err)
		}
		var names []string
		for _, g := range got {
			names = append(names, filepath.Base(g))
		}
		if strings.Join(names, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s: got %v, want %v", tt.path, names, tt.want)
		}
	}
	for test, want := range map[string]string{"a.test.hcl": "a.hcl", "b.test.hcl": "b.hcl.json", "c.d.test.hcl": "c.d.hcl", "all.test.hcl": ""} {
		got, err := Tested(filepath.Join(folder, test))
		if err != nil || got != filepath.Join(folder, want) {
			t.Errorf("%s: got %s, %v", test, got, err)
		}
	}
	if _, err := Beside(filepath.Join(folder, "nowhere.hcl")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
