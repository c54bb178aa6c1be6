package policy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

// mistakesIn loads what has a mistake, and returns the errors.
func mistakesIn(t *testing.T, sources ...policy.Source) []policy.Problem {
	t.Helper()
	set, err := new(policy.Loader).Load(sources...)
	var invalid *policy.Invalid
	if !errors.Is(err, policy.ErrInvalid) || !errors.As(err, &invalid) || set != nil {
		t.Fatalf("got %v, %v", set, err)
	}
	var out []policy.Problem
	for _, p := range invalid.Problems {
		if p.Severity == "error" {
			out = append(out, p)
			if p.File == "" || p.Summary == "" || p.Detail == "" || !strings.Contains(p.Text, p.File) || !strings.Contains(err.Error(), p.Place()) {
				t.Errorf("a part is missing: %+v", p)
			}
		}
	}
	return out
}

// words are a text with its lines wrapped otherwise.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// Each mistake is told once, with its file, its line and what to write instead.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		line       int
		says       []string
	}{
		{"block mistyped at the top", "polcy \"a\" {}", 1, []string{`Did you mean "policy"?`}},
		{"attribute at the top", "clients = []", 1, []string{"not expected here"}},
		{"attribute of a policy", "policy \"a\" {\n  client = []\n}", 2, []string{`Did you mean "clients"?`}},
		{"block of a policy", "policy \"a\" {\n  resolv {}\n}", 2, []string{`Did you mean "resolve"?`}},
		{"attribute of candidate", "policy \"a\" {\n  candidate \"host\" {\n    adresses = []\n  }\n}", 3, []string{`Did you mean "addresses"?`}},
		{"attribute of name", "policy \"a\" {\n  name { sufix = \"local\" }\n}", 2, []string{`Did you mean "suffix"?`}},
		{"attribute of session", "policy \"a\" {\n  session { forbid_sde = true }\n}", 2, []string{`Did you mean "forbid_sdes"?`}},
		{"attribute of identity", "policy \"a\" {\n  session {\n    identity { requires = true }\n  }\n}", 3, []string{`Did you mean "require"?`}},
		{"attribute of provider", "policy \"a\" {\n  session {\n    identity {\n      provider \"a.example\" { domain = [] }\n    }\n  }\n}", 4, []string{`Did you mean "domains"?`}},
		{"attribute of resolve", "policy \"a\" {\n  resolve { rates = 1 }\n}", 2, []string{`Did you mean "rate"?`}},
		{"attribute of inbound", "policy \"a\" {\n  inbound { acton = \"keep\" }\n}", 2, []string{`Did you mean "action"?`}},
		{"block in locals", "locals {\n  a {}\n}", 2, []string{"Blocks are not allowed here"}},
		{"block as an attribute", "policy \"a\" {\n  resolve = {}\n}", 2, []string{"define a block"}},
		{"attribute as a block", "policy \"a\" {\n  clients {}\n}", 2, []string{"clients"}},

		{"action mistyped", "policy \"a\" {\n  candidate \"host\" { action = \"encypt\" }\n}", 2, []string{`Did you mean "encrypt"?`}},
		{"otherwise mistyped", "policy \"a\" {\n  candidate \"host\" {\n    addresses = []\n    otherwise = \"kep\"\n  }\n}", 4, []string{`Did you mean "keep"?`}},
		{"transport mistyped", "policy \"a\" {\n  candidate \"host\" { transports = [\"UDP\"] }\n}", 2, []string{`"UDP" is none of udp, tcp.`}},
		{"related address mistyped", "policy \"a\" {\n  candidate \"srflx\" { related_address = \"redac\" }\n}", 2, []string{`Did you mean "redact"?`}},
		{"inbound mistyped", "policy \"a\" {\n  inbound { action = \"decypt\" }\n}", 2, []string{`Did you mean "decrypt"?`}},
		{"candidate type mistyped", "policy \"a\" {\n  candidate \"hots\" {}\n}", 2, []string{`Did you mean "host"?`}},
		{"suite mistyped", "policy \"a\" {\n  name { suite = \"aes-uiud\" }\n}", 2, []string{`Did you mean "aes-uuid"?`}},
		{"form mistyped", "policy \"a\" {\n  name {\n    suite = \"aes-gcm\"\n    form = \"extention\"\n  }\n}", 4, []string{`Did you mean "extension"?`}},
		{"extension mistyped", "policy \"a\" {\n  name { extensions = [\"adrtype\"] }\n}", 2, []string{`Did you mean "addrtype"?`}},
		{"variable mistyped", "policy \"a\" {\n  clients = private_network\n}", 2, []string{`Did you mean "private_networks"?`}},
		{"text without quotes", "policy \"a\" {\n  candidate \"host\" { action = encrypt }\n}", 2, []string{"What is meant as a text stands in quotes."}},
		{"function mistyped", "policy \"a\" {\n  clients = conct([])\n}", 2, []string{`Did you mean "concat"?`}},
		{"no such function", "policy \"a\" {\n  clients = file(\"x\")\n}", 2, []string{`no function named "file"`}},

		{"not a network", "policy \"a\" {\n  clients = [\n    \"10.0.0.0/8\",\n    \"10.0.0/8\",\n  ]\n}", 4, []string{"Not a network", `as in "10.0.0.0/8"`}},
		{"length too long", "policy \"a\" { clients = [\"10.0.0.0/33\"] }", 1, []string{"Write an address and a length"}},
		{"length with a zero before", "policy \"a\" { clients = [\"10.0.0.0/08\"] }", 1, []string{"Write an address and a length"}},
		{"network with a zone", "policy \"a\" { clients = [\"fe80::%eth0/64\"] }", 1, []string{"Write an address and a length"}},
		{"empty network", "policy \"a\" { clients = [\"\"] }", 1, []string{"Write an address and a length"}},
		{"one address", "policy \"a\" { clients = [\"10.0.0.1\"] }", 1, []string{`For one host write "10.0.0.1/32".`}},
		{"one IPv6 address", "policy \"a\" { clients = [\"2001:DB8::1\"] }", 1, []string{`For one host write "2001:db8::1/128".`}},
		{"host bits", "policy \"a\" {\n  clients = [\"10.0.0.1/8\"]\n}", 2, []string{`write "10.0.0.0/8"`}},
		{"host bits of IPv6", "policy \"a\" {\n  resolve { addresses = [\"2001:db8::1/32\"] }\n}", 2, []string{`write "2001:db8::/32"`}},
		{"mapped network", "policy \"a\" { clients = [\"::ffff:10.0.0.0/104\"] }", 1, []string{"write the IPv4 one"}},

		{"duration without unit", "policy \"a\" {\n  resolve { ttl = \"120\" }\n}", 2, []string{"a number with a unit"}},
		{"duration a number", "policy \"a\" {\n  resolve { ttl = 120 }\n}", 2, []string{"wants a unit", `"120s"`}},
		{"duration too long", "policy \"a\" {\n  resolve { ttl = \"48h\" }\n}", 2, []string{"1s to 1h"}},
		{"duration too short", "policy \"a\" {\n  resolve { ttl = \"999ms\" }\n}", 2, []string{"1s to 1h"}},
		{"duration below zero", "policy \"a\" {\n  resolve { ttl = \"-5s\" }\n}", 2, []string{"1s to 1h"}},
		{"max too large", "policy \"a\" {\n  candidate \"host\" { max = 65 }\n}", 2, []string{"0 to 64"}},
		{"max below zero", "policy \"a\" {\n  candidate \"host\" { max = -1 }\n}", 2, []string{"0 to 64"}},
		{"max not whole", "policy \"a\" {\n  candidate \"host\" { max = 1.5 }\n}", 2, []string{"whole number"}},
		{"max beyond any number", "policy \"a\" {\n  candidate \"host\" { max = 1e99999 }\n}", 2, []string{"0 to 64"}},
		{"rate zero", "policy \"a\" {\n  resolve { rate = 0 }\n}", 2, []string{"1 to 1000000"}},
		{"rate too large", "policy \"a\" {\n  resolve { rate = 1000001 }\n}", 2, []string{"1 to 1000000"}},
		{"burst zero", "policy \"a\" {\n  resolve {\n    rate = 1\n    burst = 0\n  }\n}", 4, []string{"1 to 1000000"}},
		{"burst without rate", "policy \"a\" {\n  resolve {\n    burst = 5\n  }\n}", 3, []string{"set rate as well"}},

		{"origin with a path", "policy \"a\" { origins = [\"https://a.example/\"] }", 1, []string{`as in "https://meet.example.com"`}},
		{"origin null", "policy \"a\" { origins = [\"null\"] }", 1, []string{`as in "https://meet.example.com"`}},
		{"origin with a wildcard", "policy \"a\" { origins = [\"https://*.example\"] }", 1, []string{`as in "https://meet.example.com"`}},
		{"provider no domain", "policy \"a\" {\n  session {\n    identity {\n      provider \"https://a.example\" {}\n    }\n  }\n}", 4, []string{`as in "example.com"`}},
		{"domain with a dot", "policy \"a\" {\n  session {\n    identity {\n      provider \"a.example\" { domains = [\"example.com.\"] }\n    }\n  }\n}", 4, []string{"without dots at its ends"}},
		{"suffix no domain", "policy \"a\" {\n  name { suffix = \"ice..example\" }\n}", 2, []string{`as in "local"`}},
		{"suffix a dot", "policy \"a\" {\n  name { suffix = \".\" }\n}", 2, []string{`as in "local"`}},
		{"suffix with a dot at its end", "policy \"a\" {\n  name { suffix = \"local.\" }\n}", 2, []string{`as in "local"`}},
		{"suffix too long", "policy \"a\" {\n  name { suffix = \"" + strings.Repeat("abcdefg.", 20) + "a\" }\n}", 2, []string{"at most 154 characters"}},
		{"extension of aes-uuid", "policy \"a\" {\n  name { form = \"extension\" }\n}", 2, []string{"set a suite of the draft"}},
		{"suffix of an extension", "policy \"a\" {\n  name {\n    suite = \"aes-gcm\"\n    form = \"extension\"\n    suffix = \"local\"\n  }\n}", 5, []string{"leave suffix out"}},
		{"reveal to everybody", "policy \"a\" {\n  candidate \"host\" { action = \"reveal\" }\n}", 2, []string{"set clients or origins"}},
		{"reveal to everybody, otherwise", "policy \"a\" {\n  candidate \"host\" {\n    addresses = []\n    otherwise = \"reveal\"\n  }\n}", 4, []string{"set clients or origins"}},

		{"second policy", "policy \"a\" {}\npolicy \"a\" {}", 2, []string{"bad.hcl:1", "another name"}},
		{"policy without a name", "policy \"\" {}", 1, []string{"Write one between the quotes"}},
		{"policy without a label", "policy {}", 1, []string{"name"}},
		{"policy with two names", "policy \"a\" \"b\" {}", 1, []string{"name"}},
		{"second candidate", "policy \"a\" {\n  candidate \"host\" {}\n  candidate \"host\" {}\n}", 3, []string{"into one block"}},
		{"second provider", "policy \"a\" {\n  session {\n    identity {\n      provider \"a.example\" {}\n      provider \"A.example\" {}\n    }\n  }\n}", 5, []string{"into one block"}},
		{"second name", "policy \"a\" {\n  name {}\n  name {}\n}", 3, []string{"Only one name block is allowed", "bad.hcl:2"}},
		{"second session", "policy \"a\" {\n  session {}\n  session {}\n}", 3, []string{"Only one session block"}},
		{"second identity", "policy \"a\" {\n  session {\n    identity {}\n    identity {}\n  }\n}", 4, []string{"Only one identity block"}},
		{"second resolve", "policy \"a\" {\n  resolve {}\n  resolve {}\n}", 3, []string{"Only one resolve block"}},
		{"second inbound", "policy \"a\" {\n  inbound {}\n  inbound {}\n}", 3, []string{"Only one inbound block"}},
		{"second attribute", "policy \"a\" {\n  clients = []\n  clients = []\n}", 3, []string{"already set"}},

		{"unknown local", "locals {\n  campus = []\n}\npolicy \"a\" {\n  clients = local.campsu\n}", 5, []string{"Unknown local", `Did you mean "campus"?`}},
		{"unknown local by index", "locals {\n  campus = []\n}\npolicy \"a\" {\n  clients = local[\"campsu\"]\n}", 5, []string{"Unknown local", `Did you mean "campus"?`}},
		{"no locals at all", "policy \"a\" {\n  clients = local.campus\n}", 2, []string{"Unknown local"}},
		{"unknown local of a local", "locals {\n  a = local.b\n}", 2, []string{"Unknown local"}},
		{"all locals", "locals {\n  a = []\n}\npolicy \"a\" {\n  clients = [for l in local : l]\n}", 5, []string{"as in local.campus"}},
		{"local of itself", "locals {\n  a = concat(local.a, [])\n}\npolicy \"a\" { clients = local.a }", 2, []string{"A local made of itself", "write the value of one of them out"}},
		{"locals of each other", "locals {\n  a = local.b\n  b = local.c\n  c = local.a\n}\npolicy \"a\" { clients = local.b }", 4, []string{"A local made of itself"}},
		{"second local", "locals {\n  a = []\n}\nlocals {\n  a = []\n}", 5, []string{"bad.hcl:2", "another name"}},
		{"broken local used twice", "locals {\n  a = conct()\n}\npolicy \"a\" { clients = local.a }\npolicy \"b\" { clients = local.a }", 2, []string{`Did you mean "concat"?`}},

		{"env", "policy \"a\" {\n  clients = [env(\"X\")]\n}", 2, []string{"the environment is not read", "write the value here"}},
		{"cidrsubnet, number", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", 8, 256)]\n}", 2, []string{"256 parts"}},
		{"cidrsubnet, 2^64", "policy \"a\" {\n  clients = [cidrsubnet(\"fd00::/8\", 64, 18446744073709551616)]\n}", 2, []string{"18446744073709551616 parts"}},
		{"cidrsubnet, beyond any number", "policy \"a\" {\n  clients = [cidrsubnet(\"fd00::/8\", 64, 1e999999999)]\n}", 2, []string{"18446744073709551616 parts"}},
		{"cidrsubnet, number below zero", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", 8, -1)]\n}", 2, []string{"256 parts"}},
		{"cidrsubnet, number not whole", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", 8, 0.5)]\n}", 2, []string{"whole number"}},
		{"cidrsubnet, too long", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", 25, 0)]\n}", 2, []string{"longer by 0 to 24 bits"}},
		{"cidrsubnet, longer by 2^64", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", 18446744073709551616, 0)]\n}", 2, []string{"longer by 0 to 24 bits"}},
		{"cidrsubnet, shorter", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", -1, 0)]\n}", 2, []string{"longer by 0 to 24 bits"}},
		{"cidrsubnet, host bits", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.1/8\", 8, 0)]\n}", 2, []string{`write "10.0.0.0/8"`}},
		{"cidrsubnet, null", "policy \"a\" {\n  clients = [cidrsubnet(null, 8, 0)]\n}", 2, []string{"must not be null"}},
		{"cidrsubnet of two", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", 8)]\n}", 2, []string{"Not enough function arguments"}},

		{"cidrsubnet, infinity", "policy \"a\" {\n  clients = [cidrsubnet(\"10.0.0.0/8\", 8, 1 / 0)]\n}", 2, []string{"whole number"}},
		{"division by zero", "policy \"a\" {\n  candidate \"host\" { max = 1 / 0 }\n}", 2, []string{"whole number"}},
		{"a local that is no list", "locals {\n  a = { b = 1 }\n}\npolicy \"a\" { clients = local.a }", 4, []string{"wants a list of networks"}},
		{"a heredoc", "policy \"a\" {\n  clients = <<EOT\n10.0.0.0/8\nEOT\n}", 2, []string{"wants a list of networks"}},
		{"a condition of two types", "policy \"a\" {\n  clients = true ? [\"10.0.0.0/8\"] : 1\n}", 2, []string{"must have consistent types"}},
		{"not HCL", "policy \"a\" {", 1, []string{"no closing brace"}},
		{"not UTF-8", "policy \"\xff\" {}", 0, []string{"UTF-8"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problems := mistakesIn(t, policy.Source{Name: "bad.hcl", Text: []byte(tt.text)})
			if len(problems) != 1 {
				t.Errorf("got %d problems: %+v", len(problems), problems)
			}
			if problems[0].File != "bad.hcl" || problems[0].Line != tt.line {
				t.Errorf("at %s, want line %d", problems[0].Place(), tt.line)
			}
			for _, says := range tt.says {
				if !strings.Contains(words(problems[0].Text), says) {
					t.Errorf("does not say %q:\n%s", says, problems[0].Text)
				}
			}
		})
	}
}

// Values of a wrong type, for every attribute.
func TestWrongTypes(t *testing.T) {
	lists := map[string]string{
		"clients": "policy \"a\" {\n clients = %s\n}", "origins": "policy \"a\" {\n origins = %s\n}",
		"addresses": "policy \"a\" {\ncandidate \"host\" {\n addresses = %s\n}\n}", "transports": "policy \"a\" {\ncandidate \"host\" {\n transports = %s\n}\n}",
		"extensions": "policy \"a\" {\nname {\n extensions = %s\n}\n}", "resolve.clients": "policy \"a\" {\nresolve {\n clients = %s\n}\n}",
		"resolve.addresses": "policy \"a\" {\nresolve {\n addresses = %s\n}\n}",
		"domains":           "policy \"a\" {\nsession {\nidentity {\nprovider \"a.example\" {\n domains = %s\n}\n}\n}\n}",
	}
	texts := map[string]string{
		"description": "policy \"a\" {\n description = %s\n}", "action": "policy \"a\" {\ncandidate \"host\" {\n action = %s\n}\n}",
		"otherwise":       "policy \"a\" {\ncandidate \"host\" {\n transports = []\n otherwise = %s\n}\n}",
		"related_address": "policy \"a\" {\ncandidate \"host\" {\n related_address = %s\n}\n}", "suite": "policy \"a\" {\nname {\n suite = %s\n}\n}",
		"form": "policy \"a\" {\nname {\n form = %s\n}\n}", "suffix": "policy \"a\" {\nname {\n suffix = %s\n}\n}",
		"inbound.action": "policy \"a\" {\ninbound {\n action = %s\n}\n}", "ttl": "policy \"a\" {\nresolve {\n ttl = %s\n}\n}",
	}
	flags := map[string]string{
		"forbid_sdes": "policy \"a\" {\nsession {\n forbid_sdes = %s\n}\n}", "require_fingerprint": "policy \"a\" {\nsession {\n require_fingerprint = %s\n}\n}",
		"relay_only": "policy \"a\" {\nsession {\n relay_only = %s\n}\n}", "require": "policy \"a\" {\nsession {\nidentity {\n require = %s\n}\n}\n}",
		"own_links": "policy \"a\" {\nresolve {\n own_links = %s\n}\n}",
	}
	numbers := map[string]string{
		"max": "policy \"a\" {\ncandidate \"host\" {\n max = %s\n}\n}", "rate": "policy \"a\" {\nresolve {\n rate = %s\n}\n}",
		"burst": "policy \"a\" {\nresolve {\n rate = 1\n burst = %s\n}\n}",
	}
	for _, kind := range []struct {
		attributes map[string]string
		values     []string
		says       string
	}{
		{lists, []string{`"10.0.0.0/8"`, "1", "true", "null", "{}", `{ a = "b" }`, "[1]", "[null]", "[true]", "[[]]", `["10.0.0.0/8", ["x"]]`, "[for a in [1] : a]"}, "wants a list of"},
		{texts, []string{"true", "null", "[]", `["encrypt"]`, "{}"}, "wants a text in quotes"},
		{texts, []string{`""`, "\"${\"\"}\""}, "wants a text with something in it"},
		{flags, []string{`"true"`, "1", "null", "[]", "{}", `"yes"`}, "wants true or false, without quotes"},
		{numbers, []string{`"16"`, "true", "null", "[]", "{}"}, "wants a whole number of"},
	} {
		for name, format := range kind.attributes {
			for _, v := range kind.values {
				text := fmt.Sprintf(format, v)
				problems := mistakesIn(t, policy.Source{Name: "bad.hcl", Text: []byte(text)})
				i := slices.IndexFunc(problems, func(p policy.Problem) bool { return strings.Contains(words(p.Detail), kind.says) })
				if i < 0 || problems[i].Line != strings.Count(text[:strings.LastIndex(text, v)], "\n")+1 {
					t.Errorf("%s = %s: got %+v", name, v, problems)
				}
			}
		}
	}
}

func TestMistakesInLists(t *testing.T) {
	folder := t.TempDir()
	outside := filepath.Join(t.TempDir(), "list")
	write(t, outside, "10.0.0.0/8\n")
	write(t, filepath.Join(folder, "broken"), "# sites\n10.0.0.0/8 # one\n\n\t 10.0.0.1/16  # two\r\n2001:db8::/33x")
	write(t, filepath.Join(folder, "large"), strings.Repeat("#", policy.MaxFile+1))
	for name, target := range map[string]string{"out": outside, "up": "../" + filepath.Base(filepath.Dir(outside)) + "/list", "nowhere": "missing"} {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := makeFIFO(filepath.Join(folder, "pipe")); err != nil {
		t.Fatal(err)
	}
	inFolder := " in the folder of the file that names it"
	for _, tt := range []struct {
		name, list, says string
	}{
		{"missing", "missing", "no such file or directory: name a file in the same folder"},
		{"dangling", "nowhere", "no such file or directory: name a file in the same folder"},
		{"above", "../list", "is not" + inFolder + ": name one in it"},
		{"above and back", "a/../../list", "is not" + inFolder},
		{"absolute", outside, "is not" + inFolder},
		{"no name", "", "is not" + inFolder},
		{"link out, absolute", "out", "name a file in the same folder"},
		{"link out", "up", "name a file in the same folder"},
		{"pipe", "pipe", "not a regular file: name a file in the same folder"},
		{"folder", ".", "not a regular file: name a file in the same folder"},
		{"too large", "large", "larger than 4 MiB: split it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := fmt.Sprintf("policy \"a\" {\n  clients = file_lines(%q)\n  resolve { addresses = [] }\n}", tt.list)
			problems := mistakesIn(t, policy.Source{Name: filepath.Join(folder, "a.hcl"), Text: []byte(text)})
			if len(problems) != 1 || problems[0].Line != 2 || !strings.Contains(words(problems[0].Text), tt.says) {
				t.Errorf("want %q: %+v", tt.says, problems)
			}
		})
	}
	t.Run("broken lines", func(t *testing.T) {
		text := "policy \"a\" { clients = file_lines(\"broken\") }\npolicy \"b\" { clients = concat(file_lines(\"./broken\"), []) }"
		problems := mistakesIn(t, policy.Source{Name: filepath.Join(folder, "a.hcl"), Text: []byte(text)})
		if len(problems) != 2 || problems[0].Place() != filepath.Join(folder, "broken")+":4" || problems[0].Column != 3 ||
			!strings.Contains(problems[0].Text, "4: \t 10.0.0.1/16  # two") || !strings.Contains(problems[0].Detail, `write "10.0.0.0/16"`) ||
			problems[1].Line != 5 || !strings.Contains(problems[1].Text, "2001:db8::/33x") {
			t.Errorf("got %+v", problems)
		}
	})
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readText(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
