package gateway

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
)

// sweep takes concealed addresses out of whatever else a text holds: attributes that are not known,
// extensions, free text, and members that repeat parts of a candidate.
func (c *call) sweep(t *text) {
	if f := c.foundations[t.s]; t.key == "foundation" && f != "" {
		t.replace(sdp.Span{End: len(t.s)}, f)
		c.report.Redacted++
		return
	}
	if len(c.concealed) == 0 {
		return
	}
	decided := t.keep
	for _, e := range t.edits {
		decided = append(decided, e.Span)
	}
	if t.desc != nil {
		for i := range t.desc.Candidates {
			decided = append(decided, t.desc.Candidates[i].Host.Span)
		}
		for i := range t.desc.Fields {
			decided = append(decided, t.desc.Fields[i].Host.Span)
		}
	}
	slices.SortFunc(decided, func(a, b sdp.Span) int { return a.Start - b.Start })
	at := 0
	for _, d := range append(decided, sdp.Span{Start: len(t.s), End: len(t.s)}) {
		c.sweepSpan(t, at, d.Start)
		at = max(at, d.End)
	}
}

// sweepSpan looks at each run of the characters that an address is written with. Addresses may stand
// anywhere in a run (10.0.0.1:5000) and be written in several ways (FD00::1, fd00:0::1).
func (c *call) sweepSpan(t *text, at, end int) {
	for at < end {
		if !isAddressChar(t.s[at]) {
			at++
			continue
		}
		run := at
		for at < end && isAddressChar(t.s[at]) {
			at++
		}
		if s := t.s[run:at]; strings.Count(s, ".") < 3 && strings.Count(s, ":") < 2 {
			continue
		}
		for i := run; i < at; {
			n, addr := c.concealedAt(t.s[i:at])
			if n == 0 || i > run && isDigit(t.s[i-1]) { // in the midst of a number
				i++
				continue
			}
			t.replace(sdp.Span{Start: i, End: i + n}, nowhere(sdp.Host{Addr: addr}))
			c.report.Redacted++
			i += n
		}
	}
}

// concealedAt returns the length of the longest concealed address that a run begins with, 0 if it
// begins with none.
func (c *call) concealedAt(run string) (int, netip.Addr) {
	if !c.heads[headOf(run)] || run[0] == ':' && !strings.HasPrefix(run, "::") {
		return 0, netip.Addr{}
	}
	const longest, mostColons = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"), 8
	n := 0
	for colons := 0; n < min(len(run), longest); n++ {
		if run[n] == ':' {
			if colons++; colons > mostColons {
				break
			}
		}
	}
	for ; n >= len("::"); n-- {
		addr, err := netip.ParseAddr(run[:n])
		if err != nil || !c.concealed[addr.Unmap()] {
			continue
		}
		// What goes on with another digit is another address.
		if n == len(run) || run[n] == '.' || run[n] == ':' || addr.Is4() && !isDigit(run[n]) {
			return n, addr
		}
	}
	return 0, netip.Addr{}
}

// A head is the first number of an address, whose digits are read as hexadecimal, and the character
// after it. Most runs, a=fingerprint for one, do not begin with that of a concealed address.
type head struct {
	n   uint32
	sep byte
}

func headOf(run string) (h head) {
	for _, b := range []byte(run[:min(len(run), len("ffff:"))]) {
		switch {
		case isDigit(b):
			h.n = h.n<<4 | uint32(b-'0')
		case b == '.' || b == ':':
			h.sep = b
			return h
		default: // a to f, in either letter case
			h.n = h.n<<4 | uint32(b&7+9)
		}
	}
	return h
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isAddressChar(b byte) bool {
	return isDigit(b) || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F' || b == '.' || b == ':'
}
