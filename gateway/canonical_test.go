package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/candgw/candgw/internal/sdp"
	"github.com/pion/ice/v2"
)

// FuzzCanonical has pion/ice read every candidate that is canonical: it takes each field for the same,
// or knows no such name as an address.
func FuzzCanonical(f *testing.F) {
	n := 0
	for _, name := range recordedTrickles {
		for _, raw := range recordedTrickle(f, name+".trickle.json").Candidates {
			if _, rest, ok := strings.Cut(string(raw), "candidate:"); ok {
				text, _, _ := strings.Cut(rest, `"`)
				f.Add("candidate:" + text)
				n++
			}
		}
	}
	if n == 0 {
		f.Fatal("no seeds")
	}
	f.Add("candidate:a+/ 256 TCP 4294967295 64:ff9b::1 0 typ relay raddr :: rport 0 tcptype so generation 0 network-cost 50")
	f.Add("candidate:1 1 udp 1 x.local 9 typ prflx ufrag typ network-id 1")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := sdp.ParseCandidate(text)
		if err != nil || !d.Candidates[0].Canonical(text) {
			return
		}
		c := &d.Candidates[0]
		if err := agree(text, c); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		words := strings.Fields(strings.TrimPrefix(c.Text.Of(text), "candidate:"))
		theirs, err := ice.UnmarshalCandidate(strings.Join(words, " "))
		if err != nil {
			if c.Host.Addr.IsValid() {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		got := []string{theirs.Foundation(), fmt.Sprint(theirs.Component()), fmt.Sprint(theirs.Priority()), theirs.Address(), fmt.Sprint(theirs.Port()), theirs.Type().String()}
		want := []string{words[0], words[1], words[3], words[4], words[5], words[7]}
		if words[3] == "0" { // which it takes for none
			got[2] = "0"
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		// It leaves the transport of a name open until the name is resolved.
		if c.Host.Addr.IsValid() && !strings.EqualFold(theirs.NetworkType().NetworkShort(), words[2]) {
			t.Fatalf("got %s for %q", theirs.NetworkType(), text)
		}
		if related := theirs.RelatedAddress(); related != nil && !c.Related.Empty() && related.Address != c.Related.Of(text) {
			t.Fatalf("got %s for %q", related.Address, text)
		}
	})
}
