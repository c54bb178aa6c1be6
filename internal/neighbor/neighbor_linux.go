package neighbor

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstLook and lastLook are how long after the kernel was made to ask a neighbor table is read, twice as long each time:
// 62 ms in all.
const (
	firstLook = 2 * time.Millisecond
	lastLook  = 32 * time.Millisecond
)

// sameNeighbor reports whether two addresses on a link have one hardware address.
func sameNeighbor(ctx context.Context, l link, known, other netip.Addr, mayAsk func() bool) bool {
	table := read(l)
	asked := false
	for wait := firstLook; ; wait *= 2 {
		a, b := table[known], table[other]
		if a != (hardware{}) && b != (hardware{}) {
			return a == b
		}
		if !asked {
			if !mayAsk() {
				return false
			}
			asked = true
			for addr, h := range map[netip.Addr]hardware{known: a, other: b} {
				if h == (hardware{}) {
					haveAsked(l, addr)
				}
			}
		}
		if wait > lastLook {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
		table = read(l)
	}
}

// haveAsked has the kernel ask for a neighbor, for a packet to the discard port, which it then sends.
func haveAsked(l link, to netip.Addr) {
	if to.IsLinkLocalUnicast() && to.Is6() {
		to = to.WithZone(l.Name)
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return // there is no way to it
	}
	c.Write([]byte{0})
	c.Close()
}

// hardware is an address of a link layer with 6 octets, as Ethernet and Wi-Fi have them; zero is none.
type hardware [6]byte

// read returns the neighbors on a link whose hardware address is known, by rtnetlink(7).
func read(l link) map[netip.Addr]hardware {
	raw, err := syscall.NetlinkRIB(unix.RTM_GETNEIGH, unix.AF_UNSPEC)
	if err != nil {
		return nil
	}
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return nil
	}
	out := map[netip.Addr]hardware{}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNEIGH {
			continue
		}
		if addr, h, ok := parse(m.Data, l.Index); ok && string(h[:]) != string(l.HardwareAddr) {
			out[addr] = h
		}
	}
	return out
}

// told are the states in which an entry has a hardware address that was told by its neighbor. NUD_NOARP is not among
// them: where nobody is asked, an entry has the interface's own.
const told = unix.NUD_PERMANENT | unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE

// parse reads a message of an entry: a struct ndmsg and attributes.
func parse(b []byte, index int) (addr netip.Addr, h hardware, ok bool) {
	if len(b) < unix.SizeofNdMsg {
		return addr, h, false
	}
	order := binary.NativeEndian
	if order.Uint32(b[4:]) != uint32(index) || order.Uint16(b[8:])&told == 0 {
		return addr, h, false
	}
	found := false
	for b = b[unix.SizeofNdMsg:]; len(b) >= unix.SizeofRtAttr; {
		length, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if length < unix.SizeofRtAttr || length > len(b) {
			return addr, h, false
		}
		switch value := b[unix.SizeofRtAttr:length]; kind {
		case unix.NDA_DST:
			addr, _ = netip.AddrFromSlice(value)
		case unix.NDA_LLADDR:
			found = len(value) == len(h)
			copy(h[:], value)
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return addr, h, addr.IsValid() && found && h != (hardware{})
}
