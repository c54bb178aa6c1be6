package policy_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/policy"
)

func TestWarnings(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "list"), "10.0.0.0/8\n192.0.2.0/24\n\n10.1.0.0/16 # inside\n192.0.2.0/24\n")
	for _, tt := range []struct {
		name, text string
		want       []string // place: summary: a part of what to do
	}{
		{"same clients", "policy \"a\" { clients = [\"10.0.0.0/8\"] }\npolicy \"b\" { clients = [\"10.0.0.0/8\"] }", []string{`a.hcl:2: Policy is never reached: as "a" does (a.hcl:1). Move this one up`}},
		{"after everyone", "policy \"a\" {}\npolicy \"b\" { clients = [\"10.0.0.0/8\"] }", []string{`a.hcl:2: Policy is never reached: as "a" does`}},
		{"after everyone, with an origin", "policy \"a\" {}\npolicy \"b\" { origins = [\"https://a.example\"] }", []string{`a.hcl:2: Policy is never reached: as "a" does`}},
		{"after both halves", "policy \"a\" { clients = [\"10.0.0.0/9\"] }\npolicy \"b\" { clients = [\"10.128.0.0/9\"] }\npolicy \"c\" { clients = [\"10.0.0.0/8\"] }", []string{`a.hcl:3: Policy is never reached: as "a" does`}},
		{"one network after both halves", "policy \"a\" { clients = [\"10.0.0.0/9\"] }\npolicy \"b\" { clients = [\"10.128.0.0/9\"] }\npolicy \"c\" {\n clients = [\n  \"10.0.0.0/8\",\n  \"11.0.0.0/8\",\n ]\n}", []string{`a.hcl:5: Policies overlap: For 10.0.0.0/8 a policy before this one decides, as "a" does`}},
		{"last address", "policy \"a\" { clients = [\"255.255.255.254/31\"] }\npolicy \"b\" { clients = [\"255.255.255.255/32\"] }", []string{`a.hcl:2: Policy is never reached`}},
		{"for nobody", "policy \"a\" { clients = [] }", []string{`a.hcl:1: Policy is never reached: a list of it is empty`}},
		{"at no origin", "policy \"a\" { origins = [] }", []string{`a.hcl:1: Policy is never reached: a list of it is empty`}},
		{"same origin", "policy \"a\" { origins = [\"https://a.example\"] }\npolicy \"b\" {\n clients = [\"10.0.0.0/8\"]\n origins = [\"https://A.example:443\"]\n}", []string{`a.hcl:2: Policy is never reached: as "a" does`}},
		{"overlap", "policy \"a\" { clients = [\"10.0.0.0/8\"] }\npolicy \"b\" {\n clients = [\n  \"192.0.2.0/24\",\n  \"10.1.0.0/16\",\n ]\n}", []string{`a.hcl:5: Policies overlap: For 10.1.0.0/16 a policy before this one decides, as "a" does (a.hcl:1). Move this one up`}},
		{"lookups after everyone", "policy \"a\" {\n clients = [\"10.0.0.0/8\"]\n resolve { clients = [\"0.0.0.0/0\", \"::/0\"] }\n}\npolicy \"b\" {\n resolve { clients = [\"192.0.2.0/24\"] }\n}", []string{`a.hcl:6: Lookups are never reached: as "a" does (a.hcl:1). Move this one up`}},
		{"lookups of nobody", "policy \"a\" {\n resolve { clients = [] }\n}", []string{`a.hcl:2: Lookups are never reached: a list of it is empty`}},
		{"lookups after a policy without resolve", "policy \"a\" { clients = [\"10.0.0.0/8\"] }\npolicy \"b\" {\n resolve { clients = [\"10.1.0.0/16\"] }\n}", []string{`a.hcl:3: Lookups are never reached: as "a" does`}},
		{"lookups overlap", "policy \"a\" {\n clients = [\"10.0.0.0/8\"]\n resolve {}\n}\npolicy \"b\" {\n resolve { clients = [\"10.1.0.0/16\", \"192.0.2.0/24\"] }\n}", []string{`a.hcl:6: Policies overlap: For 10.1.0.0/16`}},
		{"own links after everyone", "policy \"a\" {\n resolve {}\n}\npolicy \"b\" {\n origins = [\"https://a.example\"]\n resolve {\n  clients = []\n  own_links = true\n }\n}", []string{`a.hcl:4: Policy is never reached`, `a.hcl:7: Lookups are never reached: as "a" does`}},
		{"own links twice", "policy \"a\" {\n clients = [\"10.0.0.0/8\"]\n resolve { own_links = true }\n}\npolicy \"b\" {\n resolve {\n  clients = []\n  own_links = true\n }\n}", []string{`a.hcl:7: Lookups are never reached: as "a" does`}},
		{"covered twice in a list", "policy \"a\" {\n clients = [\n  \"10.1.0.0/16\",\n  \"10.0.0.0/8\",\n  \"10.0.0.0/8\",\n ]\n}", []string{`a.hcl:3: Network covered twice: 10.1.0.0/16 is inside 10.0.0.0/8 of the same list: leave one out`, `a.hcl:5: Network covered twice: 10.0.0.0/8 is in this list already: leave one out`}},
		{"covered twice in addresses", "policy \"a\" {\n resolve { addresses = [\"10.0.0.0/8\", \"10.0.0.0/9\"] }\n}", []string{`a.hcl:2: Network covered twice`}},
		{"covered twice in a local", "locals {\n l = [\n  \"10.0.0.0/8\",\n  \"10.2.0.0/16\",\n ]\n}\npolicy \"a\" { clients = local.l }\npolicy \"b\" {\n resolve { clients = local.l }\n}", []string{`a.hcl:4: Network covered twice`, `a.hcl:9: Lookups are never reached`}},
		{"covered twice in a file", "policy \"a\" { clients = file_lines(\"list\") }", []string{`list:4: Network covered twice: 10.1.0.0/16 is inside 10.0.0.0/8`, `list:5: Network covered twice`}},
		{"suite of the draft", "policy \"a\" {\n name { suite = \"aes-gcm\" }\n}", []string{`a.hcl:2: Suite of the draft: Use "aes-uuid" unless`}},
		{"suffix not local", "policy \"a\" {\n name { suffix = \"ice.example\" }\n}", []string{`a.hcl:2: Not for browsers: Use it for native endpoints`}},
		{"otherwise without effect", "policy \"a\" {\n candidate \"host\" { otherwise = \"drop\" }\n}", []string{`a.hcl:2: No effect: set addresses or transports, or leave it out`}},
		{"no policy", "locals {\n a = []\n}", []string{`a.hcl: No policy: Write a block policy`}},
		{"empty file", "", []string{`a.hcl: No policy`}},

		{"specific first, general later", "policy \"a\" { clients = [\"10.1.0.0/16\"] }\npolicy \"b\" { clients = [\"10.0.0.0/8\"] }\npolicy \"c\" { clients = private_networks }\npolicy \"d\" {}", nil},
		{"an origin first", "policy \"a\" {\n clients = [\"10.0.0.0/8\"]\n origins = [\"https://a.example\"]\n}\npolicy \"b\" { clients = [\"10.0.0.0/8\"] }\npolicy \"c\" { clients = [\"10.0.0.0/7\"] }", nil},
		{"everyone at an origin first", "policy \"a\" { origins = [\"https://a.example\"] }\npolicy \"b\" { clients = [\"10.0.0.0/8\"] }", nil},
		{"one client list, two origins", "policy \"a\" {\n clients = [\"10.0.0.0/8\"]\n origins = [\"https://a.example\"]\n}\npolicy \"b\" {\n clients = [\"10.0.0.0/8\"]\n origins = [\"https://b.example\"]\n}", nil},
		{"known clients before all", "policy \"a\" { clients = [\"0.0.0.0/0\", \"::/0\"] }\npolicy \"b\" {}", nil},
		{"signaling in one, lookups in another", "policy \"a\" {\n clients = [\"10.0.0.0/8\"]\n resolve {}\n}\npolicy \"b\" {\n origins = [\"https://b.example\"]\n}", nil},
		{"one policy that is all networks twice", "policy \"a\" { clients = concat([\"10.0.0.0/9\"], [\"10.128.0.0/9\"], [\"10.0.0.0/8\"]) }", nil},
		{"a local beside private networks", "locals {\n campus = [\"10.20.0.0/16\", \"2001:db8:20::/48\"]\n}\npolicy \"a\" {\n candidate \"host\" { addresses = concat(local.campus, private_networks) }\n}", nil},
		{"neighbours", "policy \"a\" { clients = [\"10.0.0.0/9\", \"10.128.0.0/9\"] }\npolicy \"b\" { clients = [\"11.0.0.0/8\"] }", nil},
		{"the default", string(policies.Default), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := new(policy.Loader).Load(policy.Source{Name: filepath.Join(folder, "a.hcl"), Text: []byte(tt.text)})
			if err != nil {
				t.Fatal(err)
			}
			got := set.Warnings()
			ok := len(got) == len(tt.want)
			for i, w := range got {
				all := words(strings.ReplaceAll(fmt.Sprintf("%s: %s: %s", w.Place(), w.Summary, w.Detail), folder+"/", ""))
				ok = ok && w.Severity == "warning" && strings.HasPrefix(w.Text, "Warning: ") && !slices.ContainsFunc(strings.SplitN(tt.want[i], ": ", 3), func(part string) bool {
					return !strings.Contains(all, part)
				})
			}
			if !ok {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
		})
	}
}

// Which policy a warning names does not change from one load to the next.
func TestWarningsAreStable(t *testing.T) {
	text := "policy \"x\" { origins = [\"https://a.example\", \"https://c.example\"] }\npolicy \"y\" { origins = [\"https://b.example\"] }\n" +
		"policy \"z\" { origins = [\"https://b.example\", \"https://a.example\", \"https://c.example\"] }"
	first := load(t, text).Warnings()
	for range 20 {
		if again := load(t, text).Warnings(); len(first) != 1 || !slices.Equal(first, again) {
			t.Fatalf("got %+v, then %+v", first, again)
		}
	}
}
