package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"unicode"
)

// mostSaid is how much of what the API says is read.
const mostSaid = 4 << 10

// checkAPI asks the API of this node whether it is ready, and what it says is not in use. /readyz is for everybody who can
// connect, with or without a token.
func (n *Node) checkAPI(ctx context.Context, r *report) {
	const check = "API"
	c := n.Config.API
	network, address, scheme := "unix", c.Socket(), "http"
	if address == "" {
		server := serverOf(c.Listen)
		if !server.IsValid() {
			r.add(check, Skip, "its address is known only to the 'serve' that runs", "")
			return
		}
		network, address = "tcp", server.String()
	}
	if c.TLS != nil {
		scheme = "https"
	}
	client := http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
			// It is this host's own, and shown under a name that is not known here; nothing is told to it.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://localhost/readyz", nil)
	if err != nil {
		r.add(check, Skip, "it cannot be asked", "")
		return
	}
	reply, err := client.Do(ask)
	if errors.Is(err, fs.ErrPermission) {
		r.add(check, Skip, "this user may not connect to its socket", "Run the doctor as the user of 'serve', or as root.")
		return
	}
	var said []byte
	if err == nil {
		defer reply.Body.Close()
		said, err = io.ReadAll(io.LimitReader(reply.Body, mostSaid))
	}
	if err != nil {
		r.add(check, Fail, "it does not answer", "'candgw serve' does not run, or listens elsewhere: give the doctor its --config or flags.")
		return
	}
	n.judgeReady(r, check, reply.StatusCode, said)
}

// judgeReady reports on an answer of /readyz.
func (n *Node) judgeReady(r *report, check string, status int, said []byte) {
	first, rest, _ := strings.Cut(printable(string(said)), "\n")
	var problem struct{ Detail string }
	switch {
	case status == http.StatusOK && first == "ready":
		r.ok(check, "it is ready")
		for line := range strings.Lines(rest) {
			if line = strings.TrimSpace(line); line != "" {
				r.add(check, Warn, line, "Correct the mistake; of the configuration send SIGHUP then.")
			}
		}
	case status == http.StatusServiceUnavailable && json.Unmarshal(said, &problem) == nil && problem.Detail != "":
		r.add(check, Fail, "it is not ready: "+printable(problem.Detail), "Look in the log of 'candgw serve'; if a key is missing, 'candgw keys generate' makes one.")
	default:
		r.add(check, Fail, "what answers there is not the API of candgw", "Another program has its port: end it, or have the API listen elsewhere.")
	}
}

// printable returns a text without what would steer a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c != '\n' && !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s)
}
