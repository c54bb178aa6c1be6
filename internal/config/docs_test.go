package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/policy"
)

// Every block in the documentation is a configuration.
func TestDocumentation(t *testing.T) {
	for _, name := range []string{"docs/config.md", "docs/dns.md", "docs/api.md", "docs/proxy.md", "docs/sfu.md", "docs/extension.md", "README.md"} {
		page, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(page), "```hcl\n")[1:]
		if len(blocks) == 0 {
			t.Fatalf("no configuration is documented in %s", name)
		}
		for i, rest := range blocks {
			block, _, _ := strings.Cut(rest, "```")
			if name == "README.md" && strings.HasPrefix(block, "policy ") { // which is run by the package policy
				continue
			}
			if _, err := config.Parse(policy.Source{Name: fmt.Sprintf("%s, block %d", name, i+1), Text: []byte(block)}); err != nil {
				t.Error(err)
			}
		}
	}
}
