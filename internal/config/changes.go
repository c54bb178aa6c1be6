package config

import "slices"

// Changes returns the names of what differs in another configuration, as HCL has them and in the order
// of docs/config.md: what serve can take into use while it runs, and what it cannot. A block rotate that
// comes or goes is "rotate", and so for dns.tls and api.tls.
func (c *Config) Changes(next *Config) (atRuntime, needsRestart []string) {
	running := func(name string, changed bool) {
		if changed {
			atRuntime = append(atRuntime, name)
		}
	}
	restart := func(name string, changed bool) {
		if changed {
			needsRestart = append(needsRestart, name)
		}
	}
	restart("data_dir", c.DataDir != next.DataDir)
	running("policy_dir", c.PolicyDir != next.PolicyDir)
	running("allow_env", c.AllowEnv != next.AllowEnv)
	restart("dns.listen", c.DNS.Listen != next.DNS.Listen)
	restart("dns.zones", !slices.Equal(c.DNS.Zones, next.DNS.Zones))
	restart("dns.zone", !slices.EqualFunc(c.DNS.Delegated, next.DNS.Delegated, func(a, b Zone) bool {
		return a.Name == b.Name && slices.Equal(a.Nameservers, b.Nameservers)
	}))
	restart("dns.tls", (c.DNS.TLS == nil) != (next.DNS.TLS == nil))
	if was, is := c.DNS.TLS, next.DNS.TLS; was != nil && is != nil {
		restart("dns.tls.listen", was.Listen != is.Listen)
		running("dns.tls.certificate_file", was.CertificateFile != is.CertificateFile)
		running("dns.tls.key_file", was.KeyFile != is.KeyFile)
	}
	restart("mdns.enabled", c.MDNS.Enabled != next.MDNS.Enabled)
	restart("mdns.interfaces", !slices.Equal(c.MDNS.Interfaces, next.MDNS.Interfaces))
	c.API.changes(next.API, func(name string, changed, atRuntime bool) {
		if atRuntime {
			running(name, changed)
		} else {
			restart(name, changed)
		}
	})
	restart("keyring.kek_file", c.Keyring.KEKFile != next.Keyring.KEKFile)
	restart("keyring.passphrase_file", c.Keyring.PassphraseFile != next.Keyring.PassphraseFile)
	running("rotate", (c.Rotate == nil) != (next.Rotate == nil))
	if was, is := c.Rotate, next.Rotate; was != nil && is != nil {
		running("rotate.suite", was.Suite != is.Suite)
		running("rotate.every", was.Every != is.Every)
		running("rotate.settle", was.Settle != is.Settle)
		running("rotate.grace", was.Grace != is.Grace)
	}
	c.signalingChanges(next, running, restart)
	c.Browsers.changes(next.Browsers, running, restart)
	running("log.level", c.Log.Level != next.Log.Level)
	running("log.format", c.Log.Format != next.Log.Format)
	return atRuntime, needsRestart
}

// Reloaded returns what is in use once all of next is that can be at run time: the rest is as in c. It
// shares nothing with either that could be changed.
func (c *Config) Reloaded(next *Config) *Config {
	out := *c
	out.DNS.Zones, out.MDNS.Interfaces = slices.Clone(c.DNS.Zones), slices.Clone(c.MDNS.Interfaces)
	out.DNS.Delegated = slices.Clone(c.DNS.Delegated)
	for i, z := range out.DNS.Delegated {
		out.DNS.Delegated[i].Nameservers = slices.Clone(z.Nameservers)
	}
	if was, is := c.DNS.TLS, next.DNS.TLS; was != nil {
		out.DNS.TLS = &TLS{was.Listen, was.CertificateFile, was.KeyFile}
		if is != nil {
			out.DNS.TLS.CertificateFile, out.DNS.TLS.KeyFile = is.CertificateFile, is.KeyFile
		}
	}
	out.PolicyDir, out.AllowEnv, out.Log = next.PolicyDir, next.AllowEnv, next.Log
	out.API = c.API.reloaded(next.API)
	out.Signaling = c.reloadedSignaling(next)
	out.Browsers = c.Browsers.reloaded(next.Browsers)
	out.Rotate = nil
	if next.Rotate != nil {
		rotate := *next.Rotate
		out.Rotate = &rotate
	}
	return &out
}
