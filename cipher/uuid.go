package cipher

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"sync"
)

// The suite aes-uuid.
//
// IPv4 is encode-then-encipher: address (4) | salt (6) | zero (6) in one block of AES-256, the salt
// counted up until the block happens to be a valid version 4 UUID. The six zero octets authenticate.
//
// IPv6 is SIV: S (5) from the IV, T (8) a CMAC over S and the address, C the address under a key
// stream block made of S and T.
const (
	v4Octets = 16
	v6Octets = 29

	saltAt, saltSize = 4, 6
	zeroAt           = saltAt + saltSize

	sSize, tSize = 5, 8
)

type uuidSealer struct {
	ipv4, enc cipher.Block
	mac       *cmac
	iv        macPool
	scratch   sync.Pool
}

// sealScratch is memory for making a name, kept for the same reason as that of an [Opener].
type sealScratch struct {
	Opener
	tries [16][aes.BlockSize]byte
}

func newUUIDSealer(material []byte) *uuidSealer {
	u := &uuidSealer{
		ipv4: newAES(derive(material, "candgw/v1 ipv4")),
		enc:  newAES(derive(material, "candgw/v1 ipv6 enc")),
		mac:  newCMAC(newAES(derive(material, "candgw/v1 ipv6 mac"))),
	}
	u.iv.init(derive(material, "candgw/v1 iv"))
	u.scratch.New = func() any { return new(sealScratch) }
	return u
}

func newAES(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for key lengths that are never passed here
	}
	return b
}

func (u *uuidSealer) seal(addr netip.Addr, pwd string, origin []byte) Name {
	m := u.iv.get()
	iv := m.field(pwd).write(origin).sum()
	s := u.scratch.Get().(*sealScratch)
	var n Name
	if addr.Is4() {
		n = u.seal4(s, addr, iv[:saltSize])
	} else {
		n = u.seal6(&s.Opener, addr, iv[:sSize])
	}
	u.scratch.Put(s)
	u.iv.put(m)
	return n
}

// seal4 prepares the tries a batch at a time: a block that was written a moment ago in parts cannot
// yet be loaded whole, and waiting for that costs half as much as the AES block itself.
func (u *uuidSealer) seal4(s *sealScratch, addr netip.Addr, salt []byte) (n Name) {
	var plain [aes.BlockSize]byte
	a := addr.As4()
	copy(plain[:], a[:])
	copy(plain[saltAt:], salt)
	// The salt is the upper six octets of this word, so adding 1<<16 counts it modulo 2^48.
	word := binary.BigEndian.Uint64(plain[saltAt:])
	for {
		for i := range s.tries {
			s.tries[i] = plain
			binary.BigEndian.PutUint64(s.tries[i][saltAt:], word)
			word += 1 << 16
		}
		for i := range s.tries {
			c := &s.tries[i]
			u.ipv4.Encrypt(c[:], c[:])
			if isUUIDv4(c[6], c[8]) {
				n.n = v4Octets
				copy(n.octets[:], c[:])
				return n
			}
		}
	}
}

func (u *uuidSealer) seal6(o *Opener, addr netip.Addr, iv []byte) (n Name) {
	a := addr.As16()
	n.n = v6Octets
	copy(n.octets[:], iv)
	u.tag6(o, iv, &a)
	copy(n.octets[sSize:], o.tag[:tSize])
	u.stream6(o, n.octets[:sSize+tSize])
	subtle.XORBytes(n.octets[sSize+tSize:], a[:], o.block[:])
	return n
}

// tag6 computes T into o.tag: AES-CMAC over a header that holds S, and the address.
func (u *uuidSealer) tag6(o *Opener, siv []byte, addr *[16]byte) {
	const b0 = "candgw\x00\x01\x00\x00\x00"
	copy(o.msg[:], b0)
	copy(o.msg[len(b0):], siv)
	copy(o.msg[aes.BlockSize:], addr[:])
	u.mac.sum(&o.tag, o.msg[:])
}

// stream6 computes the key stream of S | T into o.block.
func (u *uuidSealer) stream6(o *Opener, st []byte) {
	clear(o.block[copy(o.block[:], st):])
	u.enc.Encrypt(o.block[:], o.block[:])
}

func (u *uuidSealer) open4(o *Opener) (netip.Addr, bool) {
	u.ipv4.Decrypt(o.block[:], o.name.octets[:v4Octets])
	// One comparison of all six octets: its time does not tell how many of them were right.
	if binary.BigEndian.Uint64(o.block[zeroAt-2:])<<16 != 0 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(o.block[:saltAt])), true
}

func (u *uuidSealer) open6(o *Opener) (netip.Addr, bool) {
	var a [16]byte
	st, c := o.name.octets[:sSize+tSize], o.name.octets[sSize+tSize:v6Octets]
	u.stream6(o, st)
	subtle.XORBytes(a[:], c, o.block[:])
	u.tag6(o, st[:sSize], &a)
	if subtle.ConstantTimeCompare(o.tag[:tSize], st[sSize:]) != 1 {
		return netip.Addr{}, false
	}
	addr := netip.AddrFrom16(a)
	return addr, !addr.Is4In6()
}

// isUUIDv4 looks at the two octets that hold version and variant: RFC 9562, sections 4.1 and 5.4.
func isUUIDv4(version, variant byte) bool { return version>>4 == 4 && variant>>6 == 2 }
