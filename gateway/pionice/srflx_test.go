package pionice_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/stun"
)

// TestSrflx has an agent ask a STUN server to which nothing translates its address.
func TestSrflx(t *testing.T) {
	server := serveSTUN(t, hostAddr(t, ice.NetworkTypeUDP4))
	for _, tt := range []struct {
		policy string
		types  []ice.CandidateType
		want   bool
	}{
		{"", []ice.CandidateType{ice.CandidateTypeServerReflexive}, false},
		{"", []ice.CandidateType{ice.CandidateTypeServerReflexive, ice.CandidateTypeHost}, false},
		{`policy "keep" {
			candidate "host" {
				action = "keep"
			}
		}`, []ice.CandidateType{ice.CandidateTypeServerReflexive}, true},
	} {
		s := newSide(t, newRing(t), tt.policy)
		agent := newAgent(t, ice.AgentConfig{
			CandidateTypes: tt.types, NetworkTypes: []ice.NetworkType{ice.NetworkTypeUDP4},
			Urls: []*stun.URI{{Scheme: stun.SchemeTypeSTUN, Host: server.Addr().String(), Port: int(server.Port())}},
		})
		own := 0
		var sent []string
		done := make(chan struct{})
		if err := s.OnCandidate(agent, func(c string) {
			if c == "" {
				close(done)
				return
			}
			sent = append(sent, c)
		}); err != nil {
			t.Fatal(err)
		}
		if err := agent.GatherCandidates(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("gathering does not end")
		}
		local, err := agent.GetLocalCandidates()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range local {
			if c.Type() == ice.CandidateTypeServerReflexive && c.Address() == server.Addr().String() {
				own++
			}
		}
		if own == 0 {
			t.Fatal("the agent has no server reflexive candidate of its own address: this tests nothing")
		}
		got := slices.ContainsFunc(sent, func(c string) bool { return strings.Contains(c, server.Addr().String()) })
		if got != tt.want {
			t.Errorf("%v: sent %q, which has the address: %t, want %t", tt.types, sent, got, tt.want)
		}
		if failed := s.failures(); len(failed) > 0 {
			t.Errorf("failures: %v", failed)
		}
	}
}

// serveSTUN answers binding requests at an address of this host until the test ends.
func serveSTUN(t *testing.T, at netip.Addr) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			request := &stun.Message{Raw: slices.Clone(buffer[:n])}
			if request.Decode() != nil {
				continue
			}
			answer, err := stun.Build(stun.NewTransactionIDSetter(request.TransactionID), stun.BindingSuccess,
				&stun.XORMappedAddress{IP: from.IP, Port: from.Port}, stun.Fingerprint)
			if err != nil {
				continue
			}
			_, _ = conn.WriteToUDP(answer.Raw, from) // the agent asks again
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}
