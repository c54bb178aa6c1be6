package pionice_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/ice/v2"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/keyring"
)

const host = "1 1 udp 2130706431 10.1.2.3 5000 typ host"

func TestEncrypt(t *testing.T) {
	policyOf := func(action string) string {
		return fmt.Sprintf("policy \"p\" {\n  candidate \"host\" {\n    action = %q\n  }\n}\n", action)
	}
	for _, tt := range []struct {
		title, policy, candidate, pwd string
		names, addresses              int
		failure                       string
	}{
		{"as pion writes it", "", host, pwd, 1, 0, ""},
		{"as browsers write it", "", "candidate:" + host, pwd, 1, 0, ""},
		{"as SDP has it", "", "a=candidate:" + host + "\r\n", pwd, 1, 0, ""},
		{"kept", policyOf("keep"), host, pwd, 0, 1, ""},
		{"augmented", policyOf("augment"), host, pwd, 1, 1, ""},
		{"dropped", policyOf("drop"), host, pwd, 0, 0, ""},
		{"loopback", "", strings.Replace(host, "10.1.2.3", "127.0.0.1", 1), pwd, 0, 0, ""},
		{"link-local", "", strings.Replace(host, "10.1.2.3", "fe80::1", 1), pwd, 0, 0, ""},
		{"no policy", `policy "p" {
			clients = ["10.9.0.0/16"]
		}`, host, pwd, 0, 0, ""},
		{"no ice-pwd", "", host, "", 0, 0, "its ufrag is of no session seen here"},
		{"short ice-pwd", "", host, "short", 0, 0, "its ice-pwd has 5 characters"},
		{"broken", "", "1 1 udp 2130706431 10.1.2.3 port typ host", pwd, 0, 0, "the candidate has a broken port"},
		{"two lines", "", host + "\r\na=candidate:" + host, pwd, 0, 0, "of several lines"},
		{"ice-pwd of two lines", "", host, pwd + "\na=candidate:" + host, 0, 0, "of several lines"},
		{"nothing", "", "", pwd, 0, 0, "line 3: "},
	} {
		t.Run(tt.title, func(t *testing.T) {
			s := newSide(t, newRing(t), tt.policy)
			names, addresses := 0, 0
			for _, c := range s.Encrypt(tt.candidate, ufrag, tt.pwd) {
				if !strings.HasPrefix(c, "candidate:") {
					t.Errorf("%q does not begin as a candidate", c)
				}
				switch at := strings.Fields(c)[4]; {
				case strings.HasSuffix(at, ".local"):
					names++
				case at == "10.1.2.3":
					addresses++
				default:
					t.Errorf("got %q", c)
				}
			}
			if names != tt.names || addresses != tt.addresses {
				t.Errorf("got %d names and %d addresses, want %d and %d", names, addresses, tt.names, tt.addresses)
			}
			failed := s.failures()
			if want := tt.failure; want == "" && len(failed) > 0 || want != "" && (len(failed) != 1 || !strings.Contains(failed[0].Error(), want)) {
				t.Errorf("failures %v, want one with %q", failed, want)
			}
			for _, err := range failed {
				if strings.Contains(err.Error(), "10.1.2.3") {
					t.Errorf("a failure tells an address: %v", err)
				}
			}
		})
	}
}

// TestEncryptRepeats: names of an address repeat under one ice-pwd, and foundations stay equal where they were.
func TestEncryptRepeats(t *testing.T) {
	ring := newRing(t)
	s, other := newSide(t, ring, ""), newSide(t, ring, "")
	fields := func(s *side, pwd string) (foundation, name string) {
		f := strings.Fields(s.Encrypt(host, ufrag, pwd)[0])
		return f[0], f[4]
	}
	foundation, name := fields(s, pwd)
	if f, n := fields(s, pwd); f != foundation || n != name {
		t.Errorf("again %s %s, want %s %s", f, n, foundation, name)
	}
	if f, n := fields(s, pwd+"2"); f == foundation || n == name {
		t.Errorf("under another ice-pwd the same: %s %s", f, n)
	}
	if f, n := fields(other, pwd); f == foundation || n == name {
		t.Errorf("of another plugin the same: %s %s", f, n)
	}
}

func TestNoKey(t *testing.T) {
	s := newSide(t, new(keyring.Ring), "")
	if got := s.Encrypt(host, ufrag, pwd); len(got) > 0 {
		t.Errorf("sent %q without a key", got)
	}
	if failed := s.failures(); len(failed) != 1 || !errors.Is(failed[0], keyring.ErrNoActiveKey) {
		t.Errorf("failures: %v", failed)
	}
}

// TestMany: a session passes no more candidates than the gateway lets it, however they come.
func TestMany(t *testing.T) {
	s := newSide(t, newRing(t), "")
	sent := 0
	for range gateway.MaxCandidates + 3 {
		sent += len(s.Encrypt(host, ufrag, pwd))
	}
	if failed := s.failures(); sent != gateway.MaxCandidates || len(failed) != 3 {
		t.Errorf("sent %d, failures %v", sent, failed)
	}
}

func TestDecrypt(t *testing.T) {
	ring := newRing(t)
	nameOf := func(suite cipher.Suite, addr string) string {
		key, err := ring.Active(suite)
		if err != nil {
			t.Fatal(err)
		}
		name, err := key.Encrypt(netip.MustParseAddr(addr), pwd, []byte("seed"))
		if err != nil {
			t.Fatal(err)
		}
		return name.String() + ".local"
	}
	at := func(address string) string { return "candidate:1 1 udp 2130706431 " + address + " 5000 typ host" }
	uuid, gcm := nameOf(cipher.AESUUID, "10.1.2.3"), nameOf(cipher.AESGCM, "10.1.2.3")
	const browsers = "8c9bd03b-b7a5-4a76-a803-eebc688f0388.local"
	keep := "policy \"p\" {\n  inbound {\n    action = \"keep\"\n  }\n}\n"
	for _, tt := range []struct {
		title, policy, candidate, pwd string
		want                          string
		err                           error
	}{
		{"a name", "", at(uuid), pwd, at("10.1.2.3"), nil},
		{"a name without ice-pwd", "", at(uuid), "", at("10.1.2.3"), nil},
		{"as pion writes it", "", strings.TrimPrefix(at(uuid), "candidate:"), pwd, at("10.1.2.3"), nil},
		{"IPv6", "", at(nameOf(cipher.AESUUID, "fd00::2")), pwd, at("fd00::2"), nil},
		{"the draft's", "", at(gcm), pwd, at("10.1.2.3"), nil},
		{"the draft's without ice-pwd", "", at(gcm), "", at(gcm), nil},
		{"a browser's", "", at(browsers), pwd, at(browsers), nil},
		{"an address", "", at("10.1.2.3"), pwd, at("10.1.2.3"), nil},
		{"the policy keeps", keep, at(uuid), pwd, at(uuid), nil},
		{"loopback", "", at(nameOf(cipher.AESUUID, "127.0.0.1")), pwd, "", gateway.ErrNothingLeft},
		{"loopback without ice-pwd", "", at(nameOf(cipher.AESUUID, "::1")), "", "", gateway.ErrNothingLeft},
		{"link-local", "", at(nameOf(cipher.AESUUID, "169.254.1.1")), pwd, "", gateway.ErrNothingLeft},
		{"multicast", "", at(nameOf(cipher.AESUUID, "ff02::fb")), pwd, "", gateway.ErrNothingLeft},
		{"two lines", "", at(uuid) + "\r\na=ice-pwd:" + pwd, pwd, "", gateway.ErrMalformed},
		{"broken", "", at("10.1.2.3 70000"), pwd, "", gateway.ErrMalformed},
		{"too long", "", at(uuid) + " x " + strings.Repeat("y", gateway.MaxBody), pwd, "", gateway.ErrTooLarge},
	} {
		t.Run(tt.title, func(t *testing.T) {
			s := newSide(t, ring, tt.policy)
			agentUfrag := ""
			if tt.pwd != "" {
				agentUfrag = ufrag
			}
			got, err := s.Decrypt(tt.candidate, agentUfrag, tt.pwd)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
			agent := newAgent(t, ice.AgentConfig{})
			if tt.pwd != "" {
				if err := agent.SetRemoteCredentials(agentUfrag, tt.pwd); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.AddRemoteCandidate(agent, tt.candidate); !errors.Is(err, tt.err) {
				t.Errorf("adding it: %v, want %v", err, tt.err)
			}
		})
	}
	t.Run("unknown name", func(t *testing.T) {
		s := newSide(t, ring, "")
		err := s.AddRemoteCandidate(newAgent(t, ice.AgentConfig{}), at("host.corp.example"))
		if err == nil || strings.Contains(err.Error(), "corp") {
			t.Errorf("a name that neither the ring nor the agent knows: %v", err)
		}
	})
}
