package gateway

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/bounded"
)

const (
	maxGuarded   = 100_000
	guardExpires = 24 * time.Hour
)

// A guard holds the line where the draft does not: under its suites the ice-pwd is the IV, so that a
// second address under one ice-pwd gives both away (docs/names.md, SECURITY.md).
//
// It is bounded, but never forgets an ice-pwd that was used in the last 24 hours to make room for
// another: else whoever can fill it could have a second address encrypted.
type guard struct {
	now   func() time.Time
	mu    sync.Mutex
	table *bounded.Table[guardKey, guardEntry]
}

type guardKey struct {
	key cipher.KeyID
	iv  [16]byte // the first octets of the ice-pwd, which is all that the suites use of it
}

type guardEntry struct {
	addr netip.Addr
	// origin is the client's own name for the address, empty for a raw one: else whoever has seen
	// the ice-pwd could have a guessed address encrypted, and compare.
	origin string
}

func newGuard(size int, now func() time.Time) *guard {
	return &guard{now: now, table: bounded.New[guardKey, guardEntry](size, guardExpires)}
}

// admit returns why an address must not be encrypted under a key of the draft's suites and an
// ice-pwd, nothing if it may.
func (g *guard) admit(k *cipher.Key, pwd, origin string, addr netip.Addr) (wrong string) {
	key := guardKey{key: k.ID()}
	copy(key.iv[:], pwd)
	if k.Suite() == cipher.AESGCM {
		clear(key.iv[12:]) // of which GCM uses 12
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	first := g.table.Peek(key)
	switch {
	case first != nil && (first.addr != addr || first.origin != origin):
		return "its suite encrypts one address of an ice-pwd, and this is another"
	case first == nil && g.table.Full(now):
		return "its suite encrypts one address of an ice-pwd, and there is no room to remember another ice-pwd"
	case first == nil:
		g.table.Put(key, guardEntry{addr, strings.Clone(origin)}, now)
	default:
		g.table.Renew(key, now)
	}
	return ""
}
