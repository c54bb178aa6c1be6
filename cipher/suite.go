// Package cipher turns a host address into a name and back, under one key.
//
// It holds the four suites that candgw speaks and the two ways to write what they produce: a name
// that a resolver can be asked for, and the candidate extension of
// draft-wang-mmusic-encrypted-ice-candidates. It keeps no state and does no I/O; docs/names.md gives
// the formats octet by octet.
//
// Everything exported but [Opener] is safe for concurrent use.
package cipher

import (
	"errors"
	"fmt"
	"strings"
)

// A Suite is one way to encrypt an address. A key belongs to one suite for life.
type Suite uint8

const (
	// AESUUID is the default: names shaped like the UUIDs that browsers make themselves. They hold
	// all that is needed to open them but the key.
	AESUUID Suite = iota + 1
	// AESGCM is the draft's AES-GCM; opening needs the session's ice-pwd.
	AESGCM
	// AESCTRHMAC is the draft's AES-128-CTR with HMAC-SHA-256; opening needs the session's ice-pwd.
	AESCTRHMAC
	// AESCBCHMAC is the draft's AES-128-CBC with HMAC-SHA-256; opening needs the session's ice-pwd.
	AESCBCHMAC
)

var suiteNames = [...]string{AESUUID: "aes-uuid", AESGCM: "aes-gcm", AESCTRHMAC: "aes-ctr-hmac", AESCBCHMAC: "aes-cbc-hmac"}

// Suites returns every suite, the default first.
func Suites() []Suite { return []Suite{AESUUID, AESGCM, AESCTRHMAC, AESCBCHMAC} }

// ErrUnknownSuite says that a text names no suite.
var ErrUnknownSuite = errors.New("unknown suite")

// ParseSuite returns the suite of that name, whatever its letter case.
func ParseSuite(name string) (Suite, error) {
	for _, s := range Suites() {
		if strings.EqualFold(name, suiteNames[s]) {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%w %q: use %s", ErrUnknownSuite, name, strings.Join(suiteNames[1:], ", "))
}

// String returns the suite's name as it is written in key rings, policies and candidates.
func (s Suite) String() string {
	if s.valid() {
		return suiteNames[s]
	}
	return fmt.Sprintf("Suite(%d)", uint8(s))
}

// MarshalText returns the suite's name.
func (s Suite) MarshalText() ([]byte, error) {
	if !s.valid() {
		return nil, ErrUnknownSuite
	}
	return []byte(suiteNames[s]), nil
}

// UnmarshalText is [ParseSuite].
func (s *Suite) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSuite(string(text))
	return err
}

// NeedsPassword reports whether a name of the suite opens only with the ice-pwd it was made with.
func (s Suite) NeedsPassword() bool { return s != AESUUID }

func (s Suite) valid() bool { return s >= AESUUID && int(s) < len(suiteNames) }

// keySizes returns the lengths in octets that a key of the suite may have; new keys get the last.
func (s Suite) keySizes() []int {
	switch s {
	case AESUUID:
		return []int{32}
	case AESGCM:
		return []int{16, 32}
	default:
		return []int{aesKeySize + hmacKeySize}
	}
}
