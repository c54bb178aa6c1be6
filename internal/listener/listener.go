// Package listener opens the ports and the Unix sockets of HTTP servers, and closes them so that no connection is lost.
package listener

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// Settle is how long a connection that was begun before [Listener.Stop] may take until it is made.
const Settle = 250 * time.Millisecond

// A Listener is a TCP port or a Unix socket. One goroutine may call Accept; the other methods are for any.
type Listener struct {
	socket

	stop func() error // has the system make no more connections

	mu       sync.Mutex // held while a deadline is set
	stopping bool
	once     sync.Once
}

type socket interface {
	net.Listener
	SetDeadline(time.Time) error
}

// Listen listens on host and port, or, for "unix:" and a path, on a Unix socket, which the user and the group of this
// process may use. A socket that a process left behind is replaced; where one still listens, or something else stands,
// that is an error.
func Listen(address string) (*Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(path)
	}
	// Multipath TCP, which Go would listen for, takes no packet filter.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	tcp := l.(*net.TCPListener)
	return &Listener{socket: tcp, stop: func() error { return dropSYN(tcp) }}, nil
}

// Accept returns the next connection. After [Listener.Stop] it returns those that were made, and [net.ErrClosed] once
// there was none for [Settle].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		stopping := l.stopping
		if stopping {
			l.socket.SetDeadline(time.Now().Add(Settle))
		}
		l.mu.Unlock()
		conn, err := l.socket.Accept()
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return conn, err
		case stopping:
			return nil, net.ErrClosed
		}
	}
}

// Stop has no more connections be made: a Unix socket is gone from its folder, and from there on another process may
// listen at its path; what would connect to a TCP port waits for an answer, and gets one from whoever listens there
// after Close. On systems but Linux a TCP port is closed at once. To stop twice is to stop once.
func (l *Listener) Stop() {
	l.once.Do(func() {
		if err := l.stop(); err != nil {
			l.socket.Close()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.stopping = true
		l.socket.SetDeadline(time.Unix(1, 0)) // wakes Accept
	})
}

// Close stops the listener. Connections that were not accepted are lost.
func (l *Listener) Close() error {
	l.Stop()
	return l.socket.Close()
}
