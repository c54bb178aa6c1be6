//go:build linux

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// candidateLines returns the candidates of a description, without `a=`.
func candidateLines(sdp string) []string {
	var lines []string
	for line := range strings.Lines(sdp) {
		if value, ok := strings.CutPrefix(line, "a="); ok && strings.HasPrefix(value, "candidate:") {
			lines = append(lines, value)
		}
	}
	return lines
}

// candidateLine returns the candidate in an RTCIceCandidateInit: empty at the end of candidates,
// which may also be null.
func candidateLine(t *testing.T, candidate json.RawMessage) string {
	t.Helper()
	var init struct {
		Candidate string `json:"candidate"`
	}
	if err := json.Unmarshal(candidate, &init); err != nil {
		t.Fatalf("candidate %s: %v", candidate, err)
	}
	return init.Candidate
}

// checkHidden checks that there are candidates, and that they are host candidates with names.
func checkHidden(t *testing.T, candidates []string, n *network) {
	t.Helper()
	if len(candidates) == 0 {
		t.Error("got no candidates")
	}
	for _, candidate := range candidates {
		if !strings.Contains(candidate, " typ host") {
			t.Errorf("got %q, want a host candidate", candidate)
		}
		if found := addressesIn(candidate, []host{n.a, n.b}); len(found) > 0 {
			t.Errorf("got %q, which contains %q", candidate, found)
		}
	}
	for _, name := range names(candidates) {
		if !strings.HasSuffix(name, ".local") {
			t.Errorf("got a candidate with the address %q, want a name in .local", name)
		}
	}
}

// checkDisjoint checks that no name is both one of the browser's own and an encrypted one.
func checkDisjoint(t *testing.T, own, encrypted []string) {
	t.Helper()
	for _, name := range encrypted {
		if slices.Contains(own, name) {
			t.Errorf("name %s is the browser's own, want an encrypted one", name)
		}
	}
}

// names returns the connection-address of each candidate (RFC 8839, section 5.1).
func names(candidates []string) []string {
	names := make([]string, 0, len(candidates))
	for _, candidate := range candidates {
		if fields := strings.Fields(candidate); len(fields) > 4 {
			names = append(names, fields[4])
		}
	}
	return names
}

// addressesIn returns which of the hosts' addresses a text contains.
func addressesIn(text string, hosts []host) []string {
	var addresses []string
	for _, h := range hosts {
		addresses = append(addresses, h.v4.String(), h.v6.String())
	}
	return slices.DeleteFunc(addresses, func(address string) bool {
		return !strings.Contains(strings.ToLower(text), address)
	})
}
