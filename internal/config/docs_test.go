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
	for _, name := range []string{"config.md", "dns.md", "api.md", "proxy.md", "sfu.md"} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(page), "```hcl\n")[1:]
		if len(blocks) == 0 {
			t.Fatalf("no configuration is documented in %s", name)
		}
		for i, rest := range blocks {
			block, _, _ := strings.Cut(rest, "```")
			if _, err := config.Parse(policy.Source{Name: fmt.Sprintf("%s, block %d", name, i+1), Text: []byte(block)}); err != nil {
				t.Error(err)
			}
		}
	}
}
