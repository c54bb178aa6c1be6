package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestChanges(t *testing.T) {
	for _, tt := range []struct {
		change           func(*Config)
		running, restart string
	}{
		{func(*Config) {}, "", ""},
		{func(c *Config) { c.DataDir = "/x" }, "", "data_dir"},
		{func(c *Config) { c.PolicyDir = "/x" }, "policy_dir", ""},
		{func(c *Config) { c.PolicyDir = "" }, "policy_dir", ""},
		{func(c *Config) { c.AllowEnv = false }, "allow_env", ""},
		{func(c *Config) { c.DNS.Listen = ":1" }, "", "dns.listen"},
		{func(c *Config) { c.DNS.Zones = []string{"local"} }, "", "dns.zones"},
		{func(c *Config) { c.DNS.Delegated = nil }, "", "dns.zone"},
		{func(c *Config) { c.DNS.Delegated[0].Nameservers[1] = "ns.example" }, "", "dns.zone"},
		{func(c *Config) { c.DNS.Delegated[0].Name = "b.example" }, "", "dns.zone"},
		{func(c *Config) { c.DNS.TLS = nil }, "", "dns.tls"},
		{func(c *Config) { c.DNS.TLS.Listen = ":1" }, "", "dns.tls.listen"},
		{func(c *Config) { c.DNS.TLS.CertificateFile = "/x" }, "dns.tls.certificate_file", ""},
		{func(c *Config) { c.DNS.TLS.KeyFile = "/x" }, "dns.tls.key_file", ""},
		{func(c *Config) { *c.DNS.TLS = TLS{":1", "/x", "/y"} }, "dns.tls.certificate_file dns.tls.key_file", "dns.tls.listen"},
		{func(c *Config) { c.MDNS = MDNS{} }, "", "mdns.enabled mdns.interfaces"},
		{func(c *Config) { c.MDNS.Interfaces = nil }, "", "mdns.interfaces"},
		{func(c *Config) { c.API.Listen = ":1" }, "", "api.listen"},
		{func(c *Config) { c.API.TokenFile = "/x" }, "api.token_file", ""},
		{func(c *Config) { c.API.Rate, c.API.Burst = 1, 2 }, "api.rate api.burst", ""},
		{func(c *Config) { c.API.Drain = 0 }, "api.drain", ""},
		{func(c *Config) { c.API.TLS = nil }, "", "api.tls"},
		{func(c *Config) { *c.API.TLS = APITLS{"/x", "/y", "/z"} }, "api.tls.certificate_file api.tls.key_file api.tls.client_ca_file", ""},
		{func(c *Config) { c.API.TLS.ClientCAFile = "" }, "api.tls.client_ca_file", ""},
		{func(c *Config) { c.API.TokenFile = "" }, "api.token_file", ""},
		{func(c *Config) { c.Keyring = Keyring{KEKFile: "/x"} }, "", "keyring.kek_file keyring.passphrase_file"},
		{func(c *Config) { c.Rotate.Suite = 0 }, "rotate.suite", ""},
		{func(c *Config) { c.Rotate.Every = time.Hour }, "rotate.every", ""},
		{func(c *Config) { c.Rotate.Settle = 0 }, "rotate.settle", ""},
		{func(c *Config) { c.Rotate.Grace = time.Hour }, "rotate.grace", ""},
		{func(c *Config) { c.Rotate = nil }, "rotate", ""},
		{func(c *Config) { c.Signaling = nil }, "", "signaling"},
		{func(c *Config) { c.Signaling[0].Name = "b" }, "", "signaling"},
		{func(c *Config) { c.Signaling[0].Listen = ":1" }, "", "signaling.meet.listen"},
		{func(c *Config) { c.Signaling[0].TLS = nil }, "", "signaling.meet.tls"},
		{func(c *Config) { *c.Signaling[0].TLS = KeyPair{"/x", "/y"} }, "signaling.meet.tls.certificate_file signaling.meet.tls.key_file", ""},
		{func(c *Config) {
			c.Signaling = append(c.Signaling, c.Signaling[0])
			c.Signaling[1].Name = "b"
			c.Signaling[0].TLS = &KeyPair{"/x", "/y"}
		}, "", "signaling"},
		{func(c *Config) { c.Signaling[0].Upstream = "http://x" }, "", "signaling.meet.upstream"},
		{func(c *Config) { c.Signaling[0].CAFile = "" }, "", "signaling.meet.ca_file"},
		{func(c *Config) { c.Signaling[0].Paths[0] = "/x" }, "", "signaling.meet.paths"},
		{func(c *Config) { c.Signaling[0].Endpoint = "client" }, "", "signaling.meet.endpoint"},
		{func(c *Config) { c.Signaling[0].TrustedProxies = nil; c.Signaling[0].ProxyProtocol = false }, "", "signaling.meet.trusted_proxies signaling.meet.proxy_protocol"},
		{func(c *Config) { c.Signaling[0].MaxConnections = 1 }, "", "signaling.meet.max_connections"},
		{func(c *Config) { c.Browsers = nil }, "", "browsers"},
		{func(c *Config) { c.Browsers.Listen = ":1" }, "", "browsers.listen"},
		{func(c *Config) { c.Browsers.Extensions[0] = "chrome-extension://x" }, "browsers.extensions", ""},
		{func(c *Config) { c.Browsers.Extensions = c.Browsers.Extensions[1:] }, "browsers.extensions", ""},
		{func(c *Config) { c.Browsers.Rate, c.Browsers.Burst = 1, 2 }, "browsers.rate browsers.burst", ""},
		{func(c *Config) { c.Browsers.TLS = nil }, "", "browsers.tls"},
		{func(c *Config) { c.Browsers.TLS = nil; c.Browsers.Rate = 1 }, "browsers.rate", "browsers.tls"},
		{func(c *Config) { *c.Browsers.TLS = KeyPair{"/x", "/y"} }, "browsers.tls.certificate_file browsers.tls.key_file", ""},
		{func(c *Config) { c.Log.Level = 0 }, "log.level", ""},
		{func(c *Config) { c.Log.Format = Text }, "log.format", ""},
		{func(c *Config) { *c = *Defaults() },
			"policy_dir allow_env api.token_file api.rate api.burst api.drain rotate log.level log.format",
			"data_dir dns.listen dns.zones dns.zone dns.tls mdns.interfaces api.listen api.tls keyring.passphrase_file signaling browsers"},
	} {
		next := full()
		tt.change(next)
		c := full()
		running, restart := c.Changes(next)
		if strings.Join(running, " ") != tt.running || strings.Join(restart, " ") != tt.restart {
			t.Errorf("got %q and %q, want %q and %q", running, restart, tt.running, tt.restart)
		}
		// What is taken into use has gone, and what wants a restart is told again.
		reloaded := c.Reloaded(next)
		running, again := reloaded.Changes(next)
		if running != nil || !reflect.DeepEqual(again, restart) {
			t.Errorf("reloaded: got %q and %q, want %q", running, again, restart)
		}
		if !reflect.DeepEqual(c, full()) {
			t.Errorf("changed by it: %+v", c)
		}
		if tt.restart == "" && !reflect.DeepEqual(reloaded, next) {
			t.Errorf("got %+v, want %+v", reloaded, next)
		}
	}
}

func TestRotateAppears(t *testing.T) {
	c := Defaults()
	next := Defaults()
	next.Rotate = defaultRotate()
	if running, restart := c.Changes(next); !reflect.DeepEqual(running, []string{"rotate"}) || restart != nil {
		t.Errorf("got %q and %q", running, restart)
	}
	reloaded := c.Reloaded(next)
	if !reflect.DeepEqual(reloaded.Rotate, next.Rotate) || reloaded.Rotate == next.Rotate {
		t.Errorf("got %+v", reloaded.Rotate)
	}
}

// TestBrowsersAppear has a block that is new wait for a restart: nothing listens.
func TestBrowsersAppear(t *testing.T) {
	c, next := Defaults(), Defaults()
	next.Browsers = full().Browsers
	if running, restart := c.Changes(next); running != nil || !reflect.DeepEqual(restart, []string{"browsers"}) {
		t.Errorf("got %q and %q", running, restart)
	}
	if reloaded := c.Reloaded(next); reloaded.Browsers != nil {
		t.Errorf("got %+v", reloaded.Browsers)
	}
}

// TestAccessStays has an API that everybody can reach ask something of its callers until it listens elsewhere.
func TestAccessStays(t *testing.T) {
	withTLS := func(a API, clientCAFile string) API {
		a.TLS = &APITLS{"/crt", "/key", clientCAFile}
		return a
	}
	token := API{Listen: ":8480", TokenFile: "/token"}
	none := API{Listen: "127.0.0.1:8480"}
	for _, tt := range []struct {
		name             string
		was, is          API
		running, restart string
		tokenFile, ca    string
	}{
		{"a token, moving to loopback", token, none, "", "api.listen api.token_file", "/token", ""},
		{"a token on loopback", API{Listen: "127.0.0.1:8480", TokenFile: "/token"}, none, "api.token_file", "", "", ""},
		{"a token on a socket", API{Listen: "unix:/s", TokenFile: "/token"}, API{Listen: "unix:/s"}, "api.token_file", "", "", ""},
		{"from a token to certificates", withTLS(token, ""), withTLS(API{Listen: ":8480"}, "/ca"), "api.token_file api.tls.client_ca_file", "", "", "/ca"},
		{"from certificates to a token", withTLS(API{Listen: ":8480"}, "/ca"), withTLS(token, ""), "api.token_file api.tls.client_ca_file", "", "/token", ""},
		{"certificates, moving to loopback", withTLS(API{Listen: ":8480"}, "/ca"), withTLS(none, ""), "", "api.listen api.tls.client_ca_file", "", "/ca"},
		{"both, moving to loopback", withTLS(token, "/ca"), none, "api.token_file", "api.listen api.tls", "", "/ca"},
		{"from a token to certificates, with TLS that is new", token, withTLS(API{Listen: ":8480"}, "/ca"), "", "api.token_file api.tls", "/token", ""},
	} {
		c, next := full(), full()
		c.API, next.API = tt.was, tt.is
		running, restart := c.Changes(next)
		if strings.Join(running, " ") != tt.running || strings.Join(restart, " ") != tt.restart {
			t.Errorf("%s: got %q and %q", tt.name, running, restart)
		}
		got := c.Reloaded(next).API
		if got.TLS != nil && got.TLS.ClientCAFile != tt.ca {
			t.Errorf("%s: got %+v", tt.name, got.TLS)
		}
		if got.TokenFile != tt.tokenFile || got.Listen != tt.was.Listen || !got.Guarded() {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}

// TestEveryFieldIsCompared fails if there is a field that Changes has not heard of.
func TestEveryFieldIsCompared(t *testing.T) {
	next := full()
	compare := func(f reflect.Value, name string) {
		was := reflect.ValueOf(f.Interface())
		if f.IsZero() {
			f.SetString("/x") // what full leaves unset is a path
		} else {
			f.SetZero()
		}
		if running, restart := full().Changes(next); len(running)+len(restart) != 1 {
			t.Errorf("%s: got %q and %q", name, running, restart)
		}
		f.Set(was)
	}
	var each func(v reflect.Value, name string)
	each = func(v reflect.Value, name string) {
		for i := range v.NumField() {
			f, name := v.Field(i), name+"."+v.Type().Field(i).Name
			switch f.Kind() {
			case reflect.Pointer:
				each(f.Elem(), name)
			case reflect.Struct:
				each(f, name)
			case reflect.Slice:
				if f.Len() > 0 && f.Type().Elem() == reflect.TypeFor[Signaling]() {
					each(f.Index(0), name)
				}
				compare(f, name)
			default:
				compare(f, name)
			}
		}
	}
	each(reflect.ValueOf(next).Elem(), "Config")
}
