package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Signaling is a block signaling: a proxy in the way of an application's signaling.
type Signaling struct {
	// Name is the label of the block. No two have the same.
	Name string
	// Listen is host and port, as for [DNS]. No two proxies have the same, unless its port is 0.
	Listen string
	// TLS is nil without TLS.
	TLS *KeyPair
	// Upstream is where requests are passed on to: a scheme, http or https, and a host.
	Upstream string
	// CAFile names a file in PEM: the authorities that may vouch for the upstream. "" is unset: those of the
	// system.
	CAFile string
	// Paths are those where signaling is looked for: a path, or the beginning of one with an asterisk after
	// it. It is nil for all of them, never empty.
	Paths []string
	// Endpoint is [Client] or [Upstream].
	Endpoint string
	// TrustedProxies may say whose connection it is that they pass on.
	TrustedProxies []netip.Prefix
	// ProxyProtocol says that connections of trusted proxies begin with a header of the PROXY protocol. There
	// are some then.
	ProxyProtocol bool
	// MaxConnections is how many WebSockets are open at once.
	MaxConnections int
}

// Whose candidates a proxy encrypts.
const (
	Client   = "client"
	Upstream = "upstream"
)

const (
	defaultConnections = 10_000
	mostConnections    = 1_000_000
)

type signalingHCL struct {
	Name  string    `hcl:"name,label"`
	Range hcl.Range `hcl:"name,label_range"`
	Body  hcl.Body  `hcl:",remain"`
}

type signalingBodyHCL struct {
	Listen         *hcl.Attribute `hcl:"listen,optional"`
	TLS            *blockHCL      `hcl:"tls,block"`
	Upstream       *hcl.Attribute `hcl:"upstream,optional"`
	CAFile         *hcl.Attribute `hcl:"ca_file,optional"`
	Paths          *hcl.Attribute `hcl:"paths,optional"`
	Endpoint       *hcl.Attribute `hcl:"endpoint,optional"`
	TrustedProxies *hcl.Attribute `hcl:"trusted_proxies,optional"`
	ProxyProtocol  *hcl.Attribute `hcl:"proxy_protocol,optional"`
	MaxConnections *hcl.Attribute `hcl:"max_connections,optional"`
}

// signaling reads all blocks. elsewhere has where else this process listens over TCP, with what for.
func (r *reader) signaling(blocks []*signalingHCL, elsewhere map[string]string) (out []Signaling) {
	names := map[string]bool{}
	for _, b := range blocks {
		switch {
		case !isLabel(b.Name):
			r.fail(b.Range, "Not a name", fmt.Sprintf("A proxy has a name of 1 to 63 letters, digits, '-' and '_', for the log and the metrics: %q is none.", b.Name))
		case names[b.Name]:
			r.fail(b.Range, "Name twice", fmt.Sprintf("There is a signaling %q already: give this one another name.", b.Name))
		}
		names[b.Name] = true
		s := Signaling{Name: b.Name, Endpoint: Client, MaxConnections: defaultConnections}
		r.signalingBlock(&s, b.Body, elsewhere)
		out = append(out, s)
	}
	return out
}

func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, func(c rune) bool { return c != '_' && isNotLDH(c) })
}

func (r *reader) signalingBlock(to *Signaling, body hcl.Body, elsewhere map[string]string) {
	var h signalingBodyHCL
	r.decode("signaling", body, &h)
	r.needs(body, h.Listen, "listen", "where clients connect")
	r.needs(body, h.Upstream, "upstream", "the site that requests are passed on to")
	r.listenAlone(&to.Listen, h.Listen, elsewhere, fmt.Sprintf("signaling %q listens", to.Name))
	to.TLS = r.keyPair(h.TLS)
	r.upstream(&to.Upstream, h.Upstream)
	if r.path(&to.CAFile, h.CAFile) && strings.HasPrefix(to.Upstream, "http:") {
		r.fail(h.CAFile.Range, "No effect", "Over http: nobody shows a certificate: write an upstream of https:, or leave ca_file out.")
	}
	r.paths(&to.Paths, h.Paths)
	words := []string{Client, Upstream}
	if i, ok := r.oneOf(h.Endpoint, words); ok {
		to.Endpoint = words[i]
	}
	r.networks(&to.TrustedProxies, h.TrustedProxies)
	if r.flag(&to.ProxyProtocol, h.ProxyProtocol) && to.ProxyProtocol && h.TrustedProxies == nil {
		r.fail(h.ProxyProtocol.Range, "Nobody to trust", "Who may speak the PROXY protocol says whose connection it is: name the networks of those that do with trusted_proxies.")
	}
	r.count(&to.MaxConnections, h.MaxConnections, mostConnections)
}

// upstream reads the origin of a site.
func (r *reader) upstream(to *string, a *hcl.Attribute) {
	var s string
	if !r.text(&s, a) {
		return
	}
	fail := func(wrong string) { r.fail(a.Expr.Range(), "Not a site", wrong) }
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "@"):
		r.hide(a.Expr.Range()) // a password
		fail("No name and no password stand in it: clients send their own.")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		fail(fmt.Sprintf("Write scheme and host, as in \"https://meet.example.com\", not %q.", s))
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.Trim(u.Path, "/") != "":
		fail("Write scheme and host alone: the paths of requests stay as they are.")
	case u.Port() == "0" || checkListen(hostPort(u)) != "":
		fail(fmt.Sprintf("%q is no host with a port.", u.Host))
	default:
		*to = u.Scheme + "://" + u.Host
	}
}

// hostPort returns host and port of a URL, with some port where it has none.
func hostPort(u *url.URL) string {
	if u.Port() == "" && !strings.HasSuffix(u.Host, ":") {
		return u.Host + ":1"
	}
	return u.Host
}

// paths reads patterns of paths.
func (r *reader) paths(to *[]string, a *hcl.Attribute) {
	list, ok := r.list(a, "paths", "/ws")
	if ok && len(list) == 0 {
		r.fail(a.Expr.Range(), "No path", "An empty list is none, and signaling would pass unread: write one, as in [\"/ws\"], or leave paths out for all of them.")
	}
	for _, e := range list {
		if !strings.HasPrefix(e.text, "/") || strings.Contains(strings.TrimSuffix(e.text, "*"), "*") || strings.ContainsAny(e.text, "?#%") {
			r.fail(e.at, "Not a path", fmt.Sprintf("A path begins with a slash and may end in an asterisk, as in \"/ws\" or \"/api/*\", and has no escapes: %q is none.", e.text))
			continue
		}
		*to = append(*to, e.text)
	}
}

// networks reads networks.
func (r *reader) networks(to *[]netip.Prefix, a *hcl.Attribute) {
	list, ok := r.list(a, "networks", "10.0.0.5/32")
	if ok && len(list) == 0 {
		r.fail(a.Expr.Range(), "No network", "An empty list is none: leave it out.")
	}
	for _, e := range list {
		n, err := netip.ParsePrefix(e.text)
		if err != nil || n != n.Masked() || n.Addr().Is4In6() {
			hint := ""
			if a, err := netip.ParseAddr(e.text); err == nil && a.Zone() == "" {
				hint = fmt.Sprintf(" For that host alone: %q.", netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			} else if n.IsValid() && !n.Addr().Is4In6() {
				hint = fmt.Sprintf(" Its network is %q.", n.Masked())
			}
			r.fail(e.at, "Not a network", fmt.Sprintf("Write an address and the length of its prefix, as in \"10.0.0.0/24\", not %q.%s", e.text, hint))
			continue
		}
		*to = append(*to, n)
	}
}

// signalingChanges tells what differs in the proxies: of those that are there before and after, the files of
// the certificate can be taken into use at run time.
func (c *Config) signalingChanges(next *Config, running, restart func(string, bool)) {
	if !sameProxies(c, next) {
		restart("signaling", true)
		return
	}
	for i, was := range c.Signaling {
		is := next.Signaling[i]
		name := "signaling." + was.Name + "."
		restart(name+"listen", was.Listen != is.Listen)
		restart(name+"tls", (was.TLS == nil) != (is.TLS == nil))
		if was.TLS != nil && is.TLS != nil {
			running(name+"tls.certificate_file", was.TLS.CertificateFile != is.TLS.CertificateFile)
			running(name+"tls.key_file", was.TLS.KeyFile != is.TLS.KeyFile)
		}
		restart(name+"upstream", was.Upstream != is.Upstream)
		restart(name+"ca_file", was.CAFile != is.CAFile)
		restart(name+"paths", !slices.Equal(was.Paths, is.Paths))
		restart(name+"endpoint", was.Endpoint != is.Endpoint)
		restart(name+"trusted_proxies", !slices.Equal(was.TrustedProxies, is.TrustedProxies))
		restart(name+"proxy_protocol", was.ProxyProtocol != is.ProxyProtocol)
		restart(name+"max_connections", was.MaxConnections != is.MaxConnections)
	}
}

// sameProxies reports whether the same proxies are there, in the same order.
func sameProxies(c, next *Config) bool {
	return slices.EqualFunc(c.Signaling, next.Signaling, func(a, b Signaling) bool { return a.Name == b.Name })
}

// reloadedSignaling returns the proxies as they are once next is taken into use at run time.
func (c *Config) reloadedSignaling(next *Config) []Signaling {
	out := slices.Clone(c.Signaling)
	for i := range out {
		s := &out[i]
		s.Paths, s.TrustedProxies = slices.Clone(s.Paths), slices.Clone(s.TrustedProxies)
		if s.TLS == nil {
			continue
		}
		files := *s.TLS
		if sameProxies(c, next) && next.Signaling[i].TLS != nil {
			files = *next.Signaling[i].TLS
		}
		s.TLS = &files
	}
	return out
}
