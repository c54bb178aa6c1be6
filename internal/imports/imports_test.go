// Package imports holds the rules of who may import whom; it has nothing but their test.
package imports

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/candgw/candgw/"

// rules names, for each package, the packages of this module and the other modules that it may
// reach, directly or not, besides the standard library; each line gives the reason.
var rules = map[string][]string{
	// Pure: an address and a key in, a name out. Anybody can audit it by itself.
	"cipher": {"golang.org/x/crypto"},
	// Keys are kept apart from what is done with them; the lock of the folder is flock's.
	"keyring": {module + "cipher", module + "internal/atomicfile", "golang.org/x/crypto", "golang.org/x/sys", "github.com/gofrs/flock"},
	// What a policy decides must not depend on ciphers, sockets or sessions. The rest is what HCL needs.
	"policy": {"github.com/hashicorp/hcl/v2", "github.com/zclconf/go-cty", "github.com/agext/levenshtein",
		"github.com/apparentlymart/go-textseg", "github.com/apparentlymart/go-cidr", "github.com/gaissmai/bart",
		"github.com/mitchellh/go-wordwrap", "github.com/google/go-cmp", "golang.org/x/text"},
	// A grammar and nothing else.
	"internal/sdp": {},
	// The signaling side knows nothing of lookups.
	"gateway": {module + "internal/sdp", module + "internal/mcast", module + "internal/bounded", module + "policy", module + "keyring", "*"},
	// The gateway at an ICE agent: the agent stands on pion/ice, and nothing else of this module is needed.
	"gateway/pionice": {module + "gateway", "*"},
	// The network side knows nothing of signaling.
	"resolver": {module + "internal/mcast", module + "internal/bounded", module + "internal/limit", module + "policy", module + "keyring", "*"},
	// Tables, for both of these.
	"internal/bounded": {},
	// Stands in the way of signaling and knows nothing of lookups; what it counts is for others to keep.
	"internal/proxy": {module + "gateway", module + "internal/sdp", module + "policy", module + "keyring", "*"},
	// Answers the browser extension, by the signaling side alone.
	"internal/browsers": {module + "gateway", module + "internal/sdp", module + "internal/limit", module + "internal/web", module + "policy", module + "keyring", "*"},
	// What servers of HTTP answer alike, whatever they are for.
	"internal/web": {},
	// Looks at links and hosts, and knows nothing of who asks.
	"internal/neighbor": {module + "internal/mcast", "golang.org/x/sys"},
	// Counts, for the network side and the HTTP API.
	"internal/limit": {},
	// Sockets, for both of these.
	"internal/mcast": {"golang.org/x/sys"},
	// Says where things are; what they are is for others.
	"internal/config": {module + "policy", module + "cipher", "github.com/miekg/dns", "golang.org/x/net", "golang.org/x/sys"},
	// Looks from outside at what runs, with nothing of its own parts.
	"internal/doctor": {module + "internal/config", module + "internal/mcast", module + "keyring", "github.com/miekg/dns", "golang.org/x/net", "golang.org/x/sys"},
	// Accepts connections, whatever they are for.
	"internal/listener": {"golang.org/x/net", "golang.org/x/sys", "github.com/gofrs/flock"},
	// Replaces files, and knows nothing of what is in them.
	"internal/atomicfile": {},
}

func TestImports(t *testing.T) {
	for pkg, allowed := range rules {
		t.Run(pkg, func(t *testing.T) {
			out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+pkg).Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, dep := range strings.Fields(string(out)) {
				if dep != module+pkg && !slices.ContainsFunc(closure(allowed), func(a string) bool {
					return dep == a || strings.HasPrefix(dep, a+"/") || a == "*" && !strings.HasPrefix(dep, module)
				}) {
					t.Errorf("it imports %s", dep)
				}
			}
		})
	}
}

// closure adds what the allowed packages of this module may import themselves.
func closure(allowed []string) []string {
	out := slices.Clone(allowed)
	for _, a := range allowed {
		if pkg, ok := strings.CutPrefix(a, module); ok {
			out = append(out, closure(rules[pkg])...)
		}
	}
	return out
}

// Nothing imports the two sides but what stands above them.
func TestWhoImportsTheSides(t *testing.T) {
	above := []string{module + "cmd/candgw", module + "internal/api", module + "internal/browsers", module + "internal/proxy", module + "internal/metrics", module + "internal/policytest",
		module + "gateway/pionice", module + "examples/pion"}
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		for _, dep := range words[1:] {
			if (dep == module+"gateway" || dep == module+"resolver") && !slices.Contains(above, words[0]) {
				t.Errorf("%s imports %s", words[0], dep)
			}
		}
	}
}

// gateway/pionwebrtc is a module of its own so that nobody who embeds candgw gets pion/webrtc with it.
func TestNoWebRTC(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(out)) {
		if strings.HasPrefix(path, "github.com/pion/webrtc") {
			t.Errorf("the module requires %s", path)
		}
	}
}
