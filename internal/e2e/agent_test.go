//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v2"
)

// asAgent, in the environment, makes the test binary an agent, "controlling" or "controlled", with
// candidates of one IP version, "udp4" or "udp6", or of both, "dual", or with a name of its own for both, as
// browsers have, "mdns", and, if the folder of a key ring follows, with the plugin. The sockets of an agent are opened on whatever thread comes, so it needs a
// process of its own to be kept inside a namespace.
const asAgent = "CANDGW_E2E_AGENT"

func TestMain(m *testing.M) {
	if kind := strings.Fields(os.Getenv(asAgent)); len(kind) > 0 {
		if err := beAgent(kind[0], kind[1], kind[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "%s agent: %v\n", kind[0], err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// agentDescription is what one agent tells the other, by way of the test and the gateway.
type agentDescription struct {
	Ufrag, Pwd string
	Candidates []string
}

// agentReport is what came of a connection.
type agentReport struct {
	Received string
	Remote   []string // the names of the candidates that resolved
	Selected string   // address of the other agent
}

// beAgent writes its description, reads the other agent's, connects, exchanges a message and writes a
// report, each in one line of JSON. It stays until the input ends.
func beAgent(role, network string, ring []string, in io.Reader, out io.Writer) error {
	config := ice.AgentConfig{
		NetworkTypes:     []ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6},
		CandidateTypes:   []ice.CandidateType{ice.CandidateTypeHost},
		MulticastDNSMode: ice.MulticastDNSModeQueryOnly,
	}
	switch network {
	case "udp4":
		config.NetworkTypes = config.NetworkTypes[:1]
	case "udp6":
		config.NetworkTypes = config.NetworkTypes[1:]
	case "mdns":
		config.MulticastDNSMode = ice.MulticastDNSModeQueryAndGather
	}
	signaling := agentSignaling(plainSignaling{})
	if len(ring) > 0 {
		plugin, err := newPlugin(ring[0])
		if err != nil {
			return err
		}
		signaling, config.MulticastDNSMode = plugin, ice.MulticastDNSModeDisabled
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience/2)
	defer cancel()
	agent, err := ice.NewAgent(&config)
	if err != nil {
		return err
	}
	defer agent.Close()

	own, err := describeAgent(ctx, agent, signaling)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(own); err != nil {
		return err
	}
	lines := json.NewDecoder(in)
	var other agentDescription
	if err := lines.Decode(&other); err != nil {
		return err
	}
	report, err := connectAgent(ctx, agent, signaling, role, other)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(report); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// agentSignaling is how an agent's candidates become text, the empty one after the last, and text candidates.
type agentSignaling interface {
	OnCandidate(*ice.Agent, func(candidate string)) error
	AddRemoteCandidate(agent *ice.Agent, candidate string) error
}

// plainSignaling is without a plugin.
type plainSignaling struct{}

func (plainSignaling) OnCandidate(agent *ice.Agent, f func(string)) error {
	return agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			f("")
			return
		}
		f("candidate:" + c.Marshal())
	})
}

func (plainSignaling) AddRemoteCandidate(agent *ice.Agent, candidate string) error {
	c, err := ice.UnmarshalCandidate(strings.TrimPrefix(candidate, "candidate:"))
	if err != nil {
		return err
	}
	return agent.AddRemoteCandidate(c)
}

// describeAgent gathers candidates to the last.
func describeAgent(ctx context.Context, agent *ice.Agent, signaling agentSignaling) (d agentDescription, err error) {
	gathered := make(chan struct{})
	if err := signaling.OnCandidate(agent, func(candidate string) {
		if candidate == "" {
			close(gathered)
			return
		}
		d.Candidates = append(d.Candidates, candidate)
	}); err != nil {
		return d, err
	}
	if err := agent.GatherCandidates(); err != nil {
		return d, err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return d, fmt.Errorf("gathering: %w", ctx.Err())
	}
	d.Ufrag, d.Pwd, err = agent.GetLocalUserCredentials()
	return d, err
}

func connectAgent(ctx context.Context, agent *ice.Agent, signaling agentSignaling, role string, other agentDescription) (r agentReport, err error) {
	for _, line := range other.Candidates {
		if err := signaling.AddRemoteCandidate(agent, line); err != nil {
			return r, err
		}
	}
	connect := agent.Accept
	if role == "controlling" {
		connect = agent.Dial
	}
	conn, err := connect(ctx, other.Ufrag, other.Pwd)
	if err != nil {
		return r, fmt.Errorf("connecting: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "from the %s agent", role); err != nil {
		return r, err
	}
	buffer := make([]byte, 1500)
	n, err := conn.Read(buffer)
	if err != nil {
		return r, err
	}
	r.Received, r.Selected = string(buffer[:n]), conn.RemoteAddr().String()

	// An agent may be reached, and so connected, before it has looked up any name.
	for len(r.Remote) < len(other.Candidates) && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		candidates, err := agent.GetRemoteCandidates()
		if err != nil {
			return r, err
		}
		r.Remote = nil
		for _, c := range candidates {
			if c.Type() == ice.CandidateTypeHost {
				r.Remote = append(r.Remote, c.Address())
			}
		}
	}
	return r, nil
}

// TestPionAgents connects two agents of a library that many servers and native endpoints use. It looks
// up names over IPv4 alone, and IPv4 addresses alone, so IPv6 needs names that are decrypted for it.
func TestPionAgents(t *testing.T) {
	require(t)
	n := newNetwork(t)
	g := startGateway(t, n.router)

	t.Run("names", func(t *testing.T) {
		a, b := startAgent(t, n.a, "controlling udp4"), startAgent(t, n.b, "controlled udp4")
		// One goes through the gateway in a whole description, the other one candidate at a time.
		fromA, fromB := g.concealAgent(t, a, true), g.concealAgent(t, b, false)
		connectAgents(t, a, b, fromA, fromB)
		a.check(t, n.b.v4, names(fromB.Candidates))
		b.check(t, n.a.v4, names(fromA.Candidates))
	})
	t.Run("decrypted names", func(t *testing.T) {
		a, b := startAgent(t, n.a, "controlling udp6"), startAgent(t, n.b, "controlled udp6")
		fromA, fromB := g.concealAgent(t, a, true), g.concealAgent(t, b, true)
		connectAgents(t, a, b, g.decryptFor(t, n.b, fromA), g.decryptFor(t, n.a, fromB))
		a.check(t, n.b.v6, []string{n.b.v6.String()})
		b.check(t, n.a.v6, []string{n.a.v6.String()})
	})
}

// connectAgents tells each agent what it gets of the other, and reads what came of it.
func connectAgents(t *testing.T, a, b *agentProcess, fromA, fromB agentDescription) {
	t.Helper()
	a.write(t, fromB)
	b.write(t, fromA)
	a.read(t, &a.report)
	b.read(t, &b.report)
	for _, tt := range []struct {
		agent *agentProcess
		want  string
	}{{a, "from the controlled agent"}, {b, "from the controlling agent"}} {
		if got := tt.agent.report.Received; got != tt.want {
			t.Errorf("%s received %q, want %q", tt.agent.namespace, got, tt.want)
		}
	}
}

// agentProcess is an agent inside a host's namespace.
type agentProcess struct {
	host
	description agentDescription
	report      agentReport
	lines       *bufio.Reader
	input       *os.File
}

// startAgent runs an agent until the test ends. It returns once the agent has gathered.
func startAgent(t *testing.T, h host, role string) *agentProcess {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	childIn, input := pipe(t)
	output, childOut := pipe(t)
	// What start collects is shown, not read, so the agent gets other pipes.
	cmd := h.command("sh", "-c", `exec "$0" <&3 >&4`, program)
	cmd.Env = append(os.Environ(), asAgent+"="+role)
	cmd.ExtraFiles = []*os.File{childIn, childOut}
	start(t, cmd)
	childIn.Close()
	childOut.Close()
	a := &agentProcess{host: h, lines: bufio.NewReader(output), input: input}
	a.read(t, &a.description)
	return a
}

func (a *agentProcess) read(t *testing.T, value any) {
	t.Helper()
	line, err := a.lines.ReadBytes('\n')
	if err != nil {
		t.Fatalf("agent in %s says no more: %v", a.namespace, err)
	}
	if err := json.Unmarshal(line, value); err != nil {
		t.Fatalf("agent in %s says %q: %v", a.namespace, line, err)
	}
}

func (a *agentProcess) write(t *testing.T, value any) {
	t.Helper()
	if err := json.NewEncoder(a.input).Encode(value); err != nil {
		t.Fatalf("telling the agent in %s: %v", a.namespace, err)
	}
}

// check checks that an agent reached an address, and what the candidates are that it was given.
func (a *agentProcess) check(t *testing.T, peer netip.Addr, want []string) {
	t.Helper()
	got := a.report
	if selected, err := netip.ParseAddrPort(got.Selected); err != nil || selected.Addr() != peer {
		t.Errorf("%s is connected to %s, want %s", a.namespace, got.Selected, peer)
	}
	slices.Sort(want)
	slices.Sort(got.Remote)
	if !slices.Equal(got.Remote, want) {
		t.Errorf("%s resolved %q, want %q", a.namespace, got.Remote, want)
	}
}

// concealAgent passes the agent's candidates through the gateway.
func (g *gateway) concealAgent(t *testing.T, a *agentProcess, whole bool) agentDescription {
	t.Helper()
	own := a.description
	concealed := agentDescription{Ufrag: own.Ufrag, Pwd: own.Pwd}
	if whole {
		concealed.Candidates = candidateLines(g.encryptDescription(t, a.host, own.sdp()))
	} else {
		// This makes the password known.
		g.encryptDescription(t, a.host, agentDescription{Ufrag: own.Ufrag, Pwd: own.Pwd}.sdp())
		for _, candidate := range own.Candidates {
			init, err := json.Marshal(map[string]any{
				"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": own.Ufrag,
			})
			if err != nil {
				t.Fatal(err)
			}
			encrypted, ok := g.encryptCandidate(t, a.host, string(init))
			if !ok {
				t.Fatalf("gateway holds back %s", candidate)
			}
			concealed.Candidates = append(concealed.Candidates, candidateLine(t, json.RawMessage(encrypted)))
		}
	}
	if len(concealed.Candidates) != len(own.Candidates) {
		t.Errorf("agent in %s has %d candidates, %d of them encrypted", a.namespace, len(own.Candidates), len(concealed.Candidates))
	}
	for _, candidate := range concealed.Candidates {
		if found := addressesIn(candidate, []host{a.host}); len(found) > 0 || !strings.Contains(candidate, ".local ") {
			t.Errorf("candidate %q of %s has an address or no name", candidate, a.namespace)
		}
	}
	return concealed
}

// sdp returns the description as a web application would send it.
func (d agentDescription) sdp() string {
	text := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" +
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n" +
		"a=ice-ufrag:" + d.Ufrag + "\r\na=ice-pwd:" + d.Pwd + "\r\n"
	for _, candidate := range d.Candidates {
		text += "a=" + candidate + "\r\n"
	}
	return text
}

// decryptFor has the gateway put addresses in place of names, for a host that resolves none.
func (g *gateway) decryptFor(t *testing.T, to host, d agentDescription) agentDescription {
	t.Helper()
	response, err := g.http.Post(g.api+"/v1/decrypt?client="+to.v4.String(), "application/sdp", strings.NewReader(d.sdp()))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("decrypting: %v, status %s:\n%s", err, response.Status, body)
	}
	d.Candidates = candidateLines(string(body))
	return d
}
