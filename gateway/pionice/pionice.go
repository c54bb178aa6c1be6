// Package pionice puts a gateway at the agents of github.com/pion/ice/v2, so that an endpoint of its own
// program conceals its addresses and opens the names of others with the key ring, without a lookup.
//
// An [ice.Agent] gathers and connects as before; only what passes between it and signaling is another:
// [Plugin.OnCandidate] stands in place of the agent's method of that name, and [Plugin.AddRemoteCandidate]
// likewise. What is encrypted, and what is opened, is up to the policy of the gateway, as for every other
// endpoint. docs/pion.md shows the whole.
package pionice

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/ice/v2"

	"github.com/candgw/candgw/gateway"
)

// A Config is what a plugin needs.
type Config struct {
	// Gateway encrypts and decrypts; it may serve other plugins too. It must be set.
	Gateway *gateway.Gateway
	// Client is the address by which policies know this host. If it is not valid, policies with clients do not
	// match.
	Client netip.Addr
	// Failed, unless it is nil, hears why a gathered candidate is not passed on, if it should have been: no
	// active key, an ice-pwd that is too short, too many candidates. What a policy drops is no failure. No error
	// holds an address. It may be called by several goroutines at once.
	Failed func(error)
}

// A Plugin serves any number of agents of one host, and is safe for concurrent use. It remembers nothing
// of them, and ends with them.
type Plugin struct {
	config Config
	secret []byte
}

// New returns a plugin.
func New(config Config) *Plugin {
	if config.Failed == nil {
		config.Failed = func(error) {}
	}
	p := &Plugin{config: config, secret: make([]byte, 32)}
	rand.Read(p.secret) // never fails: crypto/rand
	return p
}

// OnCandidate has f called with each candidate to send that an agent gathers, and with an empty one after the
// last (RFC 8838, section 13). Candidates are as in "candidate:1 1 udp 2130706431 …". A policy may make two
// of one, or none; what cannot be encrypted is not passed on but told to [Config.Failed].
//
// It replaces the handler that the agent had. f is called by a goroutine of the agent, one call at a time,
// and no longer once the agent is closed. After [ice.Agent.Restart] candidates are encrypted under the new
// credentials.
func (p *Plugin) OnCandidate(agent *ice.Agent, f func(candidate string)) error {
	return agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			f("")
			return
		}
		ufrag, pwd, err := agent.GetLocalUserCredentials()
		if errors.Is(err, ice.ErrClosed) {
			return
		}
		if err != nil {
			p.config.Failed(fmt.Errorf("a candidate is not passed on: its credentials: %w", err))
			return
		}
		for _, encrypted := range p.Encrypt(c.Marshal(), ufrag, pwd) {
			f(encrypted)
		}
	})
}

// AddRemoteCandidate gives an agent a candidate that came for it, with the address in place of its name if the
// ring opens that and the policy has it opened. Any other .local name is left to the agent, which asks for it
// by Multicast DNS unless that is disabled. An empty candidate, which ends them, is ignored as the agent
// ignores it.
//
// Names of the draft's suites open only with the ice-pwd of the other side: call
// [ice.Agent.SetRemoteCredentials] first, also after a restart. The error wraps [gateway.ErrMalformed] for what
// is no candidate, and [gateway.ErrNothingLeft] for a name that steers the agent to an address of its own
// host.
func (p *Plugin) AddRemoteCandidate(agent *ice.Agent, candidate string) error {
	if candidate == "" {
		return nil
	}
	ufrag, pwd, err := agent.GetRemoteUserCredentials()
	if err != nil {
		return fmt.Errorf("the credentials of a remote candidate: %w", err)
	}
	opened, err := p.Decrypt(candidate, ufrag, pwd)
	if err != nil {
		return err
	}
	c, err := ice.UnmarshalCandidate(strings.TrimPrefix(opened, prefix))
	if err != nil {
		return fmt.Errorf("a remote candidate: %w", err)
	}
	return agent.AddRemoteCandidate(c)
}

// prefix begins a candidate: RFC 8839, section 5.1.
const prefix = "candidate:"

// Encrypt returns what is to be sent of a candidate that was gathered under some credentials: mostly one,
// with a name; two where the policy augments; none where it drops or where encrypting failed, which
// [Config.Failed] hears. [Plugin.OnCandidate] does it; it stands here for what else is built on these agents.
func (p *Plugin) Encrypt(candidate, ufrag, pwd string) []string {
	out, err := p.encrypt(candidate, ufrag, pwd)
	if err != nil {
		p.config.Failed(fmt.Errorf("a candidate is not passed on: %w", err))
	}
	return out
}

func (p *Plugin) encrypt(candidate, ufrag, pwd string) ([]string, error) {
	body, err := fragment(candidate, ufrag, pwd)
	if err != nil {
		return nil, err
	}
	r, err := p.Request(body, gateway.Fragment)
	if err != nil {
		return nil, err
	}
	result, err := p.config.Gateway.Encrypt(context.Background(), r) // which the gateway's patience bounds
	if err != nil && !errors.Is(err, gateway.ErrNothingLeft) {
		return nil, err
	}
	if refused := result.Report.Refused(); len(refused) > 0 {
		return nil, errors.New(refused[0].Reason)
	}
	return candidates(result.Body), nil
}

// Decrypt returns a candidate that came from the other side, whose credentials may be empty if they are not
// known, with the address in place of its name if the ring opens that and the policy has it opened. Errors
// are as for [Plugin.AddRemoteCandidate], which does it.
func (p *Plugin) Decrypt(candidate, ufrag, pwd string) (string, error) {
	body, err := fragment(candidate, ufrag, pwd)
	if err != nil {
		return "", fmt.Errorf("a remote candidate: %w", err)
	}
	r := gateway.Request{Body: body, Format: gateway.Fragment, Client: p.config.Client}
	result, err := p.config.Gateway.Decrypt(context.Background(), r)
	if err != nil && !errors.Is(err, gateway.ErrNothingLeft) {
		return "", fmt.Errorf("a remote candidate: %w", err)
	}
	left := candidates(result.Body)
	if len(left) != 1 {
		return "", fmt.Errorf("a remote candidate: %w: %s", gateway.ErrNothingLeft, result.Report.Candidates[0].Reason)
	}
	return left[0], nil
}

// Request returns a request to encrypt what this host sends. With the addresses of its interfaces it is known
// which server reflexive candidates tell one, as they do where nothing translates addresses on the way to the
// STUN server.
func (p *Plugin) Request(body []byte, format gateway.Format) (gateway.Request, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return gateway.Request{}, fmt.Errorf("the addresses of this host: %w", err)
	}
	r := gateway.Request{Body: body, Format: format, Client: p.config.Client, Secret: p.secret}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			r.Hosts = append(r.Hosts, prefix.Addr())
		}
	}
	return r, nil
}

// fragment returns a candidate with its credentials as trickle ICE sends them: RFC 8840, section 9.
func fragment(candidate, ufrag, pwd string) ([]byte, error) {
	candidate = strings.TrimRight(candidate, "\r\n") // of the line that it may have been
	for _, s := range []string{candidate, ufrag, pwd} {
		if strings.ContainsAny(s, "\r\n") {
			return nil, fmt.Errorf("%w: it, or its credentials, are of several lines", gateway.ErrMalformed)
		}
	}
	var b strings.Builder
	if ufrag != "" {
		b.WriteString("a=ice-ufrag:" + ufrag + "\r\n")
	}
	if pwd != "" {
		b.WriteString("a=ice-pwd:" + pwd + "\r\n")
	}
	b.WriteString(candidateLine + strings.TrimPrefix(strings.TrimPrefix(candidate, "a="), prefix) + "\r\n")
	return []byte(b.String()), nil
}

const candidateLine = "a=" + prefix

// candidates returns those of a fragment.
func candidates(body []byte) (out []string) {
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, candidateLine) {
			out = append(out, strings.TrimRight(line[len("a="):], "\r\n"))
		}
	}
	return out
}
