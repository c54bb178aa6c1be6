package cipher

import (
	"crypto/aes"
	"encoding/hex"
	"sync"
)

// Foundation replaces a candidate's foundation, which may be computed from the address, by one that
// tells nothing of it: AES-CMAC under a key of its own over pwd, the old foundation and origin, the
// first 8 octets as hexadecimal digits. What it promises rests on origin as in [Key.Encrypt].
func (k *Key) Foundation(pwd string, origin []byte, foundation string) string {
	return string(k.AppendFoundation(nil, pwd, origin, foundation))
}

// AppendFoundation appends what [Key.Foundation] returns, 16 octets. It allocates nothing where dst has room.
func (k *Key) AppendFoundation(dst []byte, pwd string, origin []byte, foundation string) []byte {
	return k.secret.Load().foundation.append(dst, pwd, origin, foundation)
}

// A foundationMAC makes foundations of one key.
type foundationMAC struct {
	cmac    *cmac
	scratch sync.Pool // of *foundationScratch
}

// foundationScratch is memory for making one, kept for the same reason as that of an [Opener].
type foundationScratch struct {
	msg []byte
	tag [aes.BlockSize]byte
}

func newFoundationMAC(material []byte) *foundationMAC {
	m := &foundationMAC{cmac: newCMAC(newAES(derive(material, "candgw/v1 foundation cmac")))}
	m.scratch.New = func() any { return new(foundationScratch) }
	return m
}

func (m *foundationMAC) append(dst []byte, pwd string, origin []byte, foundation string) []byte {
	s := m.scratch.Get().(*foundationScratch)
	s.msg = append(appendField(appendField(s.msg[:0], pwd), foundation), origin...)
	m.cmac.sum(&s.tag, s.msg)
	dst = hex.AppendEncode(dst, s.tag[:8])
	m.scratch.Put(s)
	return dst
}

// appendField appends the length of s as 2 octets, big-endian, and s.
func appendField(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s)>>8), byte(len(s))), s...)
}
