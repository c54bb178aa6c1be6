package resolver

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
)

// Most packets of Multicast DNS on a link are none for this node: responses, and questions about the names
// of others. They are told apart before they are unpacked, the first of them by the system before they wait
// to be read, so that no amount of them makes this node slow for those that it can answer.

// sift returns a filter for the socket of a link, which takes packets with their header of UDP: it keeps what may
// be a query, or the rest of one (RFC 6762, section 7.2).
func sift(l link) ([]bpf.RawInstruction, error) {
	const (
		udpHeader = 8
		keep      = 1 << 16
		rcode     = 15 // section 18.11
		// Where the first octet of the destination stands in IPv6, and the offset that counts from that header.
		fromNetwork, destination = 0xfff00000, 24
	)
	var program []bpf.Instruction
	if l.v6 {
		// Linux gives an IPv6 socket what comes to a group that it joined on any link; the socket of that link
		// has it too. What comes to this host alone may come to any of them.
		program = []bpf.Instruction{
			bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(l.index), SkipTrue: 3},
			bpf.LoadAbsolute{Off: fromNetwork + destination, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0xff, SkipTrue: 1}, // RFC 4291, section 2.7
			bpf.RetConstant{Val: 0},
		}
	}
	return bpf.Assemble(append(program,
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: udpHeader + headerSize, SkipTrue: 3},
		bpf.LoadAbsolute{Off: udpHeader + flagsAt, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagQR | maskOpcode | rcode, SkipTrue: 1},
		bpf.RetConstant{Val: keep},
		bpf.RetConstant{Val: 0},
	))
}

// A sifted is what a look at the questions of a packet tells.
type sifted uint8

const (
	notForUs sifted = iota
	forUs           // there is a question that may be about a name of ours
	broken          // a question is none
)

// look looks at the questions of a query. Where it would take unpacking to know, they may be for us.
func (r *Resolver) look(p []byte) sifted {
	if len(p) < headerSize {
		return broken
	}
	at := headerSize
	for range binary.BigEndian.Uint16(p[questionsAt:]) {
		start := at
		for at < len(p) && p[at] != 0 {
			if p[at] >= pointer>>8 {
				return forUs
			}
			if p[at] > maxLabel {
				return broken
			}
			at += 1 + int(p[at])
		}
		at++
		if at+4 > len(p) || at-start > maxName {
			return broken
		}
		if z, labels := zoneOfWire(r.zones, p[start:at]); z != nil && labels > 0 && mayBeName(p[start:start+labels]) {
			return forUs
		}
		at += 4
	}
	return notForUs
}

// mayBeName reports whether the first label of a name has the length of one of ours.
func mayBeName(name []byte) bool {
	switch name[0] {
	case 36, 62, 32:
		return true
	}
	return false
}
