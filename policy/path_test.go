package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/candgw/candgw/policy"
)

func named(name string) string { return "policy \"" + name + "\" { clients = [\"10.0.0.0/8\"] }\n" }

func TestLoadPath(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"10-b.hcl": named("b"), "9-c.hcl.json": `{"policy": {"c": {"clients": ["10.0.0.0/8"]}}}`, "10-a.hcl": named("a"), "z.hcl": named("z"),
		"a.test.hcl": "no policy", ".hidden.hcl": "no policy", "readme.md": "no policy", "a.json": "no policy", "a.hcl~": "no policy", "a.hcl.bak": "no policy",
	} {
		write(t, filepath.Join(folder, name), text)
	}
	for _, sub := range []string{"sub", "sub.hcl"} {
		if err := os.Mkdir(filepath.Join(folder, sub), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, sub, "a.hcl"), "no policy")
	}
	set, err := new(policy.Loader).LoadPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	if by := set.DecideSession(ip("10.0.0.1"), "").InboundBy; by.Name() != "a" || by.File != filepath.Join(folder, "10-a.hcl") || set.Len() != 4 {
		t.Errorf("decided by %v, of %d", by, set.Len())
	}
	var order []string
	for _, w := range set.Warnings() { // the others are never reached
		order = append(order, filepath.Base(w.File))
	}
	if want := []string{"10-b.hcl", "9-c.hcl.json", "z.hcl"}; !slices.Equal(order, want) {
		t.Errorf("got %q, want %q", order, want)
	}
	for _, name := range []string{"z.hcl", "9-c.hcl.json"} {
		if set, err := new(policy.Loader).LoadPath(filepath.Join(folder, name)); err != nil || set.Len() != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(folder, "missing"), filepath.Join(folder, "sub", "missing.hcl")} {
		set, err := new(policy.Loader).LoadPath(path)
		if err == nil || set != nil || errors.Is(err, policy.ErrInvalid) {
			t.Errorf("%s: %v, %v", path, set, err)
		}
	}
}

func TestFileLines(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "..data", "lists"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "..data", "lists", "campus"), "\n# campus\n10.0.0.0/8\n  2001:db8::/32\t# six\r\n")
	if err := os.Symlink("..data/lists", filepath.Join(folder, "lists")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "a.hcl"), "locals {\n campus = file_lines(\"lists/campus\")\n}\npolicy \"a\" {\n clients = local.campus\n resolve { addresses = file_lines(\"lists/campus\") }\n}")
	set, err := new(policy.Loader).LoadPath(folder)
	if err != nil || len(set.Warnings()) > 0 {
		t.Fatal(err, set.Warnings())
	}
	for addr, want := range map[string]bool{"10.1.1.1": true, "2001:db8::7": true, "11.1.1.1": false} {
		if got := set.DecideSession(ip(addr), "").InboundBy != nil; got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// A list that another folder's policy read is not had by a way out of the folder.
func TestFileLinesOfAnotherFolder(t *testing.T) {
	folder := t.TempDir()
	for _, sub := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(folder, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(folder, "a", "list"), "10.0.0.0/8\n")
	p := mistakesIn(t,
		policy.Source{Name: filepath.Join(folder, "a", "a.hcl"), Text: []byte("policy \"a\" { clients = file_lines(\"list\") }")},
		policy.Source{Name: filepath.Join(folder, "b", "b.hcl"), Text: []byte("policy \"b\" { clients = file_lines(\"../a/list\") }")},
	)
	if len(p) != 1 || p[0].File != filepath.Join(folder, "b", "b.hcl") {
		t.Errorf("got %+v", p)
	}
}

func TestGetenv(t *testing.T) {
	l := &policy.Loader{Getenv: func(name string) (string, bool) { return "10.0.0.0/8", name == "CAMPUS" }}
	set, err := l.Load(policy.Source{Name: "a.hcl", Text: []byte("policy \"a\" { clients = [env(\"CAMPUS\")] }")})
	if err != nil || set.DecideSession(ip("10.0.0.1"), "").InboundBy.Name() != "a" {
		t.Error(err)
	}
	if _, err := l.Load(policy.Source{Name: "a.hcl", Text: []byte("policy \"a\" { clients = [env(\"OTHER\")] }")}); !errors.Is(err, policy.ErrInvalid) {
		t.Error(err)
	}
}

func TestFunctionsAndLocals(t *testing.T) {
	for _, tt := range []struct{ name, clients, in, out string }{
		{"cidrsubnet", `[cidrsubnet("10.0.0.0/8", 8, 255)]`, "10.255.0.1", "10.254.0.1"},
		{"cidrsubnet, nothing longer", `[cidrsubnet("10.0.0.0/8", 0, 0)]`, "10.255.0.1", "11.0.0.0"},
		{"cidrsubnet, IPv6", `[cidrsubnet("fd00::/8", 64, 18446744073709551615)]`, "fdff:ffff:ffff:ffff:ff00::1", "fdff:ffff:ffff:ffff:fe00::1"},
		{"concat", `concat(["10.0.0.0/8"], private_networks, [])`, "192.168.0.1", "192.0.2.1"},
		{"for", `[for i in [1, 2] : cidrsubnet("10.0.0.0/8", 8, i)]`, "10.2.0.1", "10.3.0.1"},
		{"condition", `1 < 2 ? ["10.0.0.0/8"] : private_networks`, "10.0.0.1", "192.168.0.1"},
		{"template", `["10.${1 + 1}.0.0/16"]`, "10.2.0.1", "10.1.0.1"},
		{"local of a later file", `local.later`, "10.7.0.1", "10.8.0.1"},
		{"local by index", `local["later"]`, "10.7.0.1", "10.8.0.1"},
		{"part of a local", `[local.sites.b[0]]`, "10.9.0.1", "10.8.0.1"},
		{"splat", `local.rows[*].net`, "10.4.0.1", "10.8.0.1"},
		{"loopback", `loopback_networks`, "127.0.0.1", "10.0.0.1"},
		{"shared addresses", `private_networks`, "100.64.0.1", "100.128.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := new(policy.Loader).Load(
				policy.Source{Name: "a.hcl", Text: []byte("policy \"a\" {\n clients = " + tt.clients + "\n}")},
				policy.Source{Name: "b.hcl", Text: []byte("locals {\n later = local.zz\n zz = [\"10.7.0.0/16\"]\n sites = { b = [\"10.9.0.0/16\"] }\n rows = [{ net = \"10.4.0.0/16\" }]\n}")},
			)
			if err != nil {
				t.Fatal(err)
			}
			if set.DecideSession(ip(tt.in), "").InboundBy == nil || set.DecideSession(ip(tt.out), "").InboundBy != nil {
				t.Error("other clients")
			}
		})
	}
}
