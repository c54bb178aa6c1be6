package policytest

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

// tried is the policies that the cases of TestRun are about. The lines are counted there.
const tried = `policy "staff" {
  clients = ["10.0.0.0/8"]
  candidate "host" {
    addresses = ["10.0.0.0/8"]
  }
  session {
    forbid_sdes = true
  }
  resolve {
    addresses = ["10.0.0.0/8"]
    ttl       = "30s"
    rate      = 5
    burst     = 7
  }
  inbound { action = "decrypt" }
}
policy "server" {
  clients = ["192.0.2.0/24"]
  candidate "host" {
    action = "augment"
  }
  session {
    identity {}
  }
}
policy "page" {
  origins = ["https://a.example"]
  candidate "host" {
    action = "reveal"
  }
  inbound { action = "keep" }
}
`

const (
	staffs = "client = \"10.0.0.1\"\ncandidate = \"candidate:1 1 udp 1 10.0.0.1 5000 typ host\"\n"
	offer  = "client = \"10.0.0.1\"\ndescription = file(\"offer.sdp\")\n"
	sdes   = "client = \"10.0.0.1\"\ndescription = file(\"sdes.sdp\")\n"
	asks   = "from = \"10.0.0.1\"\nlookup = \"10.0.0.2\"\n"
	named  = "origin = \"https://a.example\"\nnames = { \"A.local\" = \"10.0.0.1\" }\ncandidate = \"candidate:1 1 udp 1 a.local 5000 typ host\"\n"
)

var bodies = map[string]string{
	"offer.sdp": "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 10.0.0.1\r\na=ice-ufrag:abcd\r\na=ice-pwd:sample-password-of-a-session\r\na=identity:e30=\r\n" +
		"a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\na=candidate:1 1 udp 1 192.0.2.1 5001 typ host\r\n" +
		"a=candidate:1 1 udp 1 a.local 5002 typ host\r\na=candidate:2 1 udp 1 192.0.2.9 5003 typ srflx raddr 10.0.0.1 rport 5000\r\n",
	"sdes.sdp": "v=0\r\nm=audio 9 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n",
}

// TestRun has each attribute of a case and of what it expects pass where it should and fail where it
// should, with a message.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name, setup, expect string
		want                string // the failures, empty if it passes
	}{
		{"result", staffs, `result = "encrypted"`, ""},
		{"another result", staffs, `result = "kept"`, `got encrypted, want kept; policy "staff", candidate "host" (policy.hcl:3)`},
		{"policy", staffs, `policy = "staff"`, ""},
		{"another policy", staffs, `policy = "server"`, `policy: got "staff", want "server"; policy "staff", candidate "host" (policy.hcl:3)`},
		{"no policy", strings.Replace(staffs, "10.", "11.", 1), `policy = ""`, ""},
		{"a policy, but none matches", strings.Replace(staffs, "10.", "11.", 1), `policy = "staff"`, `policy: got "", want "staff"; no policy matches`},
		{"by", staffs, `by = "candidate \"host\""`, ""},
		{"by another", staffs, `by = "inbound"`, `by: got "candidate \"host\"", want "inbound"; policy "staff", candidate "host" (policy.hcl:3)`},
		{"unreachable", strings.Replace(staffs, "udp 1 10.0.0.1", "udp 1 127.0.0.1", 1), `result = "encrypted"`, `got dropped, want encrypted; no other host can reach an address of its kind`},
		{"contains", staffs, `contains = [".local", "5000"]`, ""},
		{"does not contain", staffs, `contains = [".local", "10.0.0.1"]`, `it does not contain "10.0.0.1"`},
		{"lacks", staffs, `lacks = ["10.0.0.1"]`, ""},
		{"does not lack", staffs, `lacks = ["10.0.0.1", "typ host"]`, `it contains "typ host"`},
		{"every failure", staffs, "result = \"kept\"\nencrypted = 0\nlacks = [\"typ\"]", `got encrypted, want kept; policy "staff", candidate "host" (policy.hcl:3); encrypted: got 1, want 0; it contains "typ"`},

		{"passed", offer, `result = "passed"`, ""},
		{"not refused", offer, `result = "refused"`, `got passed, want refused; policy "staff", inbound, action (policy.hcl:15)`},
		{"refused", sdes, "result = \"refused\"\nby = \"session, forbid_sdes\"\npolicy = \"staff\"", ""},
		{"not passed", sdes, `result = "passed"`, `got refused, want passed; policy "staff", session, forbid_sdes (policy.hcl:7): line 3: it holds a media key (SDES; RFC 8827, section 6.5)`},
		{"count of what is refused", sdes, "dropped = 0", `got refused, want it passed on; policy "staff", session, forbid_sdes (policy.hcl:7): line 3: it holds a media key (SDES; RFC 8827, section 6.5)`},
		{"lacks of what is refused", sdes, `lacks = ["a"]`, `got refused, want it passed on; policy "staff", session, forbid_sdes (policy.hcl:7): line 3: it holds a media key (SDES; RFC 8827, section 6.5)`},

		{"counts", offer, "encrypted = 1\naugmented = 0\nrevealed = 0\ndecrypted = 0\nkept = 1\ndropped = 1\nredacted = 2\nunresolved = 1\nassertions = 0", ""},
		{"encrypted", offer, `encrypted = 2`, `encrypted: got 1, want 2`},
		{"augmented", strings.Replace(offer, "10.0.0.1", "192.0.2.1", 1), `augmented = 0`, `augmented: got 2, want 0`},
		{"revealed", named, `revealed = 0`, `revealed: got 1, want 0`},
		{"decrypted", offer + "inbound = true\n", `decrypted = 0`, `decrypted: got 2, want 0`},
		{"kept", offer, `kept = 0`, `kept: got 1, want 0`},
		{"dropped", offer, `dropped = 0`, `dropped: got 1, want 0`},
		{"redacted", offer, `redacted = 0`, `redacted: got 2, want 0`},
		{"unresolved", offer, `unresolved = 0`, `unresolved: got 1, want 0`},
		{"assertions", strings.Replace(offer, "10.0.0.1", "192.0.2.1", 1), `assertions = 0`, `assertions: got 1, want 0`},

		{"inbound", staffs + "inbound = true\n", "result = \"decrypted\"\nby = \"inbound, action\"\ncontains = [\"10.0.0.1 5000\"]", ""},
		{"inbound, kept", named + "inbound = true\n", `result = "decrypted"`, `got kept, want decrypted; policy "page", inbound, action (policy.hcl:31)`},
		{"inbound, unset", "client = \"192.0.2.1\"\ninbound = true\n" + someCandidate + "\n", "result = \"kept\"\nby = \"no inbound\"", ""},
		{"names", named, "result = \"revealed\"\ncontains = [\"10.0.0.1 5000\"]", ""},
		{"other names", strings.Replace(named, "A.local", "b.local", 1), `result = "revealed"`, `got unresolved, want revealed; policy "page", candidate "host", action (policy.hcl:29): nobody on the client's link answered for its name`},
		{"no names", strings.Replace(named, "names = { \"A.local\" = \"10.0.0.1\" }\n", "", 1), `result = "revealed"`, `got unresolved, want revealed; policy "page", candidate "host", action (policy.hcl:29): browsers' names are not resolved here`},
		{"another origin", strings.Replace(named, "a.example", "b.example", 1), `policy = ""`, ""},
		{"line of a candidate", strings.Replace(staffs, "candidate:1", "a=candidate:1", 1), `result = "encrypted"`, ""},

		{"answered", asks, "result = \"answered\"\npolicy = \"staff\"\nby = \"resolve, addresses\"\nttl = \"30s\"\nrate = 5\nburst = 7", ""},
		{"not answered", strings.Replace(asks, "from = \"10.", "from = \"11.", 1), `result = "answered"`, `got refused, want answered; no policy matches`},
		{"not that address", strings.Replace(asks, "lookup = \"10.", "lookup = \"11.", 1), `result = "answered"`, `got refused, want answered; policy "staff", resolve, addresses (policy.hcl:10)`},
		{"no such address", strings.Replace(asks, "lookup = \"10.0.0.2", "lookup = \"127.0.0.1", 1), `result = "answered"`, `got refused, want answered; policy "staff", resolve, addresses (policy.hcl:10)`},
		{"ttl", asks, `ttl = "1m"`, `ttl: got 30s, want 1m0s`},
		{"rate", asks, `rate = 0`, `rate: got 5, want 0`},
		{"burst", asks, `burst = 5`, `burst: got 7, want 5`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := runCase(t, tried, tt.setup+"expect {\n"+tt.expect+"\n}")
			if s := strings.Join(got, "; "); err != nil || s != tt.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, s, tt.want)
			}
		})
	}
}

// TestOnLink has own links answered, but not with an address that nobody can reach.
func TestOnLink(t *testing.T) {
	const links = "policy \"links\" {\n resolve {\n  clients = []\n  own_links = true\n }\n}\n"
	for _, tt := range []struct{ setup, want string }{
		{"from = \"10.0.0.1\"\non_link = true\nlookup = \"10.0.0.2\"\n", ""},
		{"from = \"10.0.0.1\"\non_link = false\nlookup = \"10.0.0.2\"\n", "got refused, want answered; no policy matches"},
		{"from = \"10.0.0.1\"\non_link = true\nlookup = \"fe80::1\"\n", "got refused, want answered; no other host can reach an address of its kind"},
	} {
		got, err := runCase(t, links, tt.setup+`expect { result = "answered" }`)
		if s := strings.Join(got, "; "); err != nil || s != tt.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tt.setup, err, s, tt.want)
		}
	}
}

// TestCannotTry has cases that are about nothing told as such.
func TestCannotTry(t *testing.T) {
	for _, tt := range []struct{ setup, want string }{
		{`candidate = "nonsense"`, "holds 0 of them"},
		{`candidate = ""`, "holds 0 of them"},
		{`candidate = "candidate:1 1 udp 1 10.0.0.1 5 typ host\r\na=candidate:1 1 udp 1 10.0.0.1 5 typ host"`, "holds 2 of them"},
		{`candidate = "candidate:1 1 udp 1 10.0.0.1 typ host"`, "line 3"},
		{`description = "nonsense"`, "line 1: not SDP"},
		{`description = ""`, "empty"},
		{"inbound = true\ncandidate = \"candidate:1 1 udp 1 127.0.0.1 5 typ host\"", "no gateway passes it on"},
	} {
		_, err := runCase(t, tried, tt.setup+"\nexpect { policy = \"staff\" }")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.setup, err, tt.want)
		}
	}
}

// runCase runs one case under some policies; places in what it returns are without their folder.
func runCase(t *testing.T, policies, body string) ([]string, error) {
	t.Helper()
	files := maps.Clone(bodies)
	files["policy.hcl"], files["policy.test.hcl"] = policies, "case \"a\" {\n"+body+"\n}\n"
	folder := write(t, files)
	set, err := new(policy.Loader).LoadPath(filepath.Join(folder, "policy.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := Load(filepath.Join(folder, "policy.test.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	failures, err := cases[0].Run(set)
	for i := range failures {
		failures[i] = strings.ReplaceAll(failures[i], folder+string(filepath.Separator), "")
	}
	return failures, err
}
