//go:build !linux

package listener

import (
	"errors"
	"net"
)

func dropSYN(*net.TCPListener) error { return errors.ErrUnsupported }
