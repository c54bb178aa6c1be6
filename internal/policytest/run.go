package policytest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/policy"
)

// credentials begin the fragment that a case's single candidate is tried in.
const credentials = "a=ice-ufrag:case\r\na=ice-pwd:password-of-a-policy-test-case\r\n"

// Run tries a case under some policies, and returns what is otherwise than expected. The error tells why
// it could not be tried.
func (c *Case) Run(set *policy.Set) (failures []string, err error) {
	if c.lookup.IsValid() {
		return c.runLookup(set), nil
	}
	result, err := c.signal(set)
	var refusal *gateway.Refusal
	switch {
	case errors.As(err, &refusal):
		return c.compare("refused", refusal.By), nil
	case err != nil && !errors.Is(err, gateway.ErrNothingLeft):
		return nil, err
	}
	report := &result.Report
	if c.single {
		if len(report.Candidates) != 1 {
			return nil, fmt.Errorf("candidate holds %d candidates, want one", len(report.Candidates))
		}
		only := report.Candidates[0]
		failures = c.compare(string(only.Result), only.By)
		if len(failures) > 0 && only.Reason != "" {
			failures = append(failures, only.Reason)
		}
	} else {
		failures = c.compare("passed", set.DecideSession(c.client, c.origin).InboundBy)
	}
	for _, n := range c.expect.counts(report) {
		if n.want != nil && *n.want != n.got {
			failures = append(failures, fmt.Sprintf("%s: got %d, want %d", n.name, n.got, *n.want))
		}
	}
	for _, s := range c.expect.Contains {
		if !strings.Contains(string(result.Body), s) {
			failures = append(failures, fmt.Sprintf("it does not contain %q", s))
		}
	}
	for _, s := range c.expect.Lacks {
		if strings.Contains(string(result.Body), s) {
			failures = append(failures, fmt.Sprintf("it contains %q", s))
		}
	}
	return failures, nil
}

// signal has a gateway do what the case is about.
func (c *Case) signal(set *policy.Set) (*gateway.Result, error) {
	request := gateway.Request{Body: []byte(c.body), Format: gateway.FormatOf([]byte(c.body)), Client: c.client, Origin: c.origin}
	if c.single {
		text := strings.TrimRight(c.body, "\r\n")
		if !strings.HasPrefix(text, "a=") {
			text = "a=" + text
		}
		request.Body, request.Format = []byte(credentials+text+"\r\n"), gateway.Fragment
	}
	g, err := NewGateway(set, c.names)
	if err != nil {
		return nil, err
	}
	if !c.inbound {
		return g.Encrypt(context.Background(), request)
	}
	// What comes in was encrypted for another endpoint before.
	builtIn, err := new(policy.Loader).Load(policy.Source{Name: "default.hcl", Text: policies.Default})
	if err != nil {
		return nil, err
	}
	sender, err := NewGateway(builtIn, c.names)
	if err != nil {
		return nil, err
	}
	sent, err := sender.Encrypt(context.Background(), gateway.Request{Body: request.Body, Format: request.Format})
	if err != nil {
		return nil, fmt.Errorf("encrypting what comes in: %w", err)
	}
	request.Body = sent.Body
	return g.Decrypt(context.Background(), request)
}

func (c *Case) runLookup(set *policy.Set) []string {
	asker := set.DecideAsker(c.from, c.onLink)
	answer := asker.Answer(c.lookup)
	result := "refused"
	if answer.Allow && policy.Reachable(c.lookup) {
		result = "answered"
	}
	failures := c.compare(result, answer.By)
	if c.expect.TTL != nil && c.ttl != answer.TTL {
		failures = append(failures, fmt.Sprintf("ttl: got %v, want %v", answer.TTL, c.ttl))
	}
	for _, n := range []count{{"rate", c.expect.Rate, asker.Rate}, {"burst", c.expect.Burst, asker.Burst}} {
		if n.want != nil && *n.want != n.got {
			failures = append(failures, fmt.Sprintf("%s: got %d, want %d", n.name, n.got, *n.want))
		}
	}
	return failures
}

// compare compares a result and what decided on it with what is expected.
func (c *Case) compare(result string, by *policy.Place) (failures []string) {
	if c.result != "" && result != c.result {
		failures = append(failures, fmt.Sprintf("got %s, want %s", result, c.result))
	}
	block := ""
	if by != nil {
		block = by.Block
	}
	for _, e := range []struct {
		name, got string
		want      *string
	}{{"policy", by.Name(), c.expect.Policy}, {"by", block, c.expect.By}} {
		if e.want != nil && *e.want != e.got {
			failures = append(failures, fmt.Sprintf("%s: got %q, want %q", e.name, e.got, *e.want))
		}
	}
	if len(failures) > 0 {
		failures = append(failures, "here decides: "+by.String())
	}
	return failures
}
