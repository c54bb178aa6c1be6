package resolver

import (
	"cmp"
	"context"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What the system may hold while all processors are busy, in octets: for all sockets, and for each at the least.
const (
	receiveBuffers = 16 << 20
	leastBuffer    = 1 << 20
)

// A udpSocket is one of the sockets that share the port. There is one for each processor, and one more
// for all that does not look like a query for a name of ours: however much of that comes, it takes no
// room in the queues of the others.
type udpSocket struct {
	dns       *DNS
	conn      *net.UDPConn
	forShort  bool
	addressed bool // packets come with the address that they were sent to
	segments  bool // the system cuts what is sent in one piece into packets
	closing   atomic.Bool
}

// listenUDP opens the sockets on one address.
func listenUDP(d *DNS, network, addr string) (sockets []*udpSocket, err error) {
	defer func() {
		if err != nil {
			for _, s := range sockets {
				s.conn.Close()
			}
		}
	}()
	lanes := runtime.GOMAXPROCS(0)
	for i := range lanes + 1 {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return control(c, func(fd int) error { return prepareUDP(fd, max(receiveBuffers/(lanes+1), leastBuffer), i > 0) })
		}}
		pc, err := lc.ListenPacket(context.Background(), network, addr)
		if err != nil {
			return sockets, err
		}
		s := &udpSocket{dns: d, conn: pc.(*net.UDPConn), forShort: i < lanes}
		sockets = append(sockets, s)
		if err := s.setUp(i == 0); err != nil {
			return sockets, err
		}
	}
	// Where the system cannot steer it spreads packets over all sockets, and each of them is for everything.
	if sockets[0].control(func(fd int) error { return steerQueries(fd, lanes) }) != nil {
		for _, s := range sockets {
			s.forShort = false
		}
	}
	return sockets, nil
}

func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	controlErr := c.Control(func(fd uintptr) { err = f(int(fd)) })
	return cmp.Or(controlErr, err)
}

func (s *udpSocket) control(f func(fd int) error) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, f)
}

// prepareUDP sets what has to be before a socket is bound.
func prepareUDP(fd, buffer int, share bool) error {
	// More than the system's limit is for privileged processes; up to it is for all.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer); err != nil {
			return err
		}
	}
	if !share {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// setUp sets and learns the rest. The first socket shares the port only once it has it: it is an error if
// there is another server, and no other process can have joined before it.
func (s *udpSocket) setUp(first bool) error {
	s.addressed = s.conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified()
	return s.control(func(fd int) error {
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.segments = err == nil
		// No fragments, and no belief in what anybody says of the path: RFC 9715, section 3.1. What a system
		// does not have it goes without.
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
		if s.addressed {
			if err := wantAddresses(fd); err != nil {
				return err
			}
		}
		if first {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		return nil
	})
}

// wantAddresses asks for the address that each packet was sent to, which is where the reply must come from.
func wantAddresses(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	if domain == unix.AF_INET {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) // for IPv4 as well, mapped
}

// steerQueries has the system put a packet that looks like a query for a name of ours into one of the
// first lanes sockets of the group, and every other packet into the one after them. The query's id, which
// is random, spreads the queries of one client as well.
func steerQueries(fd, lanes int) error {
	const shortest = headerSize + 1 + 32 + 1 + 4
	other := uint32(lanes)
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: shortest, SkipTrue: 13},
		bpf.LoadAbsolute{Off: flagsAt, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagQR | maskOpcode | flagTC, SkipTrue: 11},
		bpf.LoadAbsolute{Off: questionsAt, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1 << 16, SkipTrue: 9}, // one question, no answer
		bpf.LoadAbsolute{Off: authoritiesAt, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: 1, SkipTrue: 7},
		bpf.LoadAbsolute{Off: headerSize, Size: 1}, // the length of the first label
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 36, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 62, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 32, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 0, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: other},
		bpf.RetA{},
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
	b := newBatch(s, raw)
	var failed error
	// The function stays in the one Read, which waits whenever it returns false. What comes while it does not
	// wait makes the next wait end at once, so that there is no need to read until nothing is left.
	err = raw.Read(func(fd uintptr) bool {
		for !s.closing.Load() {
			switch errno := b.receive(fd); errno {
			case 0:
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				return false
			case unix.EBADF, unix.ENOTSOCK, unix.EINVAL, unix.ENOSYS:
				failed = errno
				return true
			default: // it passes, as a want of memory does
				time.Sleep(10 * time.Millisecond)
				continue
			}
			b.answer()
			b.send(fd)
			b.worker.tally.flush(b.now().Sub(b.began))
			if b.queries < batchSize {
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
