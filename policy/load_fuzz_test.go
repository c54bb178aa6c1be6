package policy_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/policy"
)

const everyAttribute = `locals {
  campus = ["10.20.0.0/16", "2001:db8:20::/48"]
  half   = [for i in [0, 1] : cidrsubnet("10.0.0.0/8", 1 + 0, i)]
}

policy "campus" {
  description = "Browsers on the campus VLANs"
  clients     = true ? local.campus : local["half"]
  origins     = ["https://meet.example.com"]

  candidate "host" {
    action     = "encrypt"
    addresses  = concat(local.campus, private_networks)
    otherwise  = "drop"
    transports = ["udp"]
    max        = 16
  }
  candidate "srflx" { related_address = "redact" }
  name {
    suite      = "aes-uuid"
    suffix     = "local"
    extensions = ["addrtype", "keyid"]
  }
  session {
    forbid_sdes         = true
    require_fingerprint = true
    relay_only          = false
    identity {
      require = false
      provider "idp.example.com" { domains = ["example.com"] }
    }
  }
  resolve {
    clients   = local.campus[*]
    addresses = local.half
    own_links = true
    ttl       = "120s"
    rate      = 50
    burst     = 5
  }
  inbound { action = "keep" }
}

policy "rest" {
  name {
    suite = "aes-gcm"
    form  = "extension"
  }
}
`

// FuzzLoad: whatever the text is, it is a set or a mistake with a place, and a set decides.
func FuzzLoad(f *testing.F) {
	f.Add(policies.Default, false)
	f.Add([]byte(everyAttribute), false)
	model := modelSet{
		{name: "a", clients: modelList{"10.0.0.0/28"}, origins: fuzzOrigins, host: &modelCandidate{action: "keep", addresses: modelList{}, transports: []string{"udp"}, max: 1}},
		{name: "b", resolve: &modelResolve{ownLinks: true, addresses: modelList{"::/0"}, rate: 1}, relay: true, inbound: "decrypt"},
	}
	f.Add(model.hcl().Text, false)
	f.Add(model.json().Text, true)
	f.Add([]byte(`{"locals": {"a": ["10.0.0.0/8"]}, "policy": {"a": {"clients": "${concat(local.a, private_networks)}", "name": {"suite": "aes-gcm"}}}}`), true)
	f.Add([]byte("policy \"a\" {\n clients = file_lines(\"x\")\n origins = [env(\"X\")]\n}"), false)
	f.Add([]byte("locals {\n a = local.b\n b = local.a\n}\npolicy \"a\" { clients = <<E\n%{for x in local.a}${x}%{endfor}\nE\n}"), false)
	pages, err := filepath.Glob("../examples/policies/*.hcl")
	if err != nil {
		f.Fatal(err)
	}
	for _, page := range pages {
		f.Add([]byte(readText(f, page)), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, inJSON bool) {
		if strings.ContainsAny(string(text), "*eE") && strings.Count(string(text), "0") > 20 {
			t.Skip("numbers of a million digits take their time")
		}
		name := "fuzz.hcl"
		if inJSON {
			name += ".json"
		}
		set, err := new(policy.Loader).Load(policy.Source{Name: name, Text: text})
		if (set == nil) == (err == nil) {
			t.Fatalf("got %v, %v", set, err)
		}
		if err != nil {
			var invalid *policy.Invalid
			if !errors.As(err, &invalid) || len(invalid.Problems) == 0 {
				t.Fatalf("got %v", err)
			}
			for _, p := range invalid.Problems {
				if p.File != name || p.Summary == "" || p.Detail == "" || p.Text == "" {
					t.Fatalf("got %+v", p)
				}
			}
			return
		}
		for _, a := range fuzzAddresses {
			for _, typ := range []string{"host", "srflx", "relay", "?"} {
				_ = set.DecideCandidate(policy.Candidate{Client: a, Type: typ, Transport: "udp", Addr: a}).Action.String()
			}
			_ = set.DecideSession(a, "https://a.example").InboundBy.String()
			set.DecideLookup(policy.Lookup{Asker: a, OnLink: true, Addr: a})
		}
	})
}
