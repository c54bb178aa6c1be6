package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/policy"
	"github.com/candgw/candgw/resolver"
)

// parse reads a configuration that stands in the folder /etc/candgw.
func parse(text string) (*Config, error) {
	return Parse(policy.Source{Name: "/etc/candgw/candgw.hcl", Text: []byte(text)})
}

// full is what testdata/candgw.hcl says.
func full() *Config {
	return &Config{
		DataDir: "/var/lib/candgw", PolicyDir: "/etc/candgw/policies", AllowEnv: true,
		DNS: DNS{
			Listen: "[::1]:53", Zones: []string{"local", "ice.corp.example"},
			Delegated: []Zone{{"rtc.corp.example", []string{"candgw1.corp.example", "candgw2.corp.example"}}},
			TLS:       &TLS{":853", "/etc/candgw/tls.crt", "/etc/candgw/tls.key"},
		},
		MDNS: MDNS{Enabled: true, Interfaces: []string{"eth0", "eth1"}},
		API: API{
			Listen: "0.0.0.0:8480", TokenFile: "/etc/candgw/token", Rate: 100, Burst: 500, Drain: 5 * time.Second,
			TLS: &APITLS{"/etc/candgw/api.crt", "/etc/candgw/api.key", "/etc/candgw/callers.crt"},
		},
		Keyring: Keyring{PassphraseFile: "/run/credentials/passphrase"},
		Rotate:  &Rotate{Suite: cipher.AESGCM, Every: 12 * time.Hour, Settle: 30 * time.Second, Grace: 36 * time.Hour},
		Signaling: []Signaling{{
			Name: "meet", Listen: ":8443", TLS: &KeyPair{"/etc/candgw/meet.crt", "/etc/candgw/meet.key"},
			Upstream: "https://meet.example.com", CAFile: "/etc/candgw/ca.crt", Paths: []string{"/ws", "/api/*"}, Endpoint: "upstream",
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("2001:db8::/64")},
			ProxyProtocol:  true, MaxConnections: 500,
		}},
		Browsers: &Browsers{
			Listen: ":8444", Extensions: []string{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "moz-extension://*"},
			Rate: 20, Burst: 300, TLS: &KeyPair{"/etc/candgw/browsers.crt", "/etc/candgw/browsers.key"},
		},
		Log: Log{Level: slog.LevelDebug, Format: "json"},
	}
}

func TestLoad(t *testing.T) {
	for _, name := range []string{"candgw.hcl", "candgw.hcl.json"} {
		c, err := Load(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c, full()) {
			t.Errorf("%s: got %+v", name, c)
		}
	}
	if _, err := Load(filepath.Join("testdata", "nowhere.hcl")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nowhere.hcl") {
		t.Error(err)
	}
	if _, err := Load("testdata"); err == nil || errors.Is(err, ErrInvalid) {
		t.Errorf("a folder: %v", err)
	}
}

// TestAttributes has each attribute alone: it changes what it names, and nothing else.
func TestAttributes(t *testing.T) {
	rotate := func(f func(*Rotate)) func(*Config) {
		return func(c *Config) {
			c.Rotate = &Rotate{Every: 24 * time.Hour, Settle: time.Minute, Grace: 48 * time.Hour}
			f(c.Rotate)
		}
	}
	for _, tt := range []struct {
		text string
		want func(*Config)
	}{
		{``, func(*Config) {}},
		{"dns {}\nmdns {}\napi {}\nkeyring {}\nlog {}", func(*Config) {}},
		{`data_dir = "/data"`, func(c *Config) { c.DataDir = "/data" }},
		{`policy_dir = "/policies/one.hcl"`, func(c *Config) { c.PolicyDir = "/policies/one.hcl" }},
		{`allow_env = true`, func(c *Config) { c.AllowEnv = true }},
		{`allow_env = false`, func(*Config) {}},
		{`dns { listen = "10.0.0.1:53" }`, func(c *Config) { c.DNS.Listen = "10.0.0.1:53" }},
		{`dns { listen = ":53" }`, func(c *Config) { c.DNS.Listen = ":53" }},
		{`dns { listen = "[fe80::1%eth0]:0" }`, func(c *Config) { c.DNS.Listen = "[fe80::1%eth0]:0" }},
		{`dns { listen = "node-1.corp.example:53" }`, func(c *Config) { c.DNS.Listen = "node-1.corp.example:53" }},
		{`dns { zones = ["ice.corp.example."] }`, func(c *Config) { c.DNS.Zones = []string{"ice.corp.example."} }},
		{"dns {\n zones = []\n zone \"ice.corp.example.\" {\n nameservers = [\"NS1.corp.example.\"]\n}\n}", func(c *Config) {
			c.DNS.Zones, c.DNS.Delegated = nil, []Zone{{"ice.corp.example.", []string{"NS1.corp.example."}}}
		}},
		{"dns {\n zone \"a.example\" {\n nameservers = [\"ns.example\"]\n}\n zone \"b.a.example\" {\n nameservers = [\"ns.example\"]\n}\n}", func(c *Config) {
			c.DNS.Delegated = []Zone{{"a.example", []string{"ns.example"}}, {"b.a.example", []string{"ns.example"}}}
		}},
		{"dns {\n tls {\n listen = \":853\"\n certificate_file = \"crt\"\n key_file = \"/key\"\n}\n}", func(c *Config) {
			c.DNS.TLS = &TLS{":853", "/etc/candgw/crt", "/key"}
		}},
		{`mdns { enabled = false }`, func(c *Config) { c.MDNS.Enabled = false }},
		{`mdns { interfaces = ["Ethernet 2"] }`, func(c *Config) { c.MDNS.Interfaces = []string{"Ethernet 2"} }},
		{`mdns { interfaces = [] }`, func(c *Config) { c.MDNS.Enabled = false }},
		{"mdns {\n enabled = false\n interfaces = []\n}", func(c *Config) { c.MDNS.Enabled = false }},
		{`api { listen = "localhost:80" }`, func(c *Config) { c.API.Listen = "localhost:80" }},
		{`api { listen = "127.9.9.9:80" }`, func(c *Config) { c.API.Listen = "127.9.9.9:80" }},
		{`api { token_file = "/token" }`, func(c *Config) { c.API.TokenFile = "/token" }},
		{"api {\n listen = \":80\"\n token_file = \"/token\"\n}", func(c *Config) { c.API = API{Listen: ":80", TokenFile: "/token"} }},
		{"api {\n listen = \":80\"\n tls {\n certificate_file = \"crt\"\n key_file = \"/key\"\n client_ca_file = \"ca\"\n}\n}", func(c *Config) {
			c.API = API{Listen: ":80", TLS: &APITLS{"/etc/candgw/crt", "/key", "/etc/candgw/ca"}}
		}},
		{"api {\n tls {\n certificate_file = \"crt\"\n key_file = \"/key\"\n}\n}", func(c *Config) { c.API.TLS = &APITLS{"/etc/candgw/crt", "/key", ""} }},
		{`api { listen = "unix:/run/api.sock" }`, func(c *Config) { c.API.Listen = "unix:/run/api.sock" }},
		{`api { listen = "unix:./api.sock" }`, func(c *Config) { c.API.Listen = "unix:/etc/candgw/api.sock" }},
		{`api { rate = 1 }`, func(c *Config) { c.API.Rate, c.API.Burst = 1, 1 }},
		{"api {\n rate = 1000000\n burst = 2\n}", func(c *Config) { c.API.Rate, c.API.Burst = 1000000, 2 }},
		{`api { drain = "1m" }`, func(c *Config) { c.API.Drain = time.Minute }},
		{"browsers {\n listen = \"localhost:8444\"\n extensions = [\"moz-extension://*\"]\n}", func(c *Config) {
			c.Browsers = &Browsers{Listen: "localhost:8444", Extensions: []string{AnyFirefox}, Rate: 50, Burst: 500}
		}},
		{"browsers {\n listen = \"[::1]:0\"\n extensions = [\"moz-extension://0f3c1a52-7d4e-4b1a-9c55-0123456789ab\"]\n rate = 500\n}", func(c *Config) {
			c.Browsers = &Browsers{Listen: "[::1]:0", Extensions: []string{"moz-extension://0f3c1a52-7d4e-4b1a-9c55-0123456789ab"}, Rate: 500, Burst: 500}
		}},
		{"browsers {\n listen = \":1\"\n extensions = [\"moz-extension://*\"]\n rate = 1\n burst = 2\n tls {\n certificate_file = \"crt\"\n key_file = \"/key\"\n}\n}", func(c *Config) {
			c.Browsers = &Browsers{Listen: ":1", Extensions: []string{AnyFirefox}, Rate: 1, Burst: 2, TLS: &KeyPair{"/etc/candgw/crt", "/key"}}
		}},
		{`keyring { kek_file = "/kek" }`, func(c *Config) { c.Keyring.KEKFile = "/kek" }},
		{`keyring { passphrase_file = "/pass" }`, func(c *Config) { c.Keyring.PassphraseFile = "/pass" }},
		{`rotate {}`, rotate(func(*Rotate) {})},
		{`rotate { suite = "aes-uuid" }`, rotate(func(r *Rotate) { r.Suite = cipher.AESUUID })},
		{`rotate { suite = "aes-cbc-hmac" }`, rotate(func(r *Rotate) { r.Suite = cipher.AESCBCHMAC })},
		{`rotate { every = "8760h" }`, rotate(func(r *Rotate) { r.Every = 8760 * time.Hour })},
		{`rotate { settle = "0s" }`, rotate(func(r *Rotate) { r.Settle = 0 })},
		{`rotate { grace = "1m" }`, rotate(func(r *Rotate) { r.Grace = time.Minute })},
		{`rotate { grace = "8760h" }`, rotate(func(r *Rotate) { r.Grace = 8760 * time.Hour })},
		{"rotate {\n every = \"1m\"\n settle = \"59s\"\n grace = \"59s\"\n}", rotate(func(r *Rotate) {
			r.Every, r.Settle, r.Grace = time.Minute, 59*time.Second, 59*time.Second
		})},
		{"signaling \"a\" {\n listen = \":1\"\n upstream = \"http://sfu:8088/\"\n}\nsignaling \"B_2\" {\n listen = \":2\"\n upstream = \"https://[2001:db8::1]:8443\"\n paths = [\"/\", \"/*\"]\n tls {\n certificate_file = \"crt\"\n key_file = \"/key\"\n}\n}", func(c *Config) {
			c.Signaling = []Signaling{
				{Name: "a", Listen: ":1", Upstream: "http://sfu:8088", Endpoint: "client", MaxConnections: 10_000},
				{Name: "B_2", Listen: ":2", Upstream: "https://[2001:db8::1]:8443", Endpoint: "client", MaxConnections: 10_000,
					Paths: []string{"/", "/*"}, TLS: &KeyPair{"/etc/candgw/crt", "/key"}},
			}
		}},
		{"signaling \"a\" {\n listen = \":0\"\n upstream = \"http://a\"\n endpoint = \"upstream\"\n}\nsignaling \"b\" {\n listen = \":0\"\n upstream = \"http://a\"\n endpoint = \"client\"\n}", func(c *Config) {
			c.Signaling = []Signaling{
				{Name: "a", Listen: ":0", Upstream: "http://a", Endpoint: "upstream", MaxConnections: 10_000},
				{Name: "b", Listen: ":0", Upstream: "http://a", Endpoint: "client", MaxConnections: 10_000},
			}
		}},
		{`log { level = "warn" }`, func(c *Config) { c.Log.Level = slog.LevelWarn }},
		{`log { level = "error" }`, func(c *Config) { c.Log.Level = slog.LevelError }},
		{`log { level = "info" }`, func(*Config) {}},
		{`log { format = "text" }`, func(*Config) {}},
		{`log { format = "json" }`, func(c *Config) { c.Log.Format = "json" }},
	} {
		want := Defaults()
		tt.want(want)
		if got, err := parse(tt.text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", tt.text, got, err, want)
		}
	}
}

// TestDefaults has the defaults written out, as docs/config.md has them.
func TestDefaults(t *testing.T) {
	written, err := parse(`
		allow_env = false
		dns {
		  listen = "127.0.0.1:5354"
		  zones  = ["local"]
		}
		mdns { enabled = true }
		api {
		  listen = "127.0.0.1:8480"
		  drain  = "0s"
		}
		log {
		  level  = "info"
		  format = "text"
		}`)
	if err != nil || !reflect.DeepEqual(written, Defaults()) {
		t.Errorf("got %+v, %v, want %+v", written, err, Defaults())
	}
	rotate, err := parse("rotate {\n every = \"24h\"\n settle = \"1m\"\n grace = \"48h\"\n}")
	unset, _ := parse("rotate {}")
	if err != nil || !reflect.DeepEqual(rotate, unset) {
		t.Errorf("got %+v, %v, want %+v", rotate, err, unset)
	}
	Defaults().DNS.Zones[0] = "changed"
	if Defaults().DNS.Zones[0] != "local" {
		t.Error("the defaults can be changed")
	}
}

func TestRelativePaths(t *testing.T) {
	const text = `
		data_dir   = "data"
		policy_dir = "../policies/"
		api { token_file = "./token" }
		keyring { kek_file = "/run//kek" }`
	for _, tt := range []struct{ name, data, policies, token string }{
		{"/etc/candgw/candgw.hcl", "/etc/candgw/data", "/etc/policies", "/etc/candgw/token"},
		{"etc/candgw.hcl", "etc/data", "policies", "etc/token"},
		{"candgw.hcl", "data", "../policies", "token"},
	} {
		c, err := Parse(policy.Source{Name: filepath.FromSlash(tt.name), Text: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{c.DataDir, c.PolicyDir, c.API.TokenFile, c.Keyring.KEKFile}
		for i, want := range []string{tt.data, tt.policies, tt.token, "/run/kek"} {
			if got[i] != filepath.FromSlash(want) {
				t.Errorf("%s: got %s, want %s", tt.name, got[i], want)
			}
		}
	}
	c, err := parse(`keyring { passphrase_file = "pass" }`)
	if err != nil || c.Keyring.PassphraseFile != "/etc/candgw/pass" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestOnLoopback(t *testing.T) {
	for listen, want := range map[string]bool{
		"127.0.0.1:80": true, "127.1.2.3:0": true, "[::1]:80": true, "localhost:80": true, "[::ffff:127.0.0.1]:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "localhost.example:80": false,
		"127.0.0.1": false, "": false, "unix:/run/api.sock": true,
	} {
		if got := (API{Listen: listen}).OnLoopback(); got != want {
			t.Errorf("%q: got %v", listen, got)
		}
	}
}

// TestZones holds the rules for zones to those of the resolver, which this package may not import.
func TestZones(t *testing.T) {
	for _, zone := range []string{
		"local", "ice.corp.example", "ice.corp.example.", "LOCAL", "", ".", "..", "a..b", ".local", "_a-1.example", "xn--mnchen-3ya.example",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a.", 120), strings.Repeat("a.", 127), strings.Repeat("a.", 128),
	} {
		err := resolver.CheckZones([]resolver.Zone{{Name: zone}})
		if wrong := WrongZone(zone); (wrong == "") != (err == nil) {
			t.Errorf("%q: got %q, the resolver has %v", zone, wrong, err)
		}
	}
	// The resolver, which may be a part of another program, serves zones whose names want escapes too.
	for _, zone := range []string{"a b.example", "*.example", "münchen.example", `a\.b.example`, `a\\.b.example`, `\300.example`, "a\x00.example", "\xff.example"} {
		if err := resolver.CheckZones([]resolver.Zone{{Name: zone}}); WrongZone(zone) == "" || err != nil {
			t.Errorf("%q: got %q, the resolver has %v", zone, WrongZone(zone), err)
		}
	}
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"one list", `zones = ["local", "a.example"]`, true},
		{"one within another", `zones = ["a.example", "b.a.example"]`, true},
		{"twice in the list", `zones = ["a.example", "A.example."]`, false},
		{"a block", "zone \"a.example\" {\n nameservers = [\"ns.example\"]\n}", true},
		{"in the list and a block", "zones = [\"a.example\"]\nzone \"A.example\" {\n nameservers = [\"ns.example\"]\n}", false},
		{"two blocks", "zone \"a.example\" {\n nameservers = [\"ns.example\"]\n}\nzone \"a.example.\" {\n nameservers = [\"ns.example\"]\n}", false},
		{"local", "zone \"Local\" {\n nameservers = [\"ns.example\"]\n}", false},
		{"below local", "zone \"a.local\" {\n nameservers = [\"ns.example\"]\n}", false},
		{"a name server in its zone", "zone \"a.example\" {\n nameservers = [\"ns.A.example\"]\n}", false},
		{"a name server that is its zone", "zone \"a.example\" {\n nameservers = [\"a.example.\"]\n}", false},
		{"a name server in another zone", "zones = [\"b.example\"]\nzone \"a.example\" {\n nameservers = [\"ns.b.example\"]\n}", false},
		{"a name server in a zone that comes later", "zone \"a.example\" {\n nameservers = [\"ns.b.example\"]\n}\nzone \"b.example\" {\n nameservers = [\"ns.example\"]\n}", false},
		{"a name server in the zone of the defaults", "zone \"a.example\" {\n nameservers = [\"ns.local\"]\n}", false},
		{"a name server whose name only looks like it", "zone \"a.example\" {\n nameservers = [\"nsa.example\"]\n}", true},
		{"a name server of no form", "zone \"a.example\" {\n nameservers = [\"ns..example\"]\n}", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole := &reader{eval: new(hcl.EvalContext)}
			file, err := policy.ParseFile(policy.Source{Name: "candgw.hcl", Text: []byte(tt.text)})
			if err != nil {
				t.Fatal(err)
			}
			to := Defaults().DNS
			whole.dns(&to, file.Body)
			var zones []resolver.Zone
			for _, z := range to.Zones {
				zones = append(zones, resolver.Zone{Name: z})
			}
			for _, z := range to.Delegated {
				zones = append(zones, resolver.Zone(z))
			}
			if err := resolver.CheckZones(zones); (err == nil) != tt.ok {
				t.Errorf("the resolver has %v", err)
			}
			if whole.diags.HasErrors() == tt.ok {
				t.Errorf("got %v", whole.diags)
			}
		})
	}
}
