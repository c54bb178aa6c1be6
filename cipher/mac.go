package cipher

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// A macPool computes HMAC-SHA-256 under one key without allocating: a hash keeps its keyed state, so
// reusing it also saves half the work.
type macPool struct{ pool sync.Pool }

func (p *macPool) init(key []byte) {
	p.pool.New = func() any { return &mac{hash: hmac.New(sha256.New, key)} }
}

func (p *macPool) get() *mac { return p.pool.Get().(*mac) }

func (p *macPool) put(m *mac) {
	m.hash.Reset()
	p.pool.Put(m)
}

// A mac gathers what it is computed over, because most of that is short and each Write has its cost.
type mac struct {
	hash hash.Hash
	n    int       // octets in buf that are not written yet
	buf  [512]byte // on the heap already, so what goes through the interface need not escape
	out  [sha256.Size]byte
}

// field adds the length of s as 2 octets, big-endian, and s, which is an ice-pwd.
func (m *mac) field(s string) *mac {
	length := [2]byte{byte(len(s) >> 8), byte(len(s))}
	gather(m, length[:])
	gather(m, s)
	return m
}

func (m *mac) write(p []byte) *mac {
	gather(m, p)
	return m
}

func gather[T string | []byte](m *mac, p T) {
	for {
		n := copy(m.buf[m.n:], p)
		m.n += n
		if p = p[n:]; len(p) == 0 {
			return
		}
		m.flush()
	}
}

func (m *mac) flush() {
	m.hash.Write(m.buf[:m.n])
	m.n = 0
}

// sum returns the MAC; it is good until the mac is put back.
func (m *mac) sum() *[sha256.Size]byte {
	m.flush()
	m.hash.Sum(m.out[:0])
	return &m.out
}
