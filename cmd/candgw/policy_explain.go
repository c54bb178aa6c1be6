package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/policytest"
	"github.com/candgw/candgw/policy"
)

// policyExplain tells what the policies do with each candidate of a body, or with a lookup, and which
// line of them does it.
func (a *app) policyExplain(args []string) error {
	fs := a.flags("policy explain")
	p := a.policyFlags(fs)
	client, origin := fs.String("client", "", ""), fs.String("origin", "", "")
	lookup, from := fs.String("lookup", "", ""), fs.String("from", "", "")
	onLink := fs.Bool("on-link", false, "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	var request gateway.Request
	var l policy.Lookup
	var err error
	if request.Client, err = addressFlag("client", *client); err != nil {
		return err
	}
	if request.Origin, err = originFlag(*origin); err != nil {
		return err
	}
	if l.Addr, err = addressFlag("lookup", *lookup); err != nil {
		return err
	}
	if l.Asker, err = addressFlag("from", *from); err != nil {
		return err
	}
	l.OnLink = *onLink
	switch {
	case *lookup == "" && (*from != "" || *onLink):
		return usageError("--from and --on-link are for --lookup")
	case *lookup != "" && *from == "":
		return usageError("say with --from who looks up %s", *lookup)
	case *lookup != "" && (*client != "" || *origin != ""):
		return usageError("--client and --origin are for signaling; who looks up is said with --from")
	}
	current, _, err := p.open()
	if err != nil {
		return err
	}
	if *lookup != "" {
		a.explainLookup(current(), l)
		return nil
	}
	if request.Body, err = readBody(a.stdin); err != nil {
		return err
	}
	request.Format = gateway.FormatOf(request.Body)
	return a.explainBody(current(), request)
}

func (a *app) explainLookup(set *policy.Set, l policy.Lookup) {
	asker := set.DecideAsker(l.Asker, l.OnLink)
	answer := asker.Answer(l.Addr)
	switch {
	case !answer.Allow:
		fmt.Fprintf(a.stdout, "refused: %v\n", answer.By)
	case !policy.Reachable(l.Addr):
		fmt.Fprintf(a.stdout, "refused: no other host can reach an address of its kind\n")
	default:
		rate := "no rate limit"
		if asker.Rate > 0 {
			rate = fmt.Sprintf("at most %d a second, %d at once", asker.Rate, asker.Burst)
		}
		fmt.Fprintf(a.stdout, "answered: %v; time to live %v; %s\n", answer.By, answer.TTL, rate)
	}
}

func (a *app) explainBody(set *policy.Set, request gateway.Request) error {
	g, err := policytest.NewGateway(set, nil)
	if err != nil {
		return err
	}
	result, err := g.Encrypt(context.Background(), request)
	var refusal *gateway.Refusal
	switch {
	case errors.As(err, &refusal):
		fmt.Fprintf(a.stdout, "refused: %s: %s: %v\n", refusal.Where(), refusal.What, refusal.By)
		return nil
	case err != nil && !errors.Is(err, gateway.ErrNothingLeft):
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, c := range result.Report.Candidates {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.Where(), c.Type, c.Transport, c.Result, policytest.Explain(&c))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	session := set.DecideSession(request.Client, request.Origin)
	if n := result.Report.Assertions; n > 0 {
		fmt.Fprintf(a.stdout, "identity assertions taken out: %d: %v\n", n, session.Identity.By)
	}
	if session.InboundBy == nil && !request.Client.IsValid() {
		fmt.Fprintln(a.stderr, "candgw: no policy is for a client of whom nothing is known: say with --client who sends this")
	}
	return nil
}
