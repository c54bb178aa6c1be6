package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many packets one system call takes in or sends out at most.
	batchSize = 64
	// maxLong is how many packets of a full batch go the long way in a socket for the short one.
	maxLong = batchSize / 8
	// receiveBuffer is what the system may hold for each socket while all processors are busy.
	receiveBuffer = 4 << 20

	// controlSize holds one message with the address that a packet was sent to.
	controlSize = 64
)

// A udpSocket is one of the sockets that share the port. There is one for each processor, and one more
// for all that does not look like a query for a name of ours: however much of that comes, it takes no
// room in the queues of the others.
type udpSocket struct {
	dns       *DNS
	conn      *net.UDPConn
	forShort  bool
	addressed bool // packets come with the address that they were sent to
	closing   atomic.Bool
}

// listenUDP opens the sockets on one address.
func listenUDP(d *DNS, addr string) (sockets []*udpSocket, err error) {
	defer func() {
		if err != nil {
			for _, s := range sockets {
				s.conn.Close()
			}
		}
	}()
	lanes := runtime.GOMAXPROCS(0)
	var steer error
	for i := range lanes + 1 {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			if controlErr := c.Control(func(fd uintptr) { err = prepareUDP(int(fd)) }); controlErr != nil {
				return controlErr
			}
			return err
		}}
		pc, err := lc.ListenPacket(context.Background(), "udp", addr)
		if err != nil {
			return sockets, err
		}
		s := &udpSocket{dns: d, conn: pc.(*net.UDPConn), forShort: i < lanes}
		sockets = append(sockets, s)
		if s.conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() {
			if err := s.wantAddresses(); err != nil {
				return sockets, err
			}
			s.addressed = true
		}
	}
	raw, err := sockets[0].conn.SyscallConn()
	if err != nil {
		return sockets, err
	}
	if err := raw.Control(func(fd uintptr) { steer = steerQueries(int(fd), lanes) }); err != nil {
		return sockets, err
	}
	return sockets, steer
}

// prepareUDP sets what has to be before a socket is bound.
func prepareUDP(fd int) error {
	// More than the system's limit is for privileged processes; up to it is for all.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return err
		}
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// wantAddresses asks for the address that each packet was sent to, which is where the reply must come from.
func (s *udpSocket) wantAddresses() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var v4, v6 error
	err = raw.Control(func(fd uintptr) {
		v4 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		v6 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
	if err == nil && v4 != nil && v6 != nil { // a socket for IPv4 has no second, one for IPv6 alone no first
		err = v4
	}
	return err
}

// steerQueries has the system put a packet that looks like a query for a name of ours into one of the
// first lanes sockets of the group, and every other packet into the one after them. The query's id, which
// is random, spreads the queries of one client as well.
func steerQueries(fd, lanes int) error {
	const shortest = headerSize + 1 + 32 + 1 + 4
	other := uint32(lanes)
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: shortest, SkipTrue: 14},
		bpf.LoadAbsolute{Off: flagsAt, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagQR | maskOpcode | flagTC, SkipTrue: 12},
		bpf.LoadAbsolute{Off: questionsAt, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1 << 16, SkipTrue: 10}, // one question, no answer
		bpf.LoadAbsolute{Off: authoritiesAt, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: 1, SkipTrue: 8},
		bpf.LoadAbsolute{Off: headerSize, Size: 1}, // the length of the first label
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 36, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 62, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 32, SkipTrue: 4},
		bpf.LoadAbsolute{Off: 0, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: other},
		bpf.RetA{},
		bpf.RetConstant{Val: other},
		bpf.RetConstant{Val: other},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// serve answers until the socket is closed, and returns nil then.
func (s *udpSocket) serve() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	b := newBatch(s)
	var failed error
	// The function stays in the one Read, which waits whenever it returns false. What comes while it does not
	// wait makes the next wait end at once, so that there is no need to read until nothing is left.
	err = raw.Read(func(fd uintptr) bool {
		for !s.closing.Load() {
			n, errno := b.receive(fd)
			switch errno {
			case 0:
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				return false
			default:
				failed = errno
				return true
			}
			b.answer(n)
			b.send(fd)
			b.worker.tally.flush(time.Since(b.began))
			if n < batchSize {
				return false
			}
		}
		return true
	})
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, failed)
}

// close ends serve.
func (s *udpSocket) close() error {
	s.closing.Store(true)
	return s.conn.Close()
}

// A batch is the memory for the packets of one system call, which hold the queries and then the replies.
type batch struct {
	socket *udpSocket
	worker worker
	began  time.Time

	in, out       [batchSize]mmsghdr
	inIov, outIov [batchSize]unix.Iovec
	replies       int
	from          [batchSize]unix.RawSockaddrInet6 // or RawSockaddrInet4, which is shorter
	control       [batchSize][controlSize]byte
	packets       [batchSize][maxQuery + 1]byte
}

// An mmsghdr is the structure of that name in recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	n uint32
}

func newBatch(s *udpSocket) *batch {
	b := &batch{socket: s}
	b.worker.tally = s.dns.tally()
	for i := range batchSize {
		b.inIov[i].Base = &b.packets[i][0]
		b.inIov[i].SetLen(len(b.packets[i]))
		b.in[i].Iov = &b.inIov[i]
		b.in[i].SetIovlen(1)
		b.in[i].Name = (*byte)(unsafe.Pointer(&b.from[i]))
		b.out[i].Iov = &b.outIov[i]
		b.out[i].SetIovlen(1)
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

func (b *batch) receive(fd uintptr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	b.began = time.Now()
	return int(n), errno
}

// answer makes the replies to the first n packets.
func (b *batch) answer(n int) {
	b.replies = 0
	d := b.socket.dns
	now := d.resolver.config.Now()
	long := 0
	for i := range n {
		size := int(b.in[i].n)
		buf := b.packets[i][:]
		asker := d.asker(b.fromAddr(i), now)
		reply, known := d.short(&b.worker, buf, size, asker, now)
		switch {
		case reply > 0:
		case b.socket.forShort && n == batchSize && long == maxLong:
			b.worker.tally.add(Limited, nil) // or what is slow to answer would cost others their answers
		default:
			long++
			reply = d.long(&b.worker, buf, size, asker, known)
		}
		if reply > 0 {
			b.reply(i, reply)
		}
		b.rearm(i)
	}
}

// reply puts the reply that stands in packet i among those to be sent.
func (b *batch) reply(i, size int) {
	in, out := &b.in[i], &b.out[b.replies]
	b.outIov[b.replies].Base = &b.packets[i][0]
	b.outIov[b.replies].SetLen(size)
	out.Name, out.Namelen = in.Name, in.Namelen
	if b.socket.addressed {
		out.Control = in.Control
		out.SetControllen(b.keepSource(i))
	}
	b.replies++
}

func (b *batch) send(fd uintptr) {
	for sent := 0; sent < b.replies; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[sent])), uintptr(b.replies-sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
		case unix.EINTR:
		default:
			sent++ // like any datagram that is lost; the asker asks again
		}
	}
}

func (b *batch) fromAddr(i int) netip.Addr {
	switch b.from[i].Family {
	case unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&b.from[i])).Addr)
	case unix.AF_INET6:
		return netip.AddrFrom16(b.from[i].Addr).Unmap()
	}
	return netip.Addr{}
}

// keepSource turns the control message of a packet that came in into that of its reply: it goes out from
// the address that was asked, over whichever link leads to the asker. It returns the message's length.
func (b *batch) keepSource(i int) int {
	size := int(b.in[i].Controllen)
	if size < unix.SizeofCmsghdr {
		return 0
	}
	c := b.control[i][:size]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	data := c[unix.CmsgLen(0):]
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		(*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Ifindex = 0
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		if !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
	default:
		return 0
	}
	return size
}
