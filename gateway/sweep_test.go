package gateway

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/sdp"
)

// FuzzSweep compares what is found around separators with what is found by looking everywhere.
func FuzzSweep(f *testing.F) {
	for _, s := range []string{
		"10.77.1.2", "x10.77.1.2:5000,10.77.1.23 110.77.1.2", "a=fingerprint:sha-256 00:E0:FC:0:8B:5D:10.77.1.2a", "[FD00:0::1]:80 fd00::1::",
		"::ffff:10.77.1.2 ::ffff:a4d:102 0:0:0:0:0:ffff:0a4d:0102 ::ffff:10.77.1.2.5", "fd00::1fd00::1 fd00::1:10.77.1.2", "1:2:3:4:5:6:7:8:9 ::1:2 .10.77.1.2.",
		"0.1.2.3:0.1.2.3 10.77.1.2*10.77.1.2>fd00::1", strings.Repeat("0:", 30) + "10.77.1.2", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
	} {
		f.Add(s, "", "10.77.1.2 fd00::1 0.1.2.3 1:2:3:4:5:6:7:8 ::1:2 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	}
	long := strings.Repeat("a=x:y fd00::1:1, 10.77.1.2 10.77.1.2:10.77.1.2 ", 20)
	f.Add(long, "\x06\x01\x10\x03\x30\x11\x01\x40", "10.77.1.2 fd00::1")
	f.Fuzz(func(t *testing.T, s, keep, addrs string) {
		c := newCall().(*call)
		for _, a := range strings.Fields(addrs) {
			if addr, err := netip.ParseAddr(a); err == nil && addr.Zone() == "" {
				c.conceal(addr.Unmap())
			}
		}
		got, want := &text{s: s}, &text{s: s}
		at := 0
		for n := range slices.Chunk([]byte(keep), 2) { // the lengths of what is to be swept and of what is to stay after it
			if len(n) < 2 || n[1] == 0 || at+int(n[0])+int(n[1]) > len(s) {
				break
			}
			kept := sdp.Span{Start: at + int(n[0]), End: at + int(n[0]) + int(n[1])}
			got.keep = append(got.keep, kept)
			c.sweepEverywhere(want, sdp.Span{Start: at, End: kept.Start})
			at = kept.End
		}
		c.sweepEverywhere(want, sdp.Span{Start: at, End: len(s)})
		c.sweep(got)
		if !slices.Equal(got.edits, want.edits) {
			t.Errorf("%q: got %v, want %v", s, got.edits, want.edits)
		}
	})
}

// sweepEverywhere tries each offset of a span of a text, and each length there, the longest first.
func (c *call) sweepEverywhere(t *text, span sdp.Span) {
	s := span.Of(t.s)
	for i := 0; i < len(s); {
		n, addr := 0, netip.Addr{}
		if i == 0 || !isDigit(s[i-1]) {
			n, addr = c.longestAt(s[i:])
		}
		if n > 0 {
			t.replace(sdp.Span{Start: span.Start + i, End: span.Start + i + n}, nowhere(sdp.Host{Addr: addr}))
		}
		i += max(n, 1)
	}
}

func (c *call) longestAt(s string) (int, netip.Addr) {
	for n := min(len(s), len(longestAddr)); n > 0; n-- {
		addr, err := netip.ParseAddr(s[:n])
		if err != nil || addr.Zone() != "" || !c.concealed[addr.Unmap()] {
			continue
		}
		rest := s[n:]
		if rest == "" || !isAddressChar(rest[0]) || rest[0] == '.' || rest[0] == ':' || addr.Is4() && !isDigit(rest[0]) {
			return n, addr
		}
	}
	return 0, netip.Addr{}
}
