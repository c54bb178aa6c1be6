package pionice_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v2"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/gateway/pionice"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const (
	ufrag    = "abcdefgh"
	pwd      = "MpiyNBrY/PGEqhMFOPRVzGsf"
	patience = 20 * time.Second
)

// A side is the plugin of one endpoint.
type side struct {
	*pionice.Plugin
	ring *keyring.Ring

	mu     sync.Mutex
	failed []error
}

// newSide returns a plugin under a policy, the built-in one if it is empty.
func newSide(t *testing.T, ring *keyring.Ring, policyText string) *side {
	t.Helper()
	if policyText == "" {
		policyText = string(policies.Default)
	}
	set, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte(policyText)})
	if err != nil {
		t.Fatal(err)
	}
	s := &side{ring: ring}
	g := gateway.New(gateway.Config{
		Ring:   func() *keyring.Ring { return s.ring },
		Policy: func() *policy.Set { return set },
	})
	s.Plugin = pionice.New(pionice.Config{Gateway: g, Failed: func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed = append(s.failed, err)
	}})
	return s
}

func (s *side) failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.failed)
}

// newRing returns a ring with an active key of every suite.
func newRing(t *testing.T) *keyring.Ring {
	t.Helper()
	editor := new(keyring.Ring).Edit(time.Now())
	for _, suite := range cipher.Suites() {
		key, err := cipher.GenerateKey(suite)
		if err != nil {
			t.Fatal(err)
		}
		if err := editor.Add(key, keyring.Active); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := editor.Ring()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// hostAddr returns an address of this host that others can reach, of one family.
func hostAddr(t *testing.T, family ice.NetworkType) netip.Addr {
	t.Helper()
	for _, addr := range hostAddrs(t) {
		if policy.Reachable(addr) && addr.Is6() == (family == ice.NetworkTypeUDP6) {
			return addr
		}
	}
	t.Skipf("this host has no address for %s that another could reach; the end-to-end tests have hosts with both", family)
	return netip.Addr{}
}

func hostAddrs(t *testing.T) (out []netip.Addr) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		out = append(out, netip.MustParsePrefix(a.String()).Addr())
	}
	return out
}

func newAgent(t *testing.T, config ice.AgentConfig) *ice.Agent {
	t.Helper()
	config.MulticastDNSMode = ice.MulticastDNSModeDisabled
	if config.CandidateTypes == nil {
		config.CandidateTypes = []ice.CandidateType{ice.CandidateTypeHost}
	}
	if config.NetworkTypes == nil {
		config.NetworkTypes = []ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}
	}
	agent, err := ice.NewAgent(&config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() }) // which the test may have done
	return agent
}

// gather returns what an agent sends, to the last, and checks that it tells no address of this host.
func (s *side) gather(t *testing.T, agent *ice.Agent) []string {
	t.Helper()
	sent := make(chan string, 2*gateway.MaxCandidates)
	if err := s.OnCandidate(agent, func(candidate string) { sent <- candidate }); err != nil {
		t.Fatal(err)
	}
	if err := agent.GatherCandidates(); err != nil {
		t.Fatal(err)
	}
	var out []string
	for {
		select {
		case candidate := <-sent:
			if candidate == "" {
				checkHidden(t, out)
				return out
			}
			out = append(out, candidate)
		case <-time.After(patience):
			t.Fatal("gathering does not end")
		}
	}
}

// checkHidden checks that no text holds an address of this host, nor the foundation that pion computes of one.
func checkHidden(t *testing.T, texts []string) {
	t.Helper()
	for _, text := range texts {
		for _, addr := range hostAddrs(t) {
			if strings.Contains(text, addr.String()) && !addr.IsLoopback() {
				t.Errorf("%q tells %s", text, addr)
			}
		}
		c, err := ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: "192.0.2.77", Port: 9, Component: 1})
		if err != nil {
			t.Fatal(err)
		}
		if f, _, _ := strings.Cut(strings.TrimPrefix(text, "candidate:"), " "); len(f) <= len(c.Foundation()) {
			t.Errorf("%q has the foundation %s, which pion computes of the address", text, f)
		}
	}
}

// tell gives an agent the credentials and the candidates of another one.
func (s *side) tell(t *testing.T, agent, other *ice.Agent, candidates []string) (ufrag, pwd string) {
	t.Helper()
	ufrag, pwd, err := other.GetLocalUserCredentials()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.SetRemoteCredentials(ufrag, pwd); err != nil {
		t.Fatal(err)
	}
	for _, c := range append(candidates, "") {
		if err := s.AddRemoteCandidate(agent, c); err != nil {
			t.Fatal(err)
		}
	}
	return ufrag, pwd
}

func TestAgents(t *testing.T) {
	for _, family := range []ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6} {
		for _, suite := range cipher.Suites() {
			t.Run(fmt.Sprint(family, " ", suite), func(t *testing.T) { testAgents(t, family, suite) })
		}
	}
}

// testAgents connects two agents, and once more after a restart.
func testAgents(t *testing.T, family ice.NetworkType, suite cipher.Suite) {
	addr := hostAddr(t, family)
	ring := newRing(t)
	text := strings.ReplaceAll(string(policies.Default), `"aes-uuid"`, fmt.Sprintf("%q", suite))
	a, b := newSide(t, ring, text), newSide(t, ring, text)
	config := ice.AgentConfig{
		NetworkTypes: []ice.NetworkType{family},
		// One address, since one is what the draft's suites encrypt of an ice-pwd.
		IPFilter: func(ip net.IP) bool { return ip.String() == addr.String() },
	}
	agentA, agentB := newAgent(t, config), newAgent(t, config)
	states := make(chan ice.ConnectionState, 16)
	if err := agentA.OnConnectionStateChange(func(s ice.ConnectionState) { states <- s }); err != nil {
		t.Fatal(err)
	}

	fromA, fromB := a.gather(t, agentA), b.gather(t, agentB)
	ufragA, pwdA := b.tell(t, agentB, agentA, fromA)
	ufragB, pwdB := a.tell(t, agentA, agentB, fromB)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	accepted := make(chan *ice.Conn, 1)
	go func() {
		conn, err := agentB.Accept(ctx, ufragA, pwdA)
		if err != nil {
			t.Error(err)
		}
		accepted <- conn
	}()
	connA, err := agentA.Dial(ctx, ufragB, pwdB)
	if err != nil {
		t.Fatal(err)
	}
	connB := <-accepted
	if connB == nil {
		t.FailNow()
	}
	checkSends(t, connA, connB)
	checkSends(t, connB, connA)
	waitFor(t, states, ice.ConnectionStateConnected)

	for _, agent := range []*ice.Agent{agentA, agentB} {
		if err := agent.Restart("", ""); err != nil {
			t.Fatal(err)
		}
	}
	againA, againB := a.gather(t, agentA), b.gather(t, agentB)
	for i, old := range [][]string{fromA, fromB} {
		for _, c := range [][]string{againA, againB}[i] {
			if slices.ContainsFunc(old, func(o string) bool { return strings.Fields(o)[4] == strings.Fields(c)[4] }) {
				t.Errorf("%q has the name that the address had before the restart", c)
			}
		}
	}
	b.tell(t, agentB, agentA, againA)
	a.tell(t, agentA, agentB, againB)
	waitFor(t, states, ice.ConnectionStateConnected)
	checkSends(t, connA, connB)
	checkSends(t, connB, connA)
	for _, s := range []*side{a, b} {
		if failed := s.failures(); len(failed) > 0 {
			t.Errorf("failures: %v", failed)
		}
	}
}

func waitFor(t *testing.T, states <-chan ice.ConnectionState, want ice.ConnectionState) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-states:
			if s == want {
				return
			}
		case <-deadline:
			t.Fatalf("the agent does not become %s", want)
		}
	}
}

// checkSends sends a packet. What an agent receives before it has restarted too is lost, so it is repeated.
func checkSends(t *testing.T, from, to net.Conn) {
	t.Helper()
	want := fmt.Sprint("to ", to.LocalAddr())
	done := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			_, _ = from.Write([]byte(want)) // the reader notices
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	defer sender.Wait()
	defer close(done)
	buffer := make([]byte, 1500)
	for deadline := time.Now().Add(patience); ; {
		if err := to.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		n, err := to.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if string(buffer[:n]) == want {
			return
		}
	}
}

// TestShortPassword has an agent under credentials that pion takes and no suite does.
func TestShortPassword(t *testing.T) {
	hostAddr(t, ice.NetworkTypeUDP4)
	s := newSide(t, newRing(t), "")
	agent := newAgent(t, ice.AgentConfig{LocalUfrag: ufrag, LocalPwd: "only-16-letters."})
	if sent := s.gather(t, agent); len(sent) > 0 {
		t.Errorf("sent %q", sent)
	}
	failed := s.failures()
	if len(failed) == 0 || !strings.Contains(failed[0].Error(), "its ice-pwd has 16 characters, want 22 to 256") {
		t.Errorf("failures: %v", failed)
	}
}

// TestClosed closes an agent from within the handler: what was gathered before is not sent without credentials.
func TestClosed(t *testing.T) {
	hostAddr(t, ice.NetworkTypeUDP4)
	s := newSide(t, newRing(t), "")
	agent := newAgent(t, ice.AgentConfig{})
	sent := make(chan string, gateway.MaxCandidates)
	if err := s.OnCandidate(agent, func(c string) {
		_ = agent.Close()
		sent <- c
	}); err != nil {
		t.Fatal(err)
	}
	if err := agent.GatherCandidates(); err != nil {
		t.Fatal(err)
	}
	checkHidden(t, []string{<-sent})
	if err := s.AddRemoteCandidate(agent, "candidate:1 1 udp 1 192.0.2.1 9 typ host"); !errors.Is(err, ice.ErrClosed) {
		t.Errorf("a candidate for a closed agent: %v", err)
	}
}
