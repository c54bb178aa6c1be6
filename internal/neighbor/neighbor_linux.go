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
	asked := false
	for wait := firstLook; ; wait *= 2 {
		a, b := hardwareOf(l, known), hardwareOf(l, other)
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

// hardwareOf returns the hardware address that a neighbor on a link has told, zero if none is known, by rtnetlink(7). It asks
// for that entry alone, since a table may have many thousands. Linux before 5.0 has no answer to that.
func hardwareOf(l link, addr netip.Addr) hardware {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return hardware{}
	}
	defer unix.Close(s)
	if err := unix.Sendto(s, question(l.Index, addr), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return hardware{}
	}
	var reply [4096]byte
	n, from, err := unix.Recvfrom(s, reply[:], unix.MSG_DONTWAIT) // the kernel has answered before Sendto returns
	if kernel, ok := from.(*unix.SockaddrNetlink); err != nil || !ok || kernel.Pid != 0 {
		return hardware{}
	}
	messages, err := syscall.ParseNetlinkMessage(reply[:n])
	if err != nil {
		return hardware{}
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNEIGH {
			continue // there is no such entry
		}
		if of, h, ok := parse(m.Data, l.Index); ok && of == addr && string(h[:]) != string(l.HardwareAddr) {
			return h
		}
	}
	return hardware{}
}

// question returns a message that asks for the entry of an address: a header, a struct ndmsg, and the attribute NDA_DST.
func question(index int, addr netip.Addr) []byte {
	family := byte(unix.AF_INET)
	if addr.Is6() {
		family = unix.AF_INET6
	}
	dst, order := addr.AsSlice(), binary.NativeEndian
	attribute := unix.SizeofRtAttr + len(dst)
	var b []byte
	b = order.AppendUint32(b, uint32(unix.SizeofNlMsghdr+unix.SizeofNdMsg+attribute))
	b = order.AppendUint16(b, unix.RTM_GETNEIGH)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // which request, and whose: there is one
	b = append(b, family, 0, 0, 0)
	b = order.AppendUint32(b, uint32(index))
	b = append(b, make([]byte, 4)...) // no state, flags and type
	b = order.AppendUint16(b, uint16(attribute))
	b = order.AppendUint16(b, unix.NDA_DST)
	return append(b, dst...)
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
