package policytest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

var policyNames = regexp.MustCompile(`(?m)^policy "([^"]+)"`)

const examples = "../../examples/policies"

// TestExamples runs each example with the tests beside it.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, policy.IsTest)
	if len(files) != 8 {
		t.Errorf("%d examples, want 8", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			set, err := new(policy.Loader).LoadPath(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range set.Warnings() {
				if w.Summary != "Suite of the draft" || filepath.Base(file) != "draft-interop.hcl" {
					t.Errorf("warning: %s", w.Text)
				}
			}
			tests, err := Beside(file)
			if err != nil {
				t.Fatal(err)
			}
			reached := map[string]bool{}
			for _, test := range tests {
				cases, err := Load(test)
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for _, c := range cases {
					if seen[c.Name] {
						t.Errorf("second case %q", c.Name)
					}
					seen[c.Name] = true
					failures, err := c.Run(set)
					if err != nil {
						t.Errorf("%s: %v", c.Name, err)
					}
					if len(failures) > 0 {
						t.Errorf("%s: %s", c.Name, strings.Join(failures, "\n\t"))
					}
					if c.expect.policy != nil {
						reached[*c.expect.policy] = true
					}
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range policyNames.FindAllStringSubmatch(string(text), -1) {
				if !reached[name[1]] {
					t.Errorf("no case expects that policy %q decides", name[1])
				}
			}
		})
	}
}
