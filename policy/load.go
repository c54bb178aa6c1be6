package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	// MaxFile is the size of the largest policy file, in octets.
	MaxFile = 4 << 20
	// MaxPolicies is how many policies a set may have.
	MaxPolicies = 10_000
)

// Ends of the names of policy files. Tests of policies stand beside them and are not policies.
const (
	extHCL  = ".hcl"
	extJSON = ".hcl.json"
	extTest = ".test.hcl"
)

// IsTest reports whether a file of this name holds tests of policies.
func IsTest(name string) bool { return strings.HasSuffix(name, extTest) }

// A Source is the text of one policy file, in JSON if its name ends in .json. Files that it takes lists
// from are looked for in the folder of Name.
type Source struct {
	Name string
	Text []byte
}

// A Loader reads policies. The zero value is ready to use.
type Loader struct {
	// Getenv is what the function env calls. Unless it is set, env is refused: what a policy says is
	// then in its files alone.
	Getenv func(name string) (value string, ok bool)
}

// Load reads policies in the order given. All mistakes are reported at once; a set with a mistake is
// not loaded at all. The error is an *[Invalid].
func (l *Loader) Load(sources ...Source) (*Set, error) {
	r := newReader(l.Getenv)
	return r.load(sources)
}

// LoadPath reads the policies of a file, or of all files *.hcl and *.hcl.json of a folder in lexical
// order, tests and hidden files left out.
func (l *Loader) LoadPath(path string) (*Set, error) {
	set, _, err := l.loadPath(path)
	return set, err
}

// loadPath also returns the files that policies took lists from, as they were then, even if it fails.
func (l *Loader) loadPath(path string) (*Set, look, error) {
	files, err := policyFiles(path)
	if err != nil {
		return nil, nil, err
	}
	var sources []Source
	for _, name := range files {
		src, err := ReadSource(name)
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, src)
	}
	r := newReader(l.Getenv)
	set, err := r.load(sources)
	return set, r.looks, err
}

// ReadSource reads a policy file, or one that goes with policies, as [Loader.LoadPath] does.
func ReadSource(path string) (Source, error) {
	text, _, err := readFile(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return Source{}, fmt.Errorf("%s: %w", path, err)
	}
	return Source{path, text}, nil
}

// ReadInside reads a file that a policy file, or one that goes with policies, names. It is in the folder of
// that or below it, so that to read somebody's policy is not to read one's own files to them.
func ReadInside(folder, name string) ([]byte, error) {
	text, _, err := readInside(folder, name)
	return text, err
}

func readInside(folder, name string) (text []byte, info fs.FileInfo, err error) {
	name = filepath.FromSlash(name)
	if !filepath.IsLocal(name) {
		return nil, nil, fmt.Errorf("%q is not in the folder of the file that names it: name one in it, or in one inside it", name)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	text, info, err = readFile(root.FS(), filepath.ToSlash(filepath.Clean(name)))
	switch {
	case err != nil:
		return nil, info, fmt.Errorf("%s: %w: name a file in the same folder, or in one inside it", name, err)
	case len(text) > MaxFile:
		return nil, info, fmt.Errorf("%s is larger than %d MiB: split it", name, MaxFile>>20)
	}
	return text, info, nil
}

// policyFiles returns the policy files of a path.
func policyFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // in lexical order
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		name := e.Name()
		isPolicy := strings.HasSuffix(name, extHCL) && !IsTest(name) || strings.HasSuffix(name, extJSON)
		if isPolicy && !strings.HasPrefix(name, ".") && !e.IsDir() {
			files = append(files, filepath.Join(path, name))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no policy files: want *%s or *%s", path, extHCL, extJSON)
	}
	return files, nil
}

// readFile reads a regular file of at most one octet more than MaxFile, so that a larger one is seen, and
// tells what it looked like before. An error does not name the file.
func readFile(folder fs.FS, name string) ([]byte, fs.FileInfo, error) {
	var path *fs.PathError
	bare := func(err error) error {
		if errors.As(err, &path) {
			return path.Err
		}
		return err
	}
	// Looked at before it is opened: opening a pipe would wait.
	info, err := fs.Stat(folder, name)
	if err != nil {
		return nil, nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, info, errors.New("not a regular file")
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, info, bare(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	return text, info, bare(err)
}

// ParseFile reads the syntax of a file, within the bounds that policies have. The error is an *[Invalid].
func ParseFile(src Source) (*hcl.File, error) {
	p := problems{files: map[string]*hcl.File{}}
	file := p.parse(src)
	if p.diags.HasErrors() {
		return nil, &Invalid{p.sorted()}
	}
	return file, nil
}

// parse returns nil where it reported a mistake.
func (p *problems) parse(src Source) *hcl.File {
	p.files[src.Name] = &hcl.File{Bytes: src.Text}
	if len(src.Text) > MaxFile {
		p.fail(fileRange(src.Name), "File too large", fmt.Sprintf("A policy file has at most %d MiB: split it.", MaxFile>>20))
		return nil
	}
	if !utf8.Valid(src.Text) { // which the parser lets pass in comments and names
		p.fail(fileRange(src.Name), "Not UTF-8", "A policy file is encoded in UTF-8: convert it.")
		return nil
	}
	parser := hclparse.NewParser()
	parse, deep := parser.ParseHCL, deepHCL
	if strings.HasSuffix(src.Name, ".json") {
		parse, deep = parser.ParseJSON, deepJSON
	}
	switch at, err := deep(src.Text); {
	case err != nil:
		p.fail(rangeIn(src.Name, src.Text, at, at), "Not JSON", fmt.Sprintf("Mend it, or write HCL into a file without .json at the end of its name: %v.", err))
		return nil
	case at >= 0:
		p.fail(rangeIn(src.Name, src.Text, at, at), "Nested too deep", fmt.Sprintf("Blocks, brackets and operators nest at most %d deep: write it with fewer of them, or take part of it into a local.", maxDepth))
		return nil
	}
	file, diags := parse(src.Text, src.Name)
	if !p.extend(diags) {
		return nil
	}
	return file
}

// deepHCL returns the offset at which a text nests deeper than maxDepth; -1 if it does nowhere.
func deepHCL(text []byte) (int, error) {
	tokens, _ := hclsyntax.LexConfig(text, "", hcl.InitialPos)
	return tooDeep(tokens), nil
}

// deepJSON is deepHCL for JSON, in whose strings HCL stands. Its error is with the JSON itself.
func deepJSON(text []byte) (int, error) {
	depth := 0
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		at := int(d.InputOffset())
		token, err := d.Token()
		var broken *json.SyntaxError
		switch {
		case errors.As(err, &broken):
			return min(max(at, int(broken.Offset)-1), len(text)), err
		case err != nil:
			return -1, nil // it is at its end, and whether too early the parser says
		}
		switch t := token.(type) {
		case json.Delim:
			if t == '[' || t == '{' {
				depth++
			} else {
				depth--
			}
		case string:
			tokens, _ := hclsyntax.LexTemplate([]byte(t), "", hcl.InitialPos)
			if tooDeep(tokens) >= 0 {
				return at, nil
			}
		}
		if depth > maxDepth {
			return at, nil
		}
	}
}

// load makes a set of sources.
func (r *reader) load(sources []Source) (*Set, error) {
	var documents []document
	for _, src := range sources {
		file := r.parse(src)
		if file == nil {
			r.partial = true
			continue
		}
		d := document{folder: filepath.Dir(src.Name)}
		r.extend(gohcl.DecodeBody(file.Body, nil, &d.fileHCL)) // what is right is read none the less
		documents = append(documents, d)
	}
	r.locals(documents)
	for _, d := range documents {
		r.folder = d.folder
		for _, p := range d.Policies {
			if len(r.rules) == MaxPolicies {
				r.fail(p.Range, "Too many policies", fmt.Sprintf("A set has at most %d policies: give one policy the clients of several.", MaxPolicies))
				break
			}
			r.policy(p)
		}
	}
	var set *Set
	if !r.diags.HasErrors() {
		set = r.compile()
		if len(r.rules) == 0 && len(sources) > 0 {
			r.warn(fileRange(sources[0].Name), "No policy", "Without one host candidates are dropped and lookups refused. Write a block policy with a name, as in: policy \"campus\" {}")
		}
	}
	found := r.sorted()
	if r.diags.HasErrors() {
		return nil, &Invalid{found}
	}
	set.warnings = found
	return set, nil
}
