package config

import (
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// API is the block api.
type API struct {
	// Listen is host and port, as for [DNS], or "unix:" and the path of a socket.
	Listen string
	// TokenFile names the file of the bearer token. "" is unset.
	TokenFile string
	// TLS is nil without TLS, and over a Unix socket.
	TLS *APITLS
	// Rate is how many requests a second each caller may make, 0 for any number. Burst is how many of them at once;
	// it is 0 if Rate is.
	Rate, Burst int
	// Drain is how long the API, before it ends, answers and tells that it is not ready.
	Drain time.Duration
}

// APITLS is the block tls in the block api.
type APITLS struct {
	// CertificateFile and KeyFile name files in PEM, as for [TLS].
	CertificateFile, KeyFile string
	// ClientCAFile names a file of certificates in PEM: those who call show one that an authority in it has issued.
	// "" is unset.
	ClientCAFile string
}

type apiHCL struct {
	Listen    *hcl.Attribute `hcl:"listen,optional"`
	TokenFile *hcl.Attribute `hcl:"token_file,optional"`
	Rate      *hcl.Attribute `hcl:"rate,optional"`
	Burst     *hcl.Attribute `hcl:"burst,optional"`
	Drain     *hcl.Attribute `hcl:"drain,optional"`
	TLS       *blockHCL      `hcl:"tls,block"`
}

type apiTLSHCL struct {
	CertificateFile *hcl.Attribute `hcl:"certificate_file,optional"`
	KeyFile         *hcl.Attribute `hcl:"key_file,optional"`
	ClientCAFile    *hcl.Attribute `hcl:"client_ca_file,optional"`
}

const (
	// unixPrefix begins an address that is the path of a socket.
	unixPrefix = "unix:"
	// maxSocketPath is the length of the longest such path that every system has room for, the NUL at its end
	// not counted: macOS has 104 octets for both.
	maxSocketPath = 103

	maxRate = 1_000_000
	// longestDrain is less than service managers wait for a process to end.
	longestDrain = time.Minute
)

// Socket returns the path of the Unix socket that the API listens on, "" if it listens on a port.
func (a API) Socket() string {
	path, _ := strings.CutPrefix(a.Listen, unixPrefix)
	if path == a.Listen {
		return ""
	}
	return path
}

// OnLoopback reports whether nobody but this host can reach the API.
func (a API) OnLoopback() bool { return a.Socket() != "" || onLoopback(a.Listen) }

// onLoopback reports whether nobody but this host can reach host and port.
func onLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// Guarded reports whether strangers are kept out: by where the API listens, or by what it asks of them.
func (a API) Guarded() bool {
	return a.OnLoopback() || a.TokenFile != "" || a.TLS != nil && a.TLS.ClientCAFile != ""
}

// CheckAPIListen returns what to write instead of what is no address for the API, "" if it is one.
func CheckAPIListen(s string) string {
	path, ok := strings.CutPrefix(s, unixPrefix)
	switch {
	case !ok:
		return checkListen(s)
	case path == "" || strings.ContainsRune(path, 0):
		return fmt.Sprintf("Write the path of the socket after \"unix:\", as in %q.", "unix:/run/candgw/api.sock")
	case len(path) > maxSocketPath:
		return fmt.Sprintf("The path of a Unix socket has at most %d octets, this one has %d: name a shorter one.", maxSocketPath, len(path))
	case runtime.GOOS == "windows":
		return "There are no Unix sockets here: listen on 127.0.0.1."
	}
	return ""
}

func (r *reader) api(to *API, body hcl.Body) {
	var h apiHCL
	r.decode("api", body, &h)
	r.path(&to.TokenFile, h.TokenFile)
	asks := h.TokenFile != nil // though what is there may be wrong, which is told of where it stands
	if h.TLS != nil {
		to.TLS = new(APITLS)
		asks = r.apiTLS(to.TLS, h.TLS.Body) || asks
	}
	r.duration(&to.Drain, h.Drain, 0, longestDrain)
	if r.count(&to.Rate, h.Rate, maxRate) {
		to.Burst = to.Rate
	}
	if r.count(&to.Burst, h.Burst, maxRate) && h.Rate == nil {
		r.fail(h.Burst.Range, "No effect", "Without a rate nothing is limited: set rate too, or leave burst out.")
	}
	if !r.apiListen(&to.Listen, h.Listen) {
		return
	}
	switch at := h.Listen.Expr.Range(); {
	case to.Socket() != "" && h.TLS != nil:
		r.fail(at, "No effect", "Over a Unix socket TLS protects nothing: leave the block tls out. Who may use the socket is decided by the group of its file.")
	case !to.OnLoopback() && !asks:
		r.fail(at, "No token", fmt.Sprintf("%s is not on loopback, where everybody could reach it: give it a token with token_file, or a block tls with client_ca_file.", to.Listen))
	}
}

// apiTLS reads the block, and reports whether it asks those who call for certificates.
func (r *reader) apiTLS(to *APITLS, body hcl.Body) bool {
	var h apiTLSHCL
	r.decode("tls", body, &h)
	r.needs(body, h.CertificateFile, "certificate_file", "the file of the certificate, in PEM")
	r.needs(body, h.KeyFile, "key_file", "the file of its private key, in PEM")
	r.path(&to.CertificateFile, h.CertificateFile)
	r.path(&to.KeyFile, h.KeyFile)
	r.path(&to.ClientCAFile, h.ClientCAFile)
	return h.ClientCAFile != nil
}

// apiListen reads host and port, or a path, which is relative to the folder of the file.
func (r *reader) apiListen(to *string, a *hcl.Attribute) bool {
	var s string
	if !r.text(&s, a) {
		return false
	}
	if path, ok := strings.CutPrefix(s, unixPrefix); ok && path != "" {
		if path = filepath.Clean(path); !filepath.IsAbs(path) {
			path = filepath.Join(r.folder, path)
		}
		s = unixPrefix + path
	}
	if wrong := CheckAPIListen(s); wrong != "" {
		r.fail(a.Expr.Range(), "Not an address", wrong)
		return false
	}
	*to = s
	return true
}

// reloaded returns the block that is in use once all of next is that can be at run time. The API goes on listening where
// it does until a restart, and must not be open to everybody meanwhile: what is asked of callers changes together or not
// at all.
func (a API) reloaded(next API) API {
	out := a
	out.Rate, out.Burst, out.Drain = next.Rate, next.Burst, next.Drain
	asks := func(tokenFile, clientCAFile string) API {
		asking := out
		asking.TokenFile = tokenFile
		if a.TLS != nil {
			tls := *a.TLS
			if next.TLS != nil {
				tls.CertificateFile, tls.KeyFile = next.TLS.CertificateFile, next.TLS.KeyFile
			}
			tls.ClientCAFile = clientCAFile
			asking.TLS = &tls
		}
		return asking
	}
	clientCAFile := ""
	if a.TLS != nil {
		clientCAFile = a.TLS.ClientCAFile
	}
	stays := asks(a.TokenFile, clientCAFile)
	if next.TLS != nil {
		clientCAFile = next.TLS.ClientCAFile
	}
	if changed := asks(next.TokenFile, clientCAFile); changed.Guarded() {
		return changed
	}
	return stays
}

// changes tells of each attribute that differs in next, and whether it is taken into use at run time.
func (a API) changes(next API, tell func(name string, changed, atRuntime bool)) {
	out := a.reloaded(next)
	tell("api.listen", a.Listen != next.Listen, false)
	tell("api.token_file", a.TokenFile != next.TokenFile, out.TokenFile == next.TokenFile)
	tell("api.rate", a.Rate != next.Rate, true)
	tell("api.burst", a.Burst != next.Burst, true)
	tell("api.drain", a.Drain != next.Drain, true)
	tell("api.tls", (a.TLS == nil) != (next.TLS == nil), false)
	if was, is := a.TLS, next.TLS; was != nil && is != nil {
		tell("api.tls.certificate_file", was.CertificateFile != is.CertificateFile, true)
		tell("api.tls.key_file", was.KeyFile != is.KeyFile, true)
		tell("api.tls.client_ca_file", was.ClientCAFile != is.ClientCAFile, out.TLS.ClientCAFile == is.ClientCAFile)
	}
}
