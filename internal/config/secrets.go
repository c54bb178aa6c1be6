package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// A secretFile is an attribute that names the file of a secret.
type secretFile struct{ attribute, block string }

type secretName struct {
	name string
	file secretFile
}

// secretNames are names under which somebody may write a secret itself, with what to write instead.
var secretNames = []secretName{
	{"token", secretFile{"token_file", "api"}},
	{"api_token", secretFile{"token_file", "api"}},
	{"passphrase", secretFile{"passphrase_file", "keyring"}},
	{"password", secretFile{"passphrase_file", "keyring"}},
	{"kek", secretFile{"kek_file", "keyring"}},
	{"key", secretFile{"kek_file", "keyring"}},
	{"secret", secretFile{"kek_file", "keyring"}},
}

// secrets reports secrets, hides them in what is shown, and returns the rest of the body.
func (r *reader) secrets(block string, body hcl.Body) hcl.Body {
	schema := new(hcl.BodySchema)
	for _, s := range secretNames {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: s.name})
	}
	content, rest, diags := body.PartialContent(schema)
	r.diags = r.diags.Extend(diags)
	for _, a := range content.Attributes {
		file := secretNames[slices.IndexFunc(secretNames, func(s secretName) bool { return s.name == a.Name })].file
		switch {
		case block == "api" && a.Name != "kek":
			file = secretFile{"token_file", block}
		case block == "tls" && a.Name == "key":
			file = secretFile{"key_file", block}
		}
		instead := file.attribute
		if file.block != block {
			instead += " of the block " + file.block
		}
		r.hide(a.Expr.Range())
		r.fail(a.NameRange, "Secret in the configuration", fmt.Sprintf("Put it into a file of mode 0600 and name that with %s. If others could read it here, replace it.", instead))
	}
	return rest
}

// hide writes asterisks over a part of what is shown.
func (r *reader) hide(at hcl.Range) {
	for i := max(at.Start.Byte, 0); i < min(at.End.Byte, len(r.shown)); i++ {
		if r.shown[i] != '\n' {
			r.shown[i] = '*'
		}
	}
}

// withoutSecrets takes the lines of the text out of mistakes in its syntax, if the name of a secret is in
// it: where the secret ends nobody knows then.
func withoutSecrets(e *Invalid, text []byte) *Invalid {
	words := strings.FieldsFunc(string(text), func(c rune) bool { return c != '_' && isNotLDH(c) })
	if !slices.ContainsFunc(secretNames, func(s secretName) bool { return slices.Contains(words, s.name) }) {
		return e
	}
	for i := range e.Problems {
		p := &e.Problems[i]
		p.Text = fmt.Sprintf("Error: %s\n\n  on %s line %d, column %d\n\n%s", p.Summary, p.File, p.Line, p.Column, p.Detail)
	}
	return e
}
