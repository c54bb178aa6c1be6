package policy

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// An Origin is that of a web page (RFC 6454, section 6.2): scheme, host and, unless it is the scheme's
// own, port. Only [ParseOrigin] makes origins that compare rightly.
type Origin string

// ErrOrigin says that a text is not the origin of a web page.
var ErrOrigin = errors.New("not the origin of a web page: want scheme and host alone, as in https://meet.example.com")

// ParseOrigin reads an origin as browsers send it. The error is [ErrOrigin]; "null", which browsers
// send for pages without one, is an error too, and so is what no browser would send.
func ParseOrigin(s string) (Origin, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !strings.EqualFold(s, u.Scheme+"://"+u.Host) {
		return "", ErrOrigin
	}
	own, known := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	host, ok := originHost(strings.ToLower(u.Host[:len(u.Host)-len(portOf(u))]))
	port := strings.TrimPrefix(portOf(u), ":")
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case !known || !ok || strings.HasSuffix(u.Host, ":"):
		return "", ErrOrigin
	case port == "" || port == own:
		return Origin(u.Scheme + "://" + host), nil
	case err != nil || n == 0 || port[0] == '0':
		return "", ErrOrigin
	}
	return Origin(u.Scheme + "://" + host + ":" + port), nil
}

// portOf returns the port of a URL with the colon before it, "" if it has none.
func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return ":" + p
	}
	return ""
}

// originHost returns a host as browsers write it.
func originHost(s string) (string, bool) {
	if inside, ok := strings.CutPrefix(s, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		return "[" + addr.String() + "]", err == nil && addr.Is6() && addr.Zone() == "" && strings.HasSuffix(inside, "]")
	}
	return s, isDomain(strings.ReplaceAll(s, "_", "-"))
}
