package cipher

import (
	"crypto/aes"
	"net/netip"
)

// An Opener reads a name once and tries keys on it, in memory of its own: it allocates nothing. The
// zero Opener is ready for [ReadName]. Unlike the rest of the package it serves one goroutine at
// a time.
type Opener struct {
	name Name

	// What passes through the cipher.Block interface would escape if it stood on the stack.
	block [aes.BlockSize]byte
	tag   [aes.BlockSize]byte
	msg   [2 * aes.BlockSize]byte
}

// ReadName makes o ready to open the name that [ParseName] would return. After false, which says
// that s is no name, o opens nothing.
func ReadName[T string | []byte](o *Opener, s T) bool {
	if !parseName(&o.name, s) {
		o.name.n = 0
		return false
	}
	return true
}

// Name returns the name that o was given last; it equals what [ParseName] returns.
func (o *Opener) Name() Name {
	n := o.name
	clear(n.octets[n.n:]) // a longer name that was read before it
	return n
}

// Open tries k on the name; it returns what [Key.Open] does.
func (o *Opener) Open(k *Key, pwd string) (netip.Addr, error) {
	var addr netip.Addr
	var ok bool
	p := k.secret.Load()
	switch {
	case p.uuid != nil && o.name.n == v4Octets:
		addr, ok = p.uuid.open4(o)
	case p.uuid != nil && o.name.n == v6Octets:
		addr, ok = p.uuid.open6(o)
	case p.draft == nil || int(o.name.n) != k.suite.nameOctets():
	case pwd == "":
		return netip.Addr{}, ErrPasswordNeeded
	default:
		addr, ok = openDraft(p.draft, o.name, pwd)
	}
	if !ok {
		return netip.Addr{}, ErrNotOpened
	}
	return addr, nil
}
