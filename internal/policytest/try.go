// Package policytest tries policies: it shows what a gateway does under them, with keys of its own and
// no network, and runs the tests that stand beside them. docs/policy.md describes those.
package policytest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// NewGateway returns a gateway under some policies, with keys that this process has made for the
// purpose. Of browsers' names it knows those that it is given, in lower case; if names is nil, it does
// not ask.
func NewGateway(set *policy.Set, names map[string]netip.Addr) (*gateway.Gateway, error) {
	ring, err := freshRing()
	if err != nil {
		return nil, err
	}
	config := gateway.Config{
		Ring:   func() *keyring.Ring { return ring },
		Policy: func() *policy.Set { return set },
	}
	if names != nil {
		config.Names = knownNames(names)
	}
	return gateway.New(config), nil
}

// freshRing returns a ring with an active key of every suite.
var freshRing = sync.OnceValues(func() (*keyring.Ring, error) {
	e := new(keyring.Ring).Edit(time.Now())
	for _, suite := range cipher.Suites() {
		k, err := cipher.GenerateKey(suite)
		if err != nil {
			return nil, err
		}
		if err := e.Add(k, keyring.Active); err != nil {
			return nil, err
		}
	}
	return e.Ring()
})

type knownNames map[string]netip.Addr

func (n knownNames) ResolveName(_ context.Context, name string, _ netip.Addr) (netip.Addr, error) {
	addr, ok := n[strings.ToLower(name)]
	if !ok {
		return addr, errors.New("not among the names of the case")
	}
	return addr, nil
}

// Explain tells what decided on a candidate, and what else there is to say of it.
func Explain(c *gateway.CandidateReport) string {
	if c.Reason == "" || strings.HasPrefix(c.Reason, string(c.Result)) && !strings.Contains(c.Reason, c.By.Rule()+": ") {
		return c.By.String()
	}
	return explain(c.By, strings.TrimPrefix(c.Reason, fmt.Sprintf("%s by %s: ", c.Result, c.By.Rule())))
}

func explain(by *policy.Place, reason string) string {
	if by == nil {
		return reason
	}
	return fmt.Sprintf("%v: %s", by, reason)
}
