package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/candgw/candgw/internal/atomicfile"
	"github.com/candgw/candgw/policy"
)

// maxAligned bounds how long a text can become where columns are aligned, in octets.
const maxAligned = 1 << 30

// policyFmt gives policy files their canonical layout. A file that cannot be read or parsed is left
// alone, and told at the end; the others are formatted all the same.
func (a *app) policyFmt(args []string) error {
	flags := a.flags("policy fmt")
	check, showDiff := flags.Bool("check", false, ""), flags.Bool("diff", false, "")
	paths, err := a.parse(flags, args, true)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return usageError("policy fmt wants files or folders, or - for standard input")
	}
	f := formatter{app: a, check: *check, diff: *showDiff}
	var failed []error
	if len(paths) == 1 && paths[0] == "-" {
		failed = append(failed, f.standardInput())
	} else {
		files, err := policyFiles(paths)
		if errors.Is(err, errUsage) {
			return err
		}
		failed = append(failed, err)
		for _, name := range files {
			failed = append(failed, f.file(name))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if f.check && f.changed {
		return errSilent
	}
	return nil
}

// policyFiles returns the files that paths stand for, and what is wrong with those that stand for none.
func policyFiles(paths []string) ([]string, error) {
	var files []string
	var failed []error
	for _, path := range paths {
		info, err := os.Stat(path)
		isFolder := err == nil && info.IsDir()
		switch {
		case path == "-":
			return nil, usageError("policy fmt takes nothing else with -")
		case isFolder:
			found, err := policiesIn(path)
			files, failed = append(files, found...), append(failed, err)
		case strings.HasSuffix(path, ".json"):
			return nil, usageError("policy fmt is for the native syntax of HCL, and %s is JSON", path)
		default:
			files = append(files, path)
		}
	}
	return files, errors.Join(failed...)
}

// policiesIn returns the files in a folder whose names end in .hcl, without hidden ones.
func policiesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".hcl") && name[0] != '.' && !e.IsDir() {
			files = append(files, filepath.Join(folder, name))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no file whose name ends in .hcl", folder)
	}
	return files, nil
}

// A formatter is one run of 'policy fmt'.
type formatter struct {
	*app
	check, diff bool
	changed     bool // that a text was not canonical
}

// file formats a file in place.
func (f *formatter) file(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait
		return fmt.Errorf("%s is no regular file", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	formatted, err := canonical(name, text)
	if err != nil || bytes.Equal(text, formatted) {
		return err
	}
	if f.check || f.diff {
		return f.tell(name, text, formatted)
	}
	if err := atomicfile.Write(name, formatted, info.Mode().Perm()); err != nil {
		return err
	}
	return f.tell(name, text, formatted)
}

// standardInput formats standard input to standard output.
func (f *formatter) standardInput() error {
	const name = "<stdin>"
	// One octet more than is allowed, so that it is refused as too long.
	text, err := io.ReadAll(io.LimitReader(f.stdin, policy.MaxFile+1))
	if err != nil {
		return err
	}
	formatted, err := canonical(name, text)
	if err != nil {
		return err
	}
	if f.check || f.diff {
		return f.tell(name, text, formatted)
	}
	_, err = f.stdout.Write(formatted)
	return err
}

// tell prints the name of a text that is not canonical, or what makes it so.
func (f *formatter) tell(name string, text, formatted []byte) error {
	if bytes.Equal(text, formatted) {
		return nil
	}
	f.changed = true
	out := []byte(name + "\n")
	if f.diff {
		out = diff.Diff(name+".orig", text, name, formatted)
	}
	_, err := f.stdout.Write(out)
	return err
}

// lineEnd is the end of a line however often its carriage return was doubled.
var lineEnd = regexp.MustCompile("\r+\n")

// canonical lays a policy out as [hclwrite.Format] does, with line feeds for line ends, one at the end
// of the text, and no byte order mark. Nothing changes but the space between tokens and at the end of
// the text, and the line ends inside heredocs and comments.
func canonical(name string, text []byte) ([]byte, error) {
	if _, err := policy.ParseFile(policy.Source{Name: name, Text: text}); err != nil {
		return nil, err
	}
	plain := bytes.TrimPrefix(text, []byte("\ufeff"))
	plain = endOnce(lineEnd.ReplaceAll(plain, []byte("\n")))
	// What is aligned gets as wide as its longest line: one long name before many lines fills all memory.
	lines, longest := 0, 0
	for line := range bytes.Lines(plain) {
		lines, longest = lines+1, max(longest, len(line))
	}
	if lines*longest > maxAligned {
		return nil, fmt.Errorf("%s has a line of %d octets among %d lines, too long to align: break it", name, longest, lines)
	}
	formatted := endOnce(hclwrite.Format(plain))
	if !sameTokens(plain, formatted) {
		return nil, fmt.Errorf("%s cannot be laid out without changing what it says: write an index in brackets, as in a[0]", name)
	}
	if _, err := policy.ParseFile(policy.Source{Name: name, Text: formatted}); err != nil { // it can have grown too long
		return nil, fmt.Errorf("laid out canonically, it would not be valid: %w", err)
	}
	return formatted, nil
}

// endOnce makes a text end with one line feed, unless it is empty.
func endOnce(text []byte) []byte {
	text = bytes.TrimRight(text, " \t\r\n")
	if len(text) == 0 {
		return nil
	}
	return append(bytes.Clone(text), '\n')
}

// sameTokens reports whether two texts differ in nothing but space. Format promises that, but joins the
// numbers of "1 .5".
func sameTokens(a, b []byte) bool {
	return slices.EqualFunc(tokens(a), tokens(b), func(a, b hclsyntax.Token) bool {
		return a.Type == b.Type && bytes.Equal(a.Bytes, b.Bytes)
	})
}

func tokens(text []byte) hclsyntax.Tokens {
	list, _ := hclsyntax.LexConfig(text, "", hcl.InitialPos) // the text was parsed: it has no mistakes
	return list
}
