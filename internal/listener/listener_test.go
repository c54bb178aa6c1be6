package listener

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answer answers each connection of a listener with what comes, until it is closed.
func answer(l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer c.Close()
			b := make([]byte, 1)
			if _, err := io.ReadFull(c, b); err == nil {
				c.Write(b)
			}
		})
	}
}

// TestStopLosesNothing has clients connect without end while the listener stops: whoever gets a connection gets an
// answer, be it that the server is slow to accept.
func TestStopLosesNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no Unix sockets, and a TCP port that is closed at once")
	}
	for _, network := range []string{"tcp", "unix"} {
		if network == "tcp" && runtime.GOOS != "linux" {
			continue // there it is closed at once
		}
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = "unix:" + filepath.Join(t.TempDir(), "s")
			}
			l, err := Listen(address)
			if err != nil {
				t.Fatal(err)
			}
			at := l.Addr().String()
			served := make(chan error, 1)
			go func() {
				served <- answer(slow{l})
				l.Close()
			}()
			var answered, lost atomic.Int64
			var clients sync.WaitGroup
			for range 16 {
				clients.Go(func() {
					for {
						c, err := net.Dial(network, at)
						if err != nil {
							return // refused, or no such file: nothing was sent
						}
						c.SetDeadline(time.Now().Add(10 * time.Second))
						b := []byte{7}
						c.Write(b)
						if _, err := io.ReadFull(c, b); err != nil {
							lost.Add(1)
						} else {
							answered.Add(1)
						}
						c.Close()
					}
				})
			}
			for answered.Load() < 100 {
				time.Sleep(time.Millisecond)
			}
			l.Stop()
			l.Stop()
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			clients.Wait()
			if lost.Load() != 0 {
				t.Errorf("%d were answered, %d lost", answered.Load(), lost.Load())
			}
			if network == "unix" {
				at = "unix:" + at
			}
			again, err := Listen(at)
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
		})
	}
}

// slow accepts with pauses, so that connections wait in the system.
type slow struct{ net.Listener }

func (s slow) Accept() (net.Conn, error) {
	time.Sleep(500 * time.Microsecond)
	return s.Listener.Accept()
}

func TestUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		if _, err := Listen("unix:" + filepath.Join(t.TempDir(), "s")); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		t.Skip("no Unix sockets")
	}
	path := filepath.Join(t.TempDir(), "s")
	listen := func(want string) *Listener {
		t.Helper()
		l, err := Listen("unix:" + path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Fatalf("got %v, want %q", err, want)
		}
		return l
	}
	l := listen("")
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	listen("another process listens there")

	// Another program's: it takes no lock.
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("it is there after the close: %v", err)
	}
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listen("another process listens there")
	other.SetUnlinkOnClose(false)
	other.Close()
	l = listen("") // the other one has left its socket behind

	// What somebody has put in its place stays.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
	listen("something else than a socket")

	// As soon as one has stopped, the next may begin, and is not hurt by what the first still does.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	first := listen("")
	first.Stop()
	second := listen("")
	first.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	second.Close()
	if _, err := Listen("unix:" + filepath.Join(t.TempDir(), "nowhere", "s")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestAtSign has a name with @ be a file: in the name space that it would stand for on Linux no mode guards it.
func TestAtSign(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no Unix sockets")
	}
	t.Chdir(t.TempDir())
	l, err := Listen("unix:@candgw")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := os.Lstat("@candgw"); err != nil {
		t.Error(err)
	}
}
