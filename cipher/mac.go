package cipher

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
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

type mac struct {
	hash hash.Hash
	buf  [512]byte // on the heap already, so what goes through the interface need not escape
	out  [sha256.Size]byte
}

// field adds the length of s as 2 octets, big-endian, and s, which is an ice-pwd or a foundation and
// so never longer than the buffer.
func (m *mac) field(s string) *mac {
	m.hash.Write(append(binary.BigEndian.AppendUint16(m.buf[:0], uint16(len(s))), s...))
	return m
}

func (m *mac) write(p []byte) *mac {
	for len(p) > 0 {
		n := copy(m.buf[:], p)
		m.hash.Write(m.buf[:n])
		p = p[n:]
	}
	return m
}

// sum returns the MAC; it is good until the mac is put back.
func (m *mac) sum() *[sha256.Size]byte {
	m.hash.Sum(m.out[:0])
	return &m.out
}
