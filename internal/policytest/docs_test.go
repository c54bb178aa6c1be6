package policytest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/policytest"
	"github.com/candgw/candgw/policy"
)

// The cases in the documentation are tests of the first policy in it, and pass.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var set *policy.Set
	cases := 0
	for _, rest := range strings.Split(string(page), "```hcl\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		if set == nil {
			if set, err = new(policy.Loader).Load(policy.Source{Name: "policy.md", Text: []byte(block)}); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.HasPrefix(block, "case ") {
			continue
		}
		file := filepath.Join(t.TempDir(), "policy.test.hcl")
		if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := policytest.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if failures, err := c.Run(set); err != nil || failures != nil {
				t.Errorf("%s: %v %v", c.Name, failures, err)
			}
			cases++
		}
	}
	if cases == 0 {
		t.Error("no test is documented")
	}
}
