package cipher

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// ErrNotAName says that a text has not the form of an encrypted name. It is the common case of a
// lookup that is none of ours, and so carries nothing.
var ErrNotAName = errors.New("not the form of an encrypted name")

// A Name is the octets of an encrypted name. The zero Name is no name. Names compare with ==.
type Name struct {
	octets [hmacOctets]byte
	n      uint8
}

// MaxNameText is the length of the longest text of a name: three labels of 32 digits.
const MaxNameText = 3*32 + 2

// ParseName reads the labels of a name, without the suffix (".local") and without a final dot, in
// either letter case. It takes exactly the forms that [Name.AppendText] writes; the error is
// [ErrNotAName].
//
//	8-4-4-4-12     aes-uuid, IPv4: a version 4 UUID
//	8-4-4-4-38     aes-uuid, IPv6: one label of 62 characters
//	32.32          aes-gcm
//	32.32.32       aes-ctr-hmac and aes-cbc-hmac
func ParseName[T string | []byte](s T) (Name, error) {
	var n Name
	if !parseName(&n, s) {
		return Name{}, ErrNotAName
	}
	return n, nil
}

// parseName reads s into n, which it leaves half written where it returns false.
func parseName[T string | []byte](n *Name, s T) bool {
	switch len(s) {
	case 36, 62:
		// The first 36 characters of both are grouped alike.
		var head [36]byte
		copy(head[:], s)
		if !n.parseUUID(&head) {
			return false
		}
		if len(s) == 62 {
			n.n = v6Octets
			return unhex(n.octets[v4Octets:v6Octets], s[36:])
		}
		n.n = v4Octets
		return isUUIDv4(n.octets[6], n.octets[8])
	case 65, 98:
		n.n = 0
		for at := 0; at < len(s); at += 33 {
			if at > 0 && s[at-1] != '.' || !unhex(n.octets[n.n:n.n+16], s[at:at+32]) {
				return false
			}
			n.n += 16
		}
		return true
	}
	return false
}

// parseUUID reads the 32 digits of a UUID. This is most of what a lookup costs besides the block of AES,
// so it is written out: no loop, no bounds to check, and 8 octets stored at once, because octets that
// are stored one by one are slow to load as a block right after.
func (n *Name) parseUUID(s *[36]byte) bool {
	a, b, c, d := pair(s[0], s[1]), pair(s[2], s[3]), pair(s[4], s[5]), pair(s[6], s[7])
	e, f, g, h := pair(s[9], s[10]), pair(s[11], s[12]), pair(s[14], s[15]), pair(s[16], s[17])
	bad := a | b | c | d | e | f | g | h
	binary.LittleEndian.PutUint64(n.octets[0:8], a|b<<8|c<<16|d<<24|e<<32|f<<40|g<<48|h<<56)

	a, b, c, d = pair(s[19], s[20]), pair(s[21], s[22]), pair(s[24], s[25]), pair(s[26], s[27])
	e, f, g, h = pair(s[28], s[29]), pair(s[30], s[31]), pair(s[32], s[33]), pair(s[34], s[35])
	bad |= a | b | c | d | e | f | g | h
	binary.LittleEndian.PutUint64(n.octets[8:16], a|b<<8|c<<16|d<<24|e<<32|f<<40|g<<48|h<<56)
	return bad <= 0xff && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

// AppendText appends the labels of the name, in lower case, without a suffix.
func (n Name) AppendText(dst []byte) []byte {
	switch n.n {
	case v4Octets, v6Octets:
		at := 0
		for _, end := range [...]int{4, 6, 8, 10} {
			dst = append(hex.AppendEncode(dst, n.octets[at:end]), '-')
			at = end
		}
		return hex.AppendEncode(dst, n.octets[at:n.n])
	}
	for at := 0; at < int(n.n); at += 16 {
		if at > 0 {
			dst = append(dst, '.')
		}
		dst = hex.AppendEncode(dst, n.octets[at:at+16])
	}
	return dst
}

// String returns the labels of the name, in lower case, without a suffix.
func (n Name) String() string { return string(n.AppendText(nil)) }

// unhex decodes s, which is twice as long as dst.
func unhex[T string | []byte](dst []byte, s T) bool {
	var bad uint64
	for i := range dst {
		octet := pair(s[2*i], s[2*i+1])
		bad |= octet
		dst[i] = byte(octet)
	}
	return bad <= 0xff
}

// pair returns the octet of two hexadecimal digits, or a number over 0xff if one of them is none. That
// is tested once at the end: a test a digit costs more than the digits.
func pair(hi, lo byte) uint64 { return uint64(digits[hi])<<4 | uint64(digits[lo]) }

// digits holds the value of each hexadecimal digit, and 0x100 for everything else.
var digits = func() (t [256]uint16) {
	for i := range t {
		t[i] = 0x100
	}
	for i, c := range "0123456789abcdef" {
		t[c] = uint16(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = uint16(10 + i)
	}
	return t
}()
