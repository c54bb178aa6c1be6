package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What has its canonical layout keeps it, and still says the same.
func FuzzCanonical(f *testing.F) {
	examples, err := filepath.Glob("../../examples/policies/*.hcl")
	if err != nil || len(examples) == 0 {
		f.Fatalf("there are no examples: %v", err)
	}
	for _, name := range examples {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
		f.Add(bytes.ReplaceAll(text, []byte(" "), []byte("\t")))
	}
	for _, text := range []string{
		"", "\n\n", "\ufeff", "\ufeff# x\r\na=1", "a = 1 # x\r", "# x \r\r\n",
		"b {\n\ta=<<-E\n\t\tx ${c} \n\n\t\t# y = 1\n\tE\n\tccc=2 # d\n}\n",
		"a=<<E\r\n x\r\n  y %{if a}z%{endif}\r\n E  \r\n\r\n",
		"/* x\n y */ a = 1 /* z\n */ # q\nbbbbbb = 2 # r\n",
		"a = [for x in [1,2]: x... if -x==1?2:-3]", "a = {\n# c\nb=1 // d\n \"c\" : 2\n}",
		"a = f(\n1,\n - 1\n)", "a = x.*.b[0].1", "a = 1 .5", "a = \"${ {a=1} }%{ for x in y ~} z %{ endfor }\"",
		"p \"a\" {\n  c = concat(n,\n [\"1.2.3.4/32\"], # z\n )\n}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := canonical("once", text)
		if err != nil {
			return
		}
		twice, err := canonical("twice", once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q\nis laid out as %q\nand then as %q, %v", text, once, twice, err)
		}
	})
}

// A short text can be laid out as one of gigabytes.
func TestCanonicalIsBounded(t *testing.T) {
	text := strings.Repeat("a", 100_000) + " {\n" + strings.Repeat("a {}\n", 100_000) + "}\n"
	if _, err := canonical("wide", []byte(text)); err == nil || !strings.Contains(err.Error(), "too long to align") {
		t.Errorf("got %v", err)
	}
}
