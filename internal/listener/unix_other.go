//go:build !unix

package listener

import (
	"errors"
	"fmt"
)

// listenUnix is an error: where file modes guard nothing, everybody on the host could connect.
func listenUnix(path string) (*Listener, error) {
	return nil, fmt.Errorf("unix:%s: no Unix sockets on this system, use an address of loopback: %w", path, errors.ErrUnsupported)
}
