package doctor

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"time"
)

// checkExtension asks where the browser extension does, without the origin of one: candgw refuses that, and no other server
// does in this way.
func (n *Node) checkExtension(ctx context.Context, r *report) {
	const check = "extension"
	c := n.Config.Browsers
	if c == nil {
		return
	}
	server := serverOf(c.Listen)
	if !server.IsValid() {
		r.add(check, Skip, "where it listens is known only to the 'serve' that runs", "")
		return
	}
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	client := http.Client{
		Timeout: patience,
		// It is this host's own, and shown under a name that is not known here; nothing is told to it.
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+server.String()+"/v1/encrypt", strings.NewReader("{}"))
	if err != nil {
		r.add(check, Skip, "it cannot be asked", "")
		return
	}
	reply, err := client.Do(ask)
	if err != nil {
		r.add(check, Fail, "nobody answers the browser extension", "'candgw serve' does not run, or has not been started again since the block browsers came.")
		return
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusForbidden || reply.Header.Get("Content-Type") != "application/problem+json" {
		r.add(check, Fail, "what answers there is not candgw", "Another program has its port: end it, or have candgw listen elsewhere.")
		return
	}
	if reply.TLS != nil {
		switch leaf := reply.TLS.PeerCertificates[0]; {
		case n.Now().After(leaf.NotAfter):
			r.add(check, Fail, "it shows a certificate that has expired, and browsers refuse it", "Put a new one in its place and send SIGHUP.")
			return
		case leaf.NotAfter.Sub(n.Now()) < soon:
			r.add(check, Warn, "it shows a certificate that expires in "+leaf.NotAfter.Sub(n.Now()).Round(time.Minute).String(), "Renew it, and send SIGHUP.")
			return
		case len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
			r.add(check, Fail, "it shows a certificate of no host, and browsers refuse it", "Have one issued with the host's name as subject alternative name.")
			return
		}
	}
	r.ok(check, "the extension is answered")
}
