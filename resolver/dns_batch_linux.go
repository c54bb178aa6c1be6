package resolver

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many packets one system call takes in or sends out at most. The system cuts no more
	// than as many from one piece.
	batchSize = 64
	// maxLong is how many packets of a full batch go the long way in a socket for the short one.
	maxLong = batchSize / 8
	// maxPiece is how long a piece may be: no longer than a packet.
	maxPiece = 65000

	// controlSize is that of two control messages: the address that a packet was sent to, and the size of the
	// packets to cut a piece into.
	controlSize = 64
)

// A batch is the memory for the packets of one system call, which hold the queries and then the replies.
type batch struct {
	socket *udpSocket
	raw    syscall.RawConn
	worker worker
	began  time.Time // when the packets were read

	queries int
	in      [batchSize]mmsghdr
	inPart  [batchSize]unix.Iovec
	from    [batchSize]unix.RawSockaddrInet6 // or RawSockaddrInet4, which is shorter
	control [batchSize][controlSize]byte
	packets [batchSize][maxQuery + 1]byte

	// The replies, and the pieces that they are sent in: each piece is replies of one size to one host,
	// which pass the system's layers together. Many resolvers ask many things from one port.
	replies int
	part    [batchSize]unix.Iovec
	pieces  int
	out     [batchSize]mmsghdr
	piece   [batchSize]piece
}

// An mmsghdr is the structure of that name in recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	n uint32
}

type piece struct {
	asked   int // the packet of its first query
	first   int // of its replies
	count   int
	size    int // of each
	source  int // length of the control message with the address that was asked
	control [controlSize]byte
}

func newBatch(s *udpSocket, raw syscall.RawConn) *batch {
	b := &batch{socket: s, raw: raw, worker: worker{tally: s.dns.tally()}}
	for i := range batchSize {
		b.inPart[i].Base = &b.packets[i][0]
		b.inPart[i].SetLen(len(b.packets[i]))
		b.in[i].Iov = &b.inPart[i]
		b.in[i].SetIovlen(1)
		b.in[i].Name = (*byte)(unsafe.Pointer(&b.from[i]))
		b.rearm(i)
	}
	return b
}

// rearm sets what the system overwrites.
func (b *batch) rearm(i int) {
	h := &b.in[i]
	h.Namelen = unix.SizeofSockaddrInet6
	h.Flags = 0
	if b.socket.addressed {
		h.Control = &b.control[i][0]
		h.SetControllen(controlSize)
	}
}

func (b *batch) now() time.Time { return b.socket.dns.resolver.config.Now() }

// receive reads what there is.
func (b *batch) receive(fd uintptr) syscall.Errno {
	for i := range b.queries {
		b.rearm(i)
	}
	n, errno := b.call(unix.SYS_RECVMMSG, fd, &b.in[0], batchSize)
	if errno != 0 {
		n = 0
	}
	b.queries, b.began = n, b.now()
	return errno
}

// maxUntold is how many packets a system call may send that Go's runtime is not told of.
const maxUntold = 8

// call is a system call that does not wait. Go's runtime is not told of it while there is little to do:
// it would wake its monitor for each one, which costs more than the call. Garbage collection may have to wait
// for a call that it does not know of, so that only short ones are made so.
func (b *batch) call(number, fd uintptr, messages *mmsghdr, n int) (int, syscall.Errno) {
	if b.queries > maxUntold {
		done, _, errno := unix.Syscall6(number, fd, uintptr(unsafe.Pointer(messages)), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		return int(done), errno
	}
	done, _, errno := unix.RawSyscall6(number, fd, uintptr(unsafe.Pointer(messages)), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	return int(done), errno
}

// answer makes the replies to what was read.
func (b *batch) answer() {
	b.replies, b.pieces = 0, 0
	d := b.socket.dns
	long := 0
	var c client
	for i := range b.queries {
		// A host's queries often come together: A and AAAA, or all those of a resolver.
		from := b.asker(i)
		if i == 0 || from.Addr() != c.addr {
			c = d.resolver.client(d.asker(from.Addr(), b.began))
		}
		if reflects(from.Port()) {
			b.worker.tally.add(Malformed, nil)
			continue
		}
		size := int(b.in[i].n)
		buf := b.packets[i][:]
		reply, known := d.short(&b.worker, buf, size, &c, b.began)
		switch {
		case reply > 0:
		case b.socket.forShort && b.queries == batchSize && long == maxLong && known == nil:
			b.worker.tally.add(Overload, nil) // or what is slow to answer would cost others their answers
		default:
			long++
			reply = d.long(&b.worker, buf, size, &c, known)
		}
		if reply > 0 {
			b.add(i, reply)
		}
	}
}

// asker returns where packet i came from.
func (b *batch) asker(i int) netip.AddrPort {
	port := binary.BigEndian.Uint16(unsafe.Slice((*byte)(unsafe.Pointer(&b.from[i].Port)), 2))
	switch b.from[i].Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&b.from[i])).Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(b.from[i].Addr).Unmap(), port)
	}
	return netip.AddrPort{}
}

// add puts the reply that stands in packet i among those to be sent.
func (b *batch) add(i, size int) {
	b.part[b.replies].Base = &b.packets[i][0]
	b.part[b.replies].SetLen(size)
	b.replies++
	source := 0
	if b.socket.addressed {
		source = b.keepSource(i)
	}
	if b.pieces > 0 && b.socket.segments {
		p := &b.piece[b.pieces-1]
		if p.size == size && (p.count+1)*size <= maxPiece && b.sameHost(p.asked, i) {
			p.count++
			return
		}
	}
	p, out := &b.piece[b.pieces], &b.out[b.pieces]
	p.asked, p.first, p.count, p.size = i, b.replies-1, 1, size
	out.Name, out.Namelen = b.in[i].Name, b.in[i].Namelen
	out.Control = &p.control[0]
	p.source = copy(p.control[:], b.control[i][:source])
	out.SetControllen(p.source)
	b.pieces++
}

// sameHost reports whether two packets came from one port of one host, and to one address of this one.
func (b *batch) sameHost(i, j int) bool {
	x, y := &b.in[i], &b.in[j]
	return x.Namelen == y.Namelen && x.Controllen == y.Controllen &&
		bytes.Equal(unsafe.Slice(x.Name, x.Namelen), unsafe.Slice(y.Name, y.Namelen)) &&
		(!b.socket.addressed || bytes.Equal(b.control[i][:x.Controllen], b.control[j][:y.Controllen]))
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// keepSource turns the control message of a packet that came in into that of its reply: it goes out from
// the address that was asked, over whichever link leads to the asker. It returns the message's length.
func (b *batch) keepSource(i int) int {
	c := b.control[i][:b.in[i].Controllen]
	if len(c) < unix.CmsgLen(unix.SizeofInet4Pktinfo) {
		return 0
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	data := unsafe.Pointer(&c[unix.CmsgLen(0)])
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO:
		(*unix.Inet4Pktinfo)(data).Ifindex = 0
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(c) >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
		info := (*unix.Inet6Pktinfo)(data)
		addr := netip.AddrFrom16(info.Addr).Unmap()
		if addr.IsMulticast() || addr == broadcast { // nothing comes from there
			return 0
		}
		if !addr.IsLinkLocalUnicast() || addr.Is4() { // IPv6 says nothing with that without its link
			info.Ifindex = 0
		}
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	}
	return 0
}

// send sends the replies.
func (b *batch) send(fd uintptr) {
	for k := range b.pieces {
		p, out := &b.piece[k], &b.out[k]
		out.Iov = &b.part[p.first]
		out.SetIovlen(p.count)
		if p.count > 1 {
			b.cut(p, out)
		}
	}
	for sent := 0; sent < b.pieces; {
		n, errno := b.push(fd, sent, b.pieces-sent)
		if errno == 0 {
			sent += n
			continue
		}
		// What cannot be sent is lost like any datagram; the asker asks again. But a piece may be what cannot
		// be, for want of hardware for checksums, where its packets can.
		if p := &b.piece[sent]; p.count > 1 {
			b.socket.segments = b.socket.segments && errno != unix.EIO
			b.sendEach(fd, sent)
		}
		sent++
	}
}

// cut adds to the control messages of a piece the size to cut it into.
func (b *batch) cut(p *piece, out *mmsghdr) {
	c := p.control[p.source:]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	*(*uint16)(unsafe.Pointer(&c[unix.CmsgLen(0)])) = uint16(p.size)
	out.SetControllen(p.source + unix.CmsgSpace(2))
}

// sendEach sends the replies of a piece one by one.
func (b *batch) sendEach(fd uintptr, k int) {
	p, out := b.piece[k], &b.out[k]
	out.SetIovlen(1)
	out.SetControllen(p.source)
	for i := range p.count {
		out.Iov = &b.part[p.first+i]
		b.push(fd, k, 1)
	}
}

// push sends pieces, once there is room for them in the system, and returns how many of them.
func (b *batch) push(fd uintptr, first, n int) (int, syscall.Errno) {
	for {
		sent, errno := b.call(unix.SYS_SENDMMSG, fd, &b.out[first], n)
		switch errno {
		case unix.EINTR:
		case unix.EAGAIN:
			return b.pushLater(first, n)
		default:
			return sent, errno
		}
	}
}

// pushLater waits for room.
func (b *batch) pushLater(first, n int) (sent int, errno syscall.Errno) {
	err := b.raw.Write(func(fd uintptr) bool {
		sent, errno = b.call(unix.SYS_SENDMMSG, fd, &b.out[first], n)
		return errno != unix.EAGAIN
	})
	if err != nil {
		return 0, unix.EBADF // it was closed meanwhile
	}
	return sent, errno
}
