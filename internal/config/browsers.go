package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Browsers is the block browsers: where the browser extension asks.
type Browsers struct {
	// Listen is host and port, as for [DNS]. Nothing else listens there, unless its port is 0.
	Listen string
	// Extensions are the origins of the extensions that are answered, at least one: chrome-extension:// and the id,
	// moz-extension:// and the UUID that a profile has for it, or [AnyFirefox].
	Extensions []string
	// Rate is how many candidates a second each client may ask for, and Burst how many of them at once.
	Rate, Burst int
	// TLS is nil without TLS, which is so on loopback alone.
	TLS *KeyPair
}

// KeyPair names the files of a certificate and its key, as for [TLS].
type KeyPair struct{ CertificateFile, KeyFile string }

// AnyFirefox stands for the origins of all extensions of Firefox, which has a random one for each in each profile.
const AnyFirefox = firefoxScheme + "*"

const (
	chromeScheme, firefoxScheme = "chrome-extension://", "moz-extension://"

	defaultBrowsersRate, defaultBrowsersBurst = 50, 500
)

var (
	chromeOrigin  = regexp.MustCompile("^" + chromeScheme + "[a-p]{32}$")
	firefoxOrigin = regexp.MustCompile("^" + firefoxScheme + "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
)

// Answers reports whether an extension is answered. origin is the header Origin as browsers send it.
func (b *Browsers) Answers(origin string) bool {
	return slices.ContainsFunc(b.Extensions, func(e string) bool {
		return origin == e && e != AnyFirefox || e == AnyFirefox && firefoxOrigin.MatchString(origin)
	})
}

type browsersHCL struct {
	Listen     *hcl.Attribute `hcl:"listen,optional"`
	Extensions *hcl.Attribute `hcl:"extensions,optional"`
	Rate       *hcl.Attribute `hcl:"rate,optional"`
	Burst      *hcl.Attribute `hcl:"burst,optional"`
	TLS        *blockHCL      `hcl:"tls,block"`
}

type keyPairHCL struct {
	CertificateFile *hcl.Attribute `hcl:"certificate_file,optional"`
	KeyFile         *hcl.Attribute `hcl:"key_file,optional"`
}

// keyPair reads a block tls that has a certificate and its key alone, nil if there is none.
func (r *reader) keyPair(block *blockHCL) *KeyPair {
	if block == nil {
		return nil
	}
	var h keyPairHCL
	to := new(KeyPair)
	r.decode("tls", block.Body, &h)
	r.needs(block.Body, h.CertificateFile, "certificate_file", "the file of the certificate, in PEM")
	r.needs(block.Body, h.KeyFile, "key_file", "the file of its private key, in PEM")
	r.path(&to.CertificateFile, h.CertificateFile)
	r.path(&to.KeyFile, h.KeyFile)
	return to
}

// browsers reads the block. elsewhere is as for signaling.
func (r *reader) browsers(body hcl.Body, elsewhere map[string]string) *Browsers {
	var h browsersHCL
	to := &Browsers{Rate: defaultBrowsersRate, Burst: defaultBrowsersBurst}
	r.decode("browsers", body, &h)
	r.needs(body, h.Listen, "listen", "where browsers connect")
	r.needs(body, h.Extensions, "extensions", "the origins of the extensions that are answered, as in [\"chrome-extension://ID\"]")
	r.extensions(&to.Extensions, h.Extensions)
	if r.count(&to.Rate, h.Rate, maxRate) {
		to.Burst = max(to.Burst, to.Rate)
	}
	r.count(&to.Burst, h.Burst, maxRate)
	to.TLS = r.keyPair(h.TLS)
	if !r.listenAlone(&to.Listen, h.Listen, elsewhere, "browsers connect") {
		return to
	}
	if to.TLS == nil && !onLoopback(to.Listen) {
		r.fail(h.Listen.Expr.Range(), "No TLS", fmt.Sprintf("%s is not on loopback, and browsers tell there what a page may not know: give it a block tls.", to.Listen))
	}
	return to
}

// listenAlone reads host and port, where nothing else may listen, and takes down what for.
func (r *reader) listenAlone(to *string, a *hcl.Attribute, elsewhere map[string]string, what string) bool {
	if !r.listen(to, a) {
		return false
	}
	if strings.HasSuffix(*to, ":0") { // 0 is any that is free
		return true
	}
	if other := elsewhere[*to]; other != "" {
		r.fail(a.Expr.Range(), "Address twice", fmt.Sprintf("%q is where %s: give one of the two another port.", *to, other))
	}
	elsewhere[*to] = what
	return true
}

// extensions reads origins of extensions.
func (r *reader) extensions(to *[]string, a *hcl.Attribute) {
	list, ok := r.list(a, "origins of extensions", "chrome-extension://abcdefghijklmnopabcdefghijklmnop")
	if ok && len(list) == 0 {
		r.fail(a.Expr.Range(), "No extension", "An empty list is none, and nobody would be answered: write the origin of the extension, or leave the block browsers out.")
	}
	for _, e := range list {
		wrong := ""
		switch {
		case chromeOrigin.MatchString(e.text), firefoxOrigin.MatchString(e.text), e.text == AnyFirefox:
		case e.text == chromeScheme+"*":
			wrong = "Every extension in Chromium would be answered, also one that a user has installed, and the id of yours is the same in every browser: write it, as chrome://extensions shows it."
		case strings.HasPrefix(e.text, chromeScheme):
			wrong = fmt.Sprintf("An id in Chromium has 32 letters of a to p, as chrome://extensions shows it, and nothing follows it: %q has another form.", e.text)
		case strings.HasPrefix(e.text, firefoxScheme):
			wrong = fmt.Sprintf("Write %q, as Firefox has a random UUID for an extension in each profile, or such a UUID in lower case: %q is neither.", AnyFirefox, e.text)
		default:
			wrong = fmt.Sprintf("Write chrome-extension:// and the id of the extension, or %q, not %q. Web pages are never answered.", AnyFirefox, e.text)
		}
		if wrong != "" {
			r.fail(e.at, "Not an extension", wrong)
			continue
		}
		*to = append(*to, e.text)
	}
}

// changes tells of each attribute that differs in next, and whether it is taken into use at run time.
func (b *Browsers) changes(next *Browsers, running, restart func(string, bool)) {
	restart("browsers", (b == nil) != (next == nil))
	if b == nil || next == nil {
		return
	}
	restart("browsers.listen", b.Listen != next.Listen)
	running("browsers.extensions", !slices.Equal(b.Extensions, next.Extensions))
	running("browsers.rate", b.Rate != next.Rate)
	running("browsers.burst", b.Burst != next.Burst)
	restart("browsers.tls", (b.TLS == nil) != (next.TLS == nil))
	if was, is := b.TLS, next.TLS; was != nil && is != nil {
		running("browsers.tls.certificate_file", was.CertificateFile != is.CertificateFile)
		running("browsers.tls.key_file", was.KeyFile != is.KeyFile)
	}
}

// reloaded returns the block that is in use once all of next is that can be at run time.
func (b *Browsers) reloaded(next *Browsers) *Browsers {
	if b == nil {
		return nil
	}
	out := *b
	if next != nil {
		out.Extensions, out.Rate, out.Burst = next.Extensions, next.Rate, next.Burst
	}
	out.Extensions = slices.Clone(out.Extensions)
	if b.TLS != nil {
		files := *b.TLS
		if next != nil && next.TLS != nil {
			files = *next.TLS
		}
		out.TLS = &files
	}
	return &out
}
