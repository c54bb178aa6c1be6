package cipher

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// A cmac is AES-CMAC (RFC 4493, NIST SP 800-38B), which neither the standard library nor x/crypto
// exports.
type cmac struct {
	block  cipher.Block
	k1, k2 [aes.BlockSize]byte
}

func newCMAC(block cipher.Block) *cmac {
	m := &cmac{block: block}
	var l [aes.BlockSize]byte
	block.Encrypt(l[:], l[:])
	m.k1 = double(l)
	m.k2 = double(m.k1)
	return m
}

// double multiplies by x in GF(2^128), in constant time: RFC 4493, section 2.3.
func double(in [aes.BlockSize]byte) (out [aes.BlockSize]byte) {
	var carry byte
	for i := len(in) - 1; i >= 0; i-- {
		out[i] = in[i]<<1 | carry
		carry = in[i] >> 7
	}
	out[len(out)-1] ^= 0x87 & -carry
	return out
}

// sum writes the MAC of msg into x: RFC 4493, section 2.4.
func (m *cmac) sum(x *[aes.BlockSize]byte, msg []byte) {
	clear(x[:])
	for len(msg) > aes.BlockSize {
		subtle.XORBytes(x[:], x[:], msg[:aes.BlockSize])
		m.block.Encrypt(x[:], x[:])
		msg = msg[aes.BlockSize:]
	}
	if len(msg) == aes.BlockSize {
		subtle.XORBytes(x[:], x[:], m.k1[:])
	} else {
		subtle.XORBytes(x[:], x[:], m.k2[:])
		x[len(msg)] ^= 0x80
	}
	subtle.XORBytes(x[:], x[:], msg)
	m.block.Encrypt(x[:], x[:])
}
