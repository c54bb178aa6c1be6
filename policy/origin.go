package policy

import (
	"errors"
	"net/url"
	"strings"
)

// An Origin is that of a web page (RFC 6454, section 6.2): scheme, host and, unless it is the scheme's
// own, port. Only [ParseOrigin] makes origins that compare rightly.
type Origin string

// ErrOrigin says that a text is not the origin of a web page.
var ErrOrigin = errors.New("not the origin of a web page: want scheme and host alone, as in https://meet.example.com")

// ParseOrigin reads an origin as browsers send it. The error is [ErrOrigin]; "null", which browsers
// send for pages without one, is an error too.
func ParseOrigin(s string) (Origin, error) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery ||
		strings.HasSuffix(s, "#") || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || strings.ContainsFunc(u.Host, isNotHost) {
		return "", ErrOrigin
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // in lower case already
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", ErrOrigin
	}
	return Origin(u.Scheme + "://" + host), nil
}

func isNotHost(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("*%,;", r) }
