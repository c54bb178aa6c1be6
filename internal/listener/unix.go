//go:build unix

package listener

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// ErrInUse says that another process listens on a Unix socket.
var ErrInUse = errors.New("another process listens there")

const (
	socketMode = 0o660
	// dialTime is how long a process at a socket may take to show that it lives.
	dialTime = time.Second
)

// listenUnix listens at a path. A lock beside it, held until [Listener.Stop], keeps two processes that start at once
// from replacing each other's socket. It makes the socket under another umask, which for a moment holds for the whole
// process.
func listenUnix(path string) (*Listener, error) {
	if strings.HasPrefix(path, "@") {
		path = "./" + path // without it a name that no file mode guards
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if locked, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("locking the socket: %w", err)
	} else if !locked {
		return nil, fmt.Errorf("%s: %w", path, ErrInUse)
	}
	l, info, err := replaceSocket(path)
	if err != nil {
		lock.Unlock()
		return nil, err
	}
	return &Listener{socket: l, stop: func() error {
		defer lock.Unlock()
		if now, err := os.Lstat(path); err == nil && os.SameFile(now, info) {
			return os.Remove(path)
		}
		return nil // somebody has put something else there, and nobody comes here by it
	}}, nil
}

// replaceSocket makes a socket at a path where nobody listens. The lock is held.
func replaceSocket(path string) (*net.UnixListener, os.FileInfo, error) {
	if err := removeStale(path); err != nil {
		return nil, nil, err
	}
	was := unix.Umask(0o007) // of a socket the bits for execution say nothing, and a folder that is made just now needs them
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(was)
	if err != nil {
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false) // Stop does
	err = os.Chmod(path, socketMode)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Lstat(path); err == nil {
			return l, info, nil
		}
	}
	l.Close()
	os.Remove(path)
	return nil, nil, err
}

// removeStale removes a socket on which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s: there is something else than a socket: name another path, or remove it", path)
	}
	conn, err := net.DialTimeout("unix", path, dialTime)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("%s: %w", path, ErrInUse)
	case !errors.Is(err, unix.ECONNREFUSED): // it may live, and be busy
		return fmt.Errorf("%s: %w: %w", path, ErrInUse, err)
	}
	return os.Remove(path)
}
