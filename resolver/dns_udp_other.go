//go:build !linux

package resolver

import (
	"errors"
	"net"
	"time"
)

// A udpSocket is the socket of the port. On an unspecified address the system chooses where replies come
// from: name the address on a host that has several.
type udpSocket struct {
	dns  *DNS
	conn *net.UDPConn
}

func listenUDP(d *DNS, network, addr string) ([]*udpSocket, error) {
	pc, err := net.ListenPacket(network, addr)
	if err != nil {
		return nil, err
	}
	return []*udpSocket{{d, pc.(*net.UDPConn)}}, nil
}

// serve answers until the socket is closed, and returns nil then.
func (s *udpSocket) serve() error {
	w := &worker{tally: s.dns.tally()}
	buf := make([]byte, maxQuery+1)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		began := time.Now()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // of another packet, as Windows tells, or in passing
			time.Sleep(time.Millisecond)
			continue
		case reflects(from.Port()):
			continue
		}
		now := s.dns.resolver.config.Now()
		if size := s.dns.answer(w, buf, n, s.dns.asker(from.Addr(), now), now); size > 0 {
			s.conn.WriteToUDPAddrPort(buf[:size], from) // what cannot be sent is lost like any datagram
		}
		w.tally.flush(time.Since(began))
	}
}

func (s *udpSocket) close() error { return s.conn.Close() }
