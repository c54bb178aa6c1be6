// Package config reads the configuration file of candgw serve, candgw.hcl.
//
// The file says where things are and when, never a secret: keys, passphrases and tokens stand in files
// that it names. docs/config.md has the reference.
package config

import (
	"log/slog"
	"time"

	"github.com/candgw/candgw/cipher"
)

// A Config is what a configuration file says, with [Defaults] where it says nothing. Nobody may change
// one that others use.
type Config struct {
	// DataDir is the folder of the key ring. "" is unset: the caller has a default of its own.
	DataDir string
	// PolicyDir is a file or a folder of policies. "" is unset: those that are built in.
	PolicyDir string
	// AllowEnv lets policies read the environment.
	AllowEnv bool

	DNS     DNS
	MDNS    MDNS
	API     API
	Keyring Keyring
	// Rotate is nil if keys are not rotated by the clock.
	Rotate *Rotate
	// Signaling are the proxies, as many as there are blocks.
	Signaling []Signaling
	// Browsers is nil if browser extensions are not answered.
	Browsers *Browsers
	Log      Log
}

// DNS is the block dns.
type DNS struct {
	// Listen is host and port, for UDP and TCP. The host is an IP address, a name, or "" for every
	// address; port 0 is any that is free.
	Listen string
	// Zones are what names stand under and other servers forward, as written.
	Zones []string
	// Delegated are the zones that have name servers. No zone is there twice, in Zones or here, and there is
	// at least one.
	Delegated []Zone
	// TLS is nil without DNS over TLS.
	TLS *TLS
}

// Zone is a block zone in the block dns.
type Zone struct {
	Name string
	// Nameservers are names of hosts, which are in no zone of [DNS]; there is at least one.
	Nameservers []string
}

// TLS is the block tls in the block dns.
type TLS struct {
	// Listen is host and port, as for [DNS].
	Listen string
	// CertificateFile and KeyFile name files in PEM: the certificate with those that lead up to the root, and
	// its private key.
	CertificateFile, KeyFile string
}

// MDNS is the block mdns.
type MDNS struct {
	// Enabled is false too where a file lists no interface: interfaces = [].
	Enabled bool
	// Interfaces are names of interfaces. It is nil for all of them, never empty, and nil unless Enabled.
	Interfaces []string
}

// Keyring is the block keyring. At most one of its files is set.
type Keyring struct {
	// KEKFile names the file of the key-encryption key. "" is unset: the caller has a default of its own.
	KEKFile string
	// PassphraseFile names the file of the passphrase that the key-encryption key is made of. "" is unset.
	PassphraseFile string
}

// Rotate is the block rotate: keys are changed by the clock. 0 <= Settle < Every, and Settle <= Grace.
type Rotate struct {
	// Suite is the suite whose keys are changed, 0 for every one that has an active key.
	Suite cipher.Suite
	// Every is the time from one rotation to the next, at least a minute.
	Every time.Duration
	// Settle is how long a new key waits for other nodes to load it before it encrypts.
	Settle time.Duration
	// Grace is how long the key before still opens names.
	Grace time.Duration
}

// Log is the block log.
type Log struct {
	Level slog.Level
	// Format is [Text] or [JSON].
	Format string
}

// The formats of a log.
const (
	Text = "text"
	JSON = "json"
)

const (
	defaultDNS, defaultAPI = "127.0.0.1:5354", "127.0.0.1:8480"

	defaultEvery, defaultSettle, defaultGrace = 24 * time.Hour, time.Minute, 48 * time.Hour

	minEvery = time.Minute
	// longest is a year: whoever writes more has mistaken the unit.
	longest = 8760 * time.Hour
)

// Defaults returns what holds where a file says nothing.
func Defaults() *Config {
	return &Config{
		DNS:  DNS{Listen: defaultDNS, Zones: []string{"local"}},
		MDNS: MDNS{Enabled: true},
		API:  API{Listen: defaultAPI},
		Log:  Log{Level: slog.LevelInfo, Format: Text},
	}
}

// defaultRotate returns what holds in a block rotate that says nothing.
func defaultRotate() *Rotate {
	return &Rotate{Every: defaultEvery, Settle: defaultSettle, Grace: defaultGrace}
}
