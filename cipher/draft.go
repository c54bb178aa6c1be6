package cipher

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
)

// The suites of draft-wang-mmusic-encrypted-ice-candidates: an address as 16 octets, IPv4 embedded
// after RFC 6052, encrypted with the first octets of the session's ice-pwd as IV. The name does not
// carry the IV.
const (
	aesKeySize  = 16
	hmacKeySize = 32

	gcmIV, gcmOctets   = 12, 32
	hmacIV, hmacOctets = 16, 48
)

// nat64 is the well-known prefix of RFC 6052, section 2.1.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// A draftSealer encrypts the 16 octets of an embedded address under the first octets of an ice-pwd.
type draftSealer interface {
	ivSize() int
	seal(plain [16]byte, iv []byte) []byte
	open(ciphertext, iv []byte) (plain [16]byte, ok bool)
}

func sealDraft(d draftSealer, addr netip.Addr, pwd string) (n Name, err error) {
	plain := addr.As16()
	if addr.Is4() {
		a := addr.As4()
		plain = nat64.Addr().As16()
		copy(plain[12:], a[:])
	} else if nat64.Contains(addr) {
		return Name{}, fmt.Errorf("%w: it lies in %v, which this suite keeps for IPv4 addresses", ErrAddress, nat64)
	}
	n.n = uint8(copy(n.octets[:], d.seal(plain, []byte(pwd[:d.ivSize()]))))
	return n, nil
}

func openDraft(d draftSealer, n Name, pwd string) (netip.Addr, bool) {
	if len(pwd) < d.ivSize() {
		return netip.Addr{}, false
	}
	plain, ok := d.open(n.octets[:n.n], []byte(pwd[:d.ivSize()]))
	if !ok {
		return netip.Addr{}, false
	}
	addr := netip.AddrFrom16(plain)
	if nat64.Contains(addr) {
		return netip.AddrFrom4([4]byte(plain[12:])), true
	}
	return addr, !addr.Is4In6()
}

type gcmSealer struct{ aead cipher.AEAD }

func newGCMSealer(material []byte) gcmSealer {
	aead, err := cipher.NewGCM(newAES(material))
	if err != nil {
		panic(err) // only for block sizes other than that of AES
	}
	return gcmSealer{aead}
}

func (gcmSealer) ivSize() int { return gcmIV }

func (g gcmSealer) seal(plain [16]byte, iv []byte) []byte {
	return g.aead.Seal(nil, iv, plain[:], nil)
}

func (g gcmSealer) open(ciphertext, iv []byte) (plain [16]byte, ok bool) {
	_, err := g.aead.Open(plain[:0], iv, ciphertext, nil)
	return plain, err == nil
}

// An hmacSealer is encrypt-then-MAC: AES-128 in CTR or CBC mode over the one block of the address,
// then HMAC-SHA-256 over IV and ciphertext, uncut.
type hmacSealer struct {
	block cipher.Block
	cbc   bool
	mac   [hmacKeySize]byte
}

func newHMACSealer(suite Suite, material []byte) *hmacSealer {
	return &hmacSealer{newAES(material[:aesKeySize]), suite == AESCBCHMAC, [hmacKeySize]byte(material[aesKeySize:])}
}

func (*hmacSealer) ivSize() int { return hmacIV }

func (h *hmacSealer) seal(plain [16]byte, iv []byte) []byte {
	if h.cbc {
		cipher.NewCBCEncrypter(h.block, iv).CryptBlocks(plain[:], plain[:])
	} else {
		cipher.NewCTR(h.block, iv).XORKeyStream(plain[:], plain[:])
	}
	return append(plain[:], h.tag(iv, plain[:])...)
}

func (h *hmacSealer) open(ciphertext, iv []byte) (plain [16]byte, ok bool) {
	body, tag := ciphertext[:aes.BlockSize], ciphertext[aes.BlockSize:]
	if !hmac.Equal(h.tag(iv, body), tag) {
		return plain, false
	}
	if h.cbc {
		cipher.NewCBCDecrypter(h.block, iv).CryptBlocks(plain[:], body)
	} else {
		cipher.NewCTR(h.block, iv).XORKeyStream(plain[:], body)
	}
	return plain, true
}

func (h *hmacSealer) tag(iv, ciphertext []byte) []byte {
	m := hmac.New(sha256.New, h.mac[:])
	m.Write(iv)
	m.Write(ciphertext)
	return m.Sum(nil)
}
