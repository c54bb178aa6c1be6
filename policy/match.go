package policy

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// An index counts policies from 1.
type index uint32

const none index = 0

// first returns the lower of two indexes, of which either may be none.
func first(a, b index) index { return min(a-1, b-1) + 1 }

// networks is a list of them. Unset contains every address, an empty list none.
type networks struct {
	set   bool
	table *bart.Lite // may be nil
}

func (n networks) contains(a netip.Addr) bool {
	if !n.set {
		return true
	}
	return n.table != nil && a.IsValid() && n.table.Contains(a.Unmap())
}

// A firstMatch finds the first policy for an address. The policy of the longest network that contains
// an address is the one, because each network has the first of the policies of all that contain it.
type firstMatch struct {
	everyone index // the first policy that is for everyone, and so for who is not known
	networks *bart.Table[index]
}

func (m *firstMatch) find(a netip.Addr) index {
	if m.networks == nil || !a.IsValid() {
		return m.everyone
	}
	i, _ := m.networks.Lookup(a.Unmap())
	return i
}

// byOrigin finds the first policy for an address and an origin.
type byOrigin struct {
	anywhere firstMatch // the policies that ask for no origin
	at       map[Origin]*firstMatch
}

func (m *byOrigin) find(a netip.Addr, o Origin) index {
	i := m.anywhere.find(a)
	if at := m.at[o]; at != nil {
		i = first(i, at.find(a))
	}
	return i
}
