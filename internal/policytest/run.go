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
		return c.compareRefusal(refusal), nil
	case err != nil && !errors.Is(err, gateway.ErrNothingLeft):
		return nil, err
	}
	report := &result.Report
	if c.single {
		if n := len(report.Candidates); n != 1 {
			return nil, fmt.Errorf("candidate holds %d of them, want one, as in \"candidate:1 1 udp 1 10.20.3.4 50000 typ host\"; set description for several", n)
		}
		only := report.Candidates[0]
		failures = c.compare(string(only.Result), only.By, Explain(&only))
	} else {
		by := set.DecideSession(c.client, c.origin).InboundBy
		failures = c.compare("passed", by, by.String())
	}
	for _, n := range c.expect.counts {
		failures = append(failures, differs(n.name, n.of(report), n.want)...)
	}
	for _, s := range c.expect.contains {
		if !strings.Contains(string(result.Body), s) {
			failures = append(failures, fmt.Sprintf("it does not contain %q", s))
		}
	}
	for _, s := range c.expect.lacks {
		if strings.Contains(string(result.Body), s) {
			failures = append(failures, fmt.Sprintf("it contains %q", s))
		}
	}
	return failures, nil
}

// compareRefusal also fails a case that expects something of a description, but not that it is refused:
// nothing of it is passed on that could be looked at.
func (c *Case) compareRefusal(r *gateway.Refusal) []string {
	why, e := explain(r.By, r.Where()+": "+r.What), &c.expect
	if e.result == "" && len(e.counts)+len(e.contains)+len(e.lacks) > 0 {
		return []string{"got refused, want it passed on", why}
	}
	return c.compare("refused", r.By, why)
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
	if c.single && sent.Report.Dropped > 0 {
		return nil, fmt.Errorf("it cannot come in, as no gateway passes it on: %s", sent.Report.Candidates[0].Reason)
	}
	request.Body = sent.Body
	return g.Decrypt(context.Background(), request)
}

func (c *Case) runLookup(set *policy.Set) []string {
	asker := set.DecideAsker(c.from, c.onLink)
	answer := asker.Answer(c.lookup)
	result, why := "refused", answer.By.String()
	switch {
	case !answer.Allow:
	case policy.Reachable(c.lookup):
		result = "answered"
	default:
		answer, why = policy.Answer{}, "no other host can reach an address of its kind"
	}
	failures := c.compare(result, answer.By, why)
	if want := c.expect.ttl; want != nil && *want != answer.TTL {
		failures = append(failures, fmt.Sprintf("ttl: got %v, want %v", answer.TTL, *want))
	}
	if want := c.expect.rate; want != nil {
		failures = append(failures, differs("rate", asker.Rate, *want)...)
	}
	if want := c.expect.burst; want != nil {
		failures = append(failures, differs("burst", asker.Burst, *want)...)
	}
	return failures
}

func differs(name string, got, want int) []string {
	if got == want {
		return nil
	}
	return []string{fmt.Sprintf("%s: got %d, want %d", name, got, want)}
}

// compare compares a result and what decided on it with what is expected; why explains it.
func (c *Case) compare(result string, by *policy.Place, why string) (failures []string) {
	if want := c.expect.result; want != "" && result != want {
		failures = append(failures, fmt.Sprintf("got %s, want %s", result, want))
	}
	block := ""
	if by != nil {
		block = by.Block
	}
	for _, e := range []struct {
		name, got string
		want      *string
	}{{"policy", by.Name(), c.expect.policy}, {"by", block, c.expect.by}} {
		if e.want != nil && *e.want != e.got {
			failures = append(failures, fmt.Sprintf("%s: got %q, want %q", e.name, e.got, *e.want))
		}
	}
	if len(failures) > 0 {
		failures = append(failures, why)
	}
	return failures
}
