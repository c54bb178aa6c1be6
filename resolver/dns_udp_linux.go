package resolver

import (
	"cmp"
	"context"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// receiveBuffer is what the system may hold for each socket while all processors are busy, in octets.
const receiveBuffer = 4 << 20

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
		if err := s.learn(); err != nil {
			return sockets, err
		}
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

// learn asks the system what the socket can do.
func (s *udpSocket) learn() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) {
		_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.segments = err == nil
	})
}

// wantAddresses asks for the address that each packet was sent to, which is where the reply must come from.
func (s *udpSocket) wantAddresses() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var domain int
		if domain, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
			return
		}
		if domain == unix.AF_INET {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		} else { // for IPv4 as well, mapped
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
	})
	return cmp.Or(controlErr, err)
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
			default:
				failed = errno
				return true
			}
			b.answer()
			b.send(fd)
			b.worker.tally.flush(b.now().Sub(b.began))
			if !b.busy {
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
