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
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return false
		}
		// Stored as words: 16 octets stored one by one are slow to load as a block right after.
		hi, bad := unhex16(load8(s), load4(s[9:])|load4(s[14:])<<32)
		lo, b := unhex16(load4(s[19:])|load4(s[24:])<<32, load8(s[28:]))
		bad |= b
		binary.LittleEndian.PutUint64(n.octets[0:], hi)
		binary.LittleEndian.PutUint64(n.octets[8:], lo)
		if len(s) == 36 {
			n.n = v4Octets
			return bad == 0 && isUUIDv4(byte(hi>>48), byte(lo))
		}
		n.n = v6Octets
		return bad|unhex(n.octets[v4Octets:v6Octets], s[36:]) == 0
	case 65, 98:
		n.n = 0
		for at := 0; at < len(s); at += 33 {
			if at > 0 && s[at-1] != '.' || unhex(n.octets[n.n:n.n+16], s[at:at+32]) != 0 {
				return false
			}
			n.n += 16
		}
		return true
	}
	return false
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

// unhex decodes s, which has at least 16 digits, into dst, which is half as long. The result is not 0
// if a character was no hexadecimal digit: one test at the end is cheaper than one a character.
func unhex[T string | []byte](dst []byte, s T) (bad uint64) {
	for {
		v, b := unhex16(load8(s), load8(s[8:]))
		binary.LittleEndian.PutUint64(dst, v)
		bad |= b
		if len(s) == 16 {
			return bad
		}
		// Where 16 does not divide the length, the last step decodes some digits for the second time.
		step := min(16, len(s)-16)
		dst, s = dst[step/2:], s[step:]
	}
}

// unhex16 decodes the 8 characters of x and then those of y, the first of each in its lowest octet, to
// 8 octets in the same order, all at once: each octet of the words below is about one character, and
// no sum carries into the next.
func unhex16(x, y uint64) (v, bad uint64) {
	const ones = 0x0101010101010101
	xLow, yLow := x&(ones*0x0f), y&(ones*0x0f)
	xLetter, yLetter := x>>6&ones, y>>6&ones // '@' and above
	xDigit, yDigit := xLetter^ones, yLetter^ones

	// The wrong row of the table of ASCII; a control character; over '9' or 'f'; '@' and '`'.
	bad = x&(ones*0xd0) ^ (xDigit<<4 | xLetter<<6) | xDigit<<5&^x |
		(xLow+ones*6+xLetter*3)&(ones*0x10) | xLetter&^((xLow+ones*0x0f)>>4)
	bad |= y&(ones*0xd0) ^ (yDigit<<4 | yLetter<<6) | yDigit<<5&^y |
		(yLow+ones*6+yLetter*3)&(ones*0x10) | yLetter&^((yLow+ones*0x0f)>>4)

	return pack(xLow+xLetter*9) | pack(yLow+yLetter*9)<<32, bad
}

// pack makes 4 octets of 8 nibbles that have an octet each.
func pack(v uint64) uint64 {
	v = (v<<4 | v>>8) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return (v | v>>16) & 0xffffffff
}

func load8[T string | []byte](s T) uint64 { return load4(s) | load4(s[4:])<<32 }

func load4[T string | []byte](s T) uint64 {
	_ = s[3]
	return uint64(uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24)
}
