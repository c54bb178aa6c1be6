package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/policy"
)

// ErrInvalid says that a configuration was not taken. The error is an *[Invalid].
var ErrInvalid = errors.New("invalid configuration")

// Invalid is [ErrInvalid] with every mistake that was found, in the order of the file.
type Invalid struct{ Problems []policy.Problem }

// Error tells of all mistakes: where they are, then each with its line.
func (e *Invalid) Error() string {
	told := (&policy.Invalid{Problems: e.Problems}).Error()
	return ErrInvalid.Error() + strings.TrimPrefix(told, policy.ErrInvalid.Error())
}

// Is makes the error match [ErrInvalid].
func (e *Invalid) Is(target error) bool { return target == ErrInvalid }

// invalid makes an *Invalid of the *policy.Invalid that the means of policies return.
func invalid(err error) *Invalid {
	var of *policy.Invalid
	errors.As(err, &of)
	return &Invalid{of.Problems}
}

// maxFile is the size of the largest configuration, in octets.
const maxFile = 64 << 10

type fileHCL struct {
	DataDir   *hcl.Attribute  `hcl:"data_dir,optional"`
	PolicyDir *hcl.Attribute  `hcl:"policy_dir,optional"`
	AllowEnv  *hcl.Attribute  `hcl:"allow_env,optional"`
	DNS       *blockHCL       `hcl:"dns,block"`
	MDNS      *blockHCL       `hcl:"mdns,block"`
	API       *blockHCL       `hcl:"api,block"`
	Keyring   *blockHCL       `hcl:"keyring,block"`
	Rotate    *blockHCL       `hcl:"rotate,block"`
	Signaling []*signalingHCL `hcl:"signaling,block"`
	Browsers  *blockHCL       `hcl:"browsers,block"`
	Log       *blockHCL       `hcl:"log,block"`
}

// A blockHCL is decoded in a second step, when secrets are out of it.
type blockHCL struct {
	Body hcl.Body `hcl:",remain"`
}

type dnsHCL struct {
	Listen *hcl.Attribute `hcl:"listen,optional"`
	Zones  *hcl.Attribute `hcl:"zones,optional"`
	Zone   []*zoneHCL     `hcl:"zone,block"`
	TLS    *blockHCL      `hcl:"tls,block"`
}

type zoneHCL struct {
	Name  string    `hcl:"name,label"`
	Range hcl.Range `hcl:"name,label_range"`
	Body  hcl.Body  `hcl:",remain"`
}

type zoneBodyHCL struct {
	Nameservers *hcl.Attribute `hcl:"nameservers,optional"`
}

type tlsHCL struct {
	Listen          *hcl.Attribute `hcl:"listen,optional"`
	CertificateFile *hcl.Attribute `hcl:"certificate_file,optional"`
	KeyFile         *hcl.Attribute `hcl:"key_file,optional"`
}

type mdnsHCL struct {
	Enabled    *hcl.Attribute `hcl:"enabled,optional"`
	Interfaces *hcl.Attribute `hcl:"interfaces,optional"`
}

type keyringHCL struct {
	KEKFile        *hcl.Attribute `hcl:"kek_file,optional"`
	PassphraseFile *hcl.Attribute `hcl:"passphrase_file,optional"`
}

type rotateHCL struct {
	Suite  *hcl.Attribute `hcl:"suite,optional"`
	Every  *hcl.Attribute `hcl:"every,optional"`
	Settle *hcl.Attribute `hcl:"settle,optional"`
	Grace  *hcl.Attribute `hcl:"grace,optional"`
}

type logHCL struct {
	Level  *hcl.Attribute `hcl:"level,optional"`
	Format *hcl.Attribute `hcl:"format,optional"`
}

// Load reads a configuration file. All mistakes are reported at once: the error is an *[Invalid], or of
// the file system.
func Load(path string) (*Config, error) {
	src, err := policy.ReadSource(path)
	if err != nil {
		return nil, err
	}
	return Parse(src)
}

// Parse is [Load] of a text: JSON if the name ends in .json, else HCL. Relative paths in it are relative
// to the folder of the name. The error is an *[Invalid].
func Parse(src policy.Source) (*Config, error) {
	r := reader{folder: filepath.Dir(src.Name), eval: new(hcl.EvalContext), shown: bytes.Clone(src.Text)}
	whole := hcl.Range{Filename: src.Name}
	switch { // before ParseFile, which has policies in mind
	case len(src.Text) > maxFile:
		r.fail(whole, "File too large", fmt.Sprintf("A configuration has at most %d KiB: name the right file.", maxFile>>10))
	case !utf8.Valid(src.Text):
		r.fail(whole, "Not UTF-8", "A configuration is encoded in UTF-8: convert it.")
	}
	if r.diags.HasErrors() {
		return nil, invalid(policy.Diagnose(r.diags, nil))
	}
	file, err := policy.ParseFile(src)
	if err != nil {
		return nil, withoutSecrets(invalid(err), src.Text)
	}
	c := r.file(file.Body)
	if err := policy.Diagnose(r.diags, map[string]*hcl.File{src.Name: {Bytes: r.shown}}); err != nil {
		return nil, invalid(err)
	}
	return c, nil
}

// A reader reads one file.
type reader struct {
	folder string
	eval   *hcl.EvalContext // of nothing: there are no variables and no functions
	diags  hcl.Diagnostics
	shown  []byte // the text, as it may be shown with mistakes
}

func (r *reader) fail(at hcl.Range, summary, detail string) {
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

// file reads all that is right, and reports the rest.
func (r *reader) file(body hcl.Body) *Config {
	c := Defaults()
	var h fileHCL
	r.decode("", body, &h)
	r.path(&c.DataDir, h.DataDir)
	r.path(&c.PolicyDir, h.PolicyDir)
	r.flag(&c.AllowEnv, h.AllowEnv)
	if h.DNS != nil {
		r.dns(&c.DNS, h.DNS.Body)
	}
	if h.MDNS != nil {
		r.mdns(&c.MDNS, h.MDNS.Body)
	}
	if h.API != nil {
		r.api(&c.API, h.API.Body)
	}
	if h.Keyring != nil {
		r.keyring(&c.Keyring, h.Keyring.Body)
	}
	if h.Rotate != nil {
		c.Rotate = defaultRotate()
		r.rotate(c.Rotate, h.Rotate.Body)
	}
	elsewhere := r.listens(c)
	c.Signaling = r.signaling(h.Signaling, elsewhere)
	if h.Browsers != nil {
		c.Browsers = r.browsers(h.Browsers.Body, elsewhere)
	}
	if h.Log != nil {
		r.log(&c.Log, h.Log.Body)
	}
	return c
}

// decode takes the secrets out of a body, the file's if block is "", and decodes the rest.
func (r *reader) decode(block string, body hcl.Body, to any) {
	body = r.secrets(block, body)
	r.diags = r.diags.Extend(gohcl.DecodeBody(body, r.eval, to)) // what is right is read none the less
}

// listens tells where a process listens over TCP, and what for.
func (r *reader) listens(c *Config) map[string]string {
	out := map[string]string{c.DNS.Listen: "DNS is answered", c.API.Listen: "the API listens"}
	if c.DNS.TLS != nil {
		out[c.DNS.TLS.Listen] = "DNS over TLS is answered"
	}
	return out
}

func (r *reader) dns(to *DNS, body hcl.Body) {
	var h dnsHCL
	r.decode("dns", body, &h)
	r.listen(&to.Listen, h.Listen)
	r.zones(to, h.Zones, h.Zone)
	if h.TLS != nil {
		to.TLS = new(TLS)
		r.tls(to.TLS, h.TLS.Body, to.Listen)
	}
}

// tls reads the block. plain is where DNS is answered without TLS.
func (r *reader) tls(to *TLS, body hcl.Body, plain string) {
	var h tlsHCL
	r.decode("tls", body, &h)
	r.needs(body, h.Listen, "listen", "where DNS over TLS is answered")
	r.needs(body, h.CertificateFile, "certificate_file", "the file of the certificate, in PEM")
	r.needs(body, h.KeyFile, "key_file", "the file of its private key, in PEM")
	if r.listen(&to.Listen, h.Listen) && to.Listen == plain && !strings.HasSuffix(plain, ":0") { // 0 is any that is free
		r.fail(h.Listen.Expr.Range(), "Address twice", fmt.Sprintf("%q is where DNS is answered without TLS: give one of the two another port. That of DNS is 53, that of DNS over TLS 853.", plain))
	}
	r.path(&to.CertificateFile, h.CertificateFile)
	r.path(&to.KeyFile, h.KeyFile)
}

func (r *reader) mdns(to *MDNS, body hcl.Body) {
	var h mdnsHCL
	r.decode("mdns", body, &h)
	enabled := r.flag(&to.Enabled, h.Enabled)
	if !r.interfaces(&to.Interfaces, h.Interfaces) {
		return
	}
	switch none := len(to.Interfaces) == 0; {
	case enabled && to.Enabled && none:
		r.fail(h.Interfaces.Range, "Enabled on no interface", "An empty list is none, never all: name interfaces, or leave the list out for all of them.")
	case enabled && !to.Enabled && !none:
		r.fail(h.Interfaces.Range, "No effect", "With enabled = false Multicast DNS is spoken on no interface: leave out one of the two.")
	case none:
		*to = MDNS{}
	}
}

func (r *reader) keyring(to *Keyring, body hcl.Body) {
	var h keyringHCL
	r.decode("keyring", body, &h)
	r.path(&to.KEKFile, h.KEKFile)
	r.path(&to.PassphraseFile, h.PassphraseFile)
	if h.KEKFile != nil && h.PassphraseFile != nil {
		r.fail(h.PassphraseFile.Range, "Two keys for one ring", "A key ring is sealed under one key-encryption key: set kek_file or passphrase_file.")
	}
}

func (r *reader) rotate(to *Rotate, body hcl.Body) {
	var h rotateHCL
	r.decode("rotate", body, &h)
	var names []string
	for _, s := range cipher.Suites() {
		names = append(names, s.String())
	}
	if i, ok := r.oneOf(h.Suite, names); ok {
		to.Suite = cipher.Suites()[i]
	}
	every := r.duration(&to.Every, h.Every, minEvery, longest) || h.Every == nil
	settle := r.duration(&to.Settle, h.Settle, 0, longest) || h.Settle == nil
	grace := r.duration(&to.Grace, h.Grace, 0, longest) || h.Grace == nil
	if every && settle && to.Settle >= to.Every {
		r.fail(given(h.Settle, h.Every).Expr.Range(), "Settle not shorter than every", fmt.Sprintf("A rotation ends before the next one begins: make settle (%s) shorter than every (%s).", short(to.Settle), short(to.Every)))
	}
	if grace && settle && to.Grace < to.Settle {
		r.fail(given(h.Grace, h.Settle).Expr.Range(), "Grace shorter than settle", fmt.Sprintf("A node that is late with a new key makes names under the one before: make grace (%s) at least as long as settle (%s).", short(to.Grace), short(to.Settle)))
	}
}

// given returns the first of two attributes that is there; one is, as the defaults go together.
func given(a, b *hcl.Attribute) *hcl.Attribute {
	if a != nil {
		return a
	}
	return b
}

func (r *reader) log(to *Log, body hcl.Body) {
	var h logHCL
	r.decode("log", body, &h)
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	if i, ok := r.oneOf(h.Level, []string{"debug", "info", "warn", "error"}); ok {
		to.Level = levels[i]
	}
	formats := []string{Text, JSON}
	if i, ok := r.oneOf(h.Format, formats); ok {
		to.Format = formats[i]
	}
}
