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
	page, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```hcl\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no configuration is documented")
	}
	for i, rest := range blocks {
		block, _, _ := strings.Cut(rest, "```")
		if _, err := config.Parse(policy.Source{Name: fmt.Sprintf("config.md, block %d", i+1), Text: []byte(block)}); err != nil {
			t.Error(err)
		}
	}
}
