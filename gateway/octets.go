package gateway

import (
	"math/bits"

	"github.com/candgw/candgw/internal/sdp"
)

// octets is a set of octets of a text: a bit for each, 64 in a word.
type octets []uint64

// none returns the empty set of octets of a text of n, in the memory of an old one.
func (o octets) none(n int) octets {
	words := n/64 + 1
	if cap(o) < words {
		return make(octets, words)
	}
	o = o[:words]
	clear(o)
	return o
}

func (o octets) add(s sdp.Span) {
	for at := s.Start; at < s.End; {
		word, first := at/64, at%64
		n := min(64-first, s.End-at)
		o[word] |= ^uint64(0) >> (64 - n) << first
		at += n
	}
}

func (o octets) has(at int) bool { return o[at/64]>>(at%64)&1 != 0 }

// gap returns the longest span around an octet that is not in the set, of those up to end, that has none in it.
func (o octets) gap(at, end int) (gap sdp.Span) {
	gap = sdp.Span{Start: 0, End: end}
	for word, below := at/64, o[at/64]&(1<<(at%64)-1); ; below = o[word] {
		if below != 0 {
			gap.Start = word*64 + bits.Len64(below)
			break
		}
		if word--; word < 0 {
			break
		}
	}
	for word, above := at/64, o[at/64]>>(at%64)<<(at%64); ; above = o[word] {
		if above != 0 {
			gap.End = min(end, word*64+bits.TrailingZeros64(above))
			break
		}
		if word++; word == len(o) {
			break
		}
	}
	return gap
}

// separators has a bit for each of the 64 octets of s that is '.' or ':', or '*' or '>', which are the same but for
// the bits in which those two differ; and now and then for one that follows such an octet.
func separators(s string) uint64 {
	s = s[:64]
	m := &separatorMasks
	return m.of(s)>>56 | m.of(s[8:])>>56<<8 | m.of(s[16:])>>56<<16 | m.of(s[24:])>>56<<24 |
		m.of(s[32:])>>56<<32 | m.of(s[40:])>>56<<40 | m.of(s[48:])>>56<<48 | m.of(s[56:])>>56<<56
}

// of returns the bits of the 8 octets that s begins with, as the highest of a word.
func (m *masks) of(s string) uint64 {
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	x = (x | m.differ) ^ m.same // 0 where one of them is
	return (x - m.one) &^ x & m.high * m.gather
}

type masks struct{ differ, same, one, high, gather uint64 }

// separatorMasks are constants that separators needs for each word. As variables they stay in registers.
var separatorMasks = masks{
	differ: ('.' ^ ':') * each,
	same:   ('.' | ':') * each,
	one:    each,
	high:   0x80 * each,
	gather: 0x0002040810204081, // moves the highest bits of 8 octets into the last of them, one beside the other
}

const each = 0x0101010101010101 // of the octets of a word
