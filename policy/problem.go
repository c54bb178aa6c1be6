package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

// ErrInvalid says that policies were not loaded. The error is an *[Invalid].
var ErrInvalid = errors.New("invalid policy")

// A Problem is a mistake in a policy file, or what looks like one.
type Problem struct {
	// Severity is "error" or "warning".
	Severity string `json:"severity"`
	File     string `json:"file"`
	// Line and Column count from 1; both are 0 for a problem of the file as a whole.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Summary says what is wrong, Detail what to do.
	Summary string `json:"summary"`
	Detail  string `json:"detail"`
	// Text is all of it for a terminal, with the line of the file.
	Text string `json:"-"`
}

// Place returns file and line in the form that editors jump to.
func (p Problem) Place() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Invalid is [ErrInvalid] with every mistake that was found, and what else looked like one.
type Invalid struct{ Problems []Problem }

// Error tells of all mistakes: where they are, then each with its line.
func (e *Invalid) Error() string {
	var places []string
	var texts strings.Builder
	for _, p := range e.Problems {
		if p.Severity != severityError {
			continue
		}
		if place := p.Place(); !slices.Contains(places, place) {
			places = append(places, place)
		}
		texts.WriteString("\n\n" + p.Text)
	}
	return fmt.Sprintf("%v: %s%s", ErrInvalid, strings.Join(places, ", "), texts.String())
}

// Is makes the error match [ErrInvalid].
func (e *Invalid) Is(target error) bool { return target == ErrInvalid }

const severityError, severityWarning = "error", "warning"

// problems collects diagnostics and renders them with their lines.
type problems struct {
	diags hcl.Diagnostics
	files map[string]*hcl.File
}

// fileRange is the place of a problem of a file as a whole.
func fileRange(name string) hcl.Range { return hcl.Range{Filename: name} }

// rangeIn returns the place of a part of a file.
func rangeIn(name string, text []byte, start, end int) hcl.Range {
	line := bytes.Count(text[:start], []byte("\n"))
	column := start - (bytes.LastIndexByte(text[:start], '\n') + 1)
	at := hcl.Pos{Line: line + 1, Column: column + 1, Byte: start}
	return hcl.Range{Filename: name, Start: at, End: along(at, end-start)}
}

// along returns the place some octets further in a line.
func along(p hcl.Pos, octets int) hcl.Pos {
	return hcl.Pos{Line: p.Line, Column: p.Column + octets, Byte: p.Byte + octets}
}

func (p *problems) fail(at hcl.Range, summary, detail string) {
	p.diags = append(p.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

func (p *problems) warn(at hcl.Range, summary, detail string) {
	p.diags = append(p.diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: summary, Detail: detail, Subject: &at})
}

// extend adds diagnostics of HCL, and reports whether there was no error among them.
func (p *problems) extend(diags hcl.Diagnostics) bool {
	for _, d := range diags {
		if d.Summary == "Unknown variable" { // more often a text without quotes
			d.Detail += " What is meant as a text stands in quotes."
		}
	}
	p.diags = p.diags.Extend(diags)
	return !diags.HasErrors()
}

// maxProblems errors are told, and as many warnings; whoever has more has them of one kind.
const maxProblems = 100

// sorted returns the problems in the order of files and lines, each once.
func (p *problems) sorted() []Problem {
	for _, d := range p.diags {
		if d.Subject == nil {
			d.Subject = &hcl.Range{}
		}
	}
	slices.SortStableFunc(p.diags, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Subject.Filename, b.Subject.Filename), cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
	var out []Problem
	seen, found, last := map[Problem]bool{}, map[string]int{}, map[string]int{}
	for _, d := range p.diags {
		problem := Problem{severityError, d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column, d.Summary, d.Detail, ""}
		if d.Severity == hcl.DiagWarning {
			problem.Severity = severityWarning
		}
		if seen[problem] {
			continue
		}
		seen[problem] = true
		if found[problem.Severity]++; found[problem.Severity] <= maxProblems {
			last[problem.Severity] = len(out)
			problem.Text = p.render(d)
			out = append(out, problem)
		}
	}
	for severity, i := range last {
		if more := found[severity] - maxProblems; more > 0 {
			out[i].Text += fmt.Sprintf("\n\n(and %d more)", more)
		}
	}
	return out
}

const (
	textWidth = 100
	// longestLine is how many octets of a file are shown with one problem; a file may be one line.
	longestLine = 2000
)

func (p *problems) render(d *hcl.Diagnostic) string {
	shown, file := p.excerpt(d)
	if file != nil {
		var text strings.Builder
		hcl.NewDiagnosticTextWriter(&text, map[string]*hcl.File{d.Subject.Filename: file}, textWidth, false).WriteDiagnostic(shown)
		return strings.TrimRight(text.String(), "\n")
	}
	severity, place := "Error", "in "+d.Subject.Filename
	if d.Severity == hcl.DiagWarning {
		severity = "Warning"
	}
	if d.Subject.Start.Line > 0 {
		place = fmt.Sprintf("on %s line %d, column %d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
	}
	return fmt.Sprintf("%s: %s\n\n  %s\n\n%s", severity, d.Summary, place, d.Detail)
}

// excerpt returns a diagnostic with a file of only the lines that it shows, at their numbers: its writer
// goes through all of a file each time. The file is nil if there is no line to show.
func (p *problems) excerpt(d *hcl.Diagnostic) (*hcl.Diagnostic, *hcl.File) {
	file, at := p.files[d.Subject.Filename], *d.Subject
	if file == nil || at.Start.Line == 0 || at.Start.Byte > at.End.Byte || at.End.Byte > len(file.Bytes) {
		return nil, nil
	}
	start := bytes.LastIndexByte(file.Bytes[:at.Start.Byte], '\n') + 1
	end := len(file.Bytes)
	if i := bytes.IndexByte(file.Bytes[at.End.Byte:], '\n'); i >= 0 {
		end = at.End.Byte + i
	}
	if end-start > longestLine {
		return nil, nil
	}
	before := at.Start.Line - 1
	at.Start.Byte += before - start
	at.End.Byte += before - start
	shown := *d
	shown.Subject, shown.Context = &at, nil
	return &shown, &hcl.File{Bytes: append(bytes.Repeat([]byte("\n"), before), file.Bytes[start:end]...)}
}

// choice tells which words there are, and the nearest to what was written.
func choice(got string, words []string) string {
	return fmt.Sprintf("%q is none of %s.%s", got, strings.Join(words, ", "), didYouMean(got, words))
}

// didYouMean names the nearest of some words, if one is near.
func didYouMean(got string, words []string) string {
	const near = 3
	best, distance := "", near+1
	for _, w := range words {
		if d := levenshtein.Distance(got, w, nil); d < distance && 2*d <= len(w) {
			best, distance = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

// Diagnose returns diagnostics of files that go with policies as an *[Invalid], nil if none is an error.
func Diagnose(diags hcl.Diagnostics, files map[string]*hcl.File) error {
	p := problems{diags: diags, files: files}
	if !diags.HasErrors() {
		return nil
	}
	return &Invalid{p.sorted()}
}
