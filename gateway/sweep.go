package gateway

import (
	"math/bits"
	"net/netip"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
)

// sweep takes concealed addresses out of whatever else a text holds: attributes that are not known,
// extensions, free text, and members that repeat parts of a candidate.
func (c *call) sweep(t *text) {
	if t.key == "foundation" {
		if f, ok := c.foundations[t.s]; ok {
			t.replace(sdp.Span{End: len(t.s)}, f)
			c.report.Redacted++
			return
		}
	}
	if len(c.concealed) == 0 {
		return
	}
	c.decided = c.decided.none(len(t.s))
	for _, kept := range t.keep {
		c.decided.add(kept)
	}
	for i := range t.edits {
		c.decided.add(t.edits[i].Span)
	}
	if t.desc != nil {
		for i := range t.desc.Candidates {
			c.decided.add(t.desc.Candidates[i].Host.Span)
		}
		for i := range t.desc.Fields {
			c.decided.add(t.desc.Fields[i].Host.Span)
		}
	}
	c.sweepUndecided(t)
}

// sweepUndecided finds concealed addresses anywhere but in spans that are decided, as in 10.0.0.1:5000, and written
// in whichever way (FD00::1, fd00:0::1). Each begins with a head, whose separator has another one after four
// digits at most.
func (c *call) sweepUndecided(t *text) {
	// 64 octets at a time, because all of the text goes through here, of which the last 8 are there to see what
	// comes after those before.
	const step = 56
	done := 0
	for at := 0; at < len(t.s); at += step {
		marks := separatorsFrom(t.s, at)
		after := marks >> 1      // those with another one as the next octet,
		near := after | after>>1 // or the one after that,
		near |= near>>2 | after>>maxHead
		for near &= marks << (64 - step) >> (64 - step); near != 0; near &= near - 1 {
			sep := at + bits.TrailingZeros64(near)
			if c.heads.mayEndAt(t.s, sep) && !c.decided.has(sep) {
				gap := c.decided.gap(sep, len(t.s))
				done = c.sweepAround(t, t.s[:gap.End], gap.Start, max(done, gap.Start), sep)
			}
		}
	}
}

// separatorsFrom is separators of what stands in s from an offset on, be it shorter than that.
func separatorsFrom(s string, at int) uint64 {
	if len(s)-at >= 64 {
		return separators(s[at : at+64])
	}
	var end [64]byte
	copy(end[:], s[at:])
	return separators(view(end[:]))
}

// sweepAround takes out the concealed address whose head has its separator at an offset, if there is one.
// None begins before done, to which it adds.
func (c *call) sweepAround(t *text, s string, start, done, sep int) int {
	first := sep
	for first > max(done, sep-maxHead) && hexDigits[s[first-1]] != noDigit {
		first--
	}
	for i := first; i <= sep; i++ {
		if i > start && isDigit(s[i-1]) { // in the midst of a number
			continue
		}
		if n, addr := c.concealedAt(s[i:]); n > 0 {
			t.replace(sdp.Span{Start: i, End: i + n}, nowhere(sdp.Host{Addr: addr}))
			c.report.Redacted++
			return i + n
		}
	}
	return done
}

// longestAddr is the longest way to write an address.
const longestAddr = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"

// concealedAt returns the length of the longest concealed address that s begins with, 0 if it begins with
// none.
func (c *call) concealedAt(s string) (n int, addr netip.Addr) {
	if !c.heads.all[headOf(s)] || s[0] == ':' && !strings.HasPrefix(s, "::") {
		return 0, netip.Addr{}
	}
	dots, colons, short := 0, 0, false
	for i := 0; i <= len(longestAddr); i++ {
		ends := i == len(s) || !isAddressChar(s[i])
		// What goes on with another digit is another address. Only what has as many numbers as an address is
		// parsed, because what fails to parse costs an allocation.
		if v4 := dots == 3 && colons == 0; ends || s[i] == '.' || s[i] == ':' || v4 && !isDigit(s[i]) {
			if v4 || dots%3 == 0 && (colons == 7-dots/3 || short) {
				if a, err := netip.ParseAddr(s[:i]); err == nil && c.concealed[a.Unmap()] {
					n, addr = i, a
				}
			}
		}
		switch {
		case ends:
			return n, addr
		case s[i] == '.':
			dots++
		case s[i] == ':':
			colons++
			if i > 0 && s[i-1] == ':' {
				if short { // nothing that begins like this is an address
					return n, addr
				}
				short = true
			}
		}
		if dots > 3 || colons > 8 {
			break
		}
	}
	return n, addr
}

// A head is the first number of an address, whose digits are read as hexadecimal, and the character
// after it. Most that look like one, as in a=fingerprint, are not that of a concealed address.
type head struct {
	n   uint32
	sep byte
}

// maxHead is how many digits the number of a head has at most.
const maxHead = len("ffff")

// heads are those of the concealed addresses.
type heads struct {
	all map[head]bool
	// last is a sieve, by the last octet of the number; the second half is for ':'. Most separators are no
	// head's, and most of these fail here.
	last [2][256]bool
}

func (h *heads) add(head head) {
	h.all[head] = true
	h.last[isColon(head.sep)][byte(head.n)] = true
}

func (h *heads) reset() {
	clear(h.all)
	*h = heads{all: h.all}
}

// mayEndAt reports whether a head may stand in s whose separator is at an offset.
func (h *heads) mayEndAt(s string, sep int) bool {
	last := &h.last[isColon(s[sep])]
	if s[sep] == ':' && sep+1 < len(s) && s[sep+1] == ':' && last[0] {
		return true
	}
	if sep == 0 {
		return false
	}
	one := hexDigits[s[sep-1]]
	if one == noDigit {
		return false
	}
	if last[one] {
		return true
	}
	return sep > 1 && hexDigits[s[sep-2]] != noDigit && last[hexDigits[s[sep-2]]<<4|one]
}

// isColon returns 1 for ':' and 0 for '.', without a branch.
func isColon(sep byte) int { return int(sep >> 4 & 1) }

func headOf(run string) (h head) {
	for _, b := range []byte(run[:min(len(run), maxHead+1)]) {
		switch digit := hexDigits[b]; {
		case b == '.' || b == ':':
			h.sep = b
			return h
		case digit == noDigit:
			return head{}
		default:
			h.n = h.n<<4 | uint32(digit)
		}
	}
	return h
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isAddressChar(b byte) bool { return hexDigits[b] != noDigit || b == '.' || b == ':' }

// hexDigits holds the value of each hexadecimal digit in either letter case, and noDigit for everything else.
var hexDigits = func() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	for i := range byte(16) {
		t["0123456789abcdef"[i]], t["0123456789ABCDEF"[i]] = i, i
	}
	return t
}()

const noDigit = 0xff
