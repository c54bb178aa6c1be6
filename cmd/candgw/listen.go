package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// cannotListen tells what to do where a port or a socket cannot be opened. what says which, as in "--dns".
func cannotListen(what string, err error) error {
	do := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		do = ": end the program that listens there, which may be another candgw, or name another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		do = ": name an address of this host"
	case errors.Is(err, fs.ErrPermission):
		do = ": name a place that this user may listen at; ports below 1024 want root, or the capability CAP_NET_BIND_SERVICE"
	case errors.Is(err, fs.ErrNotExist):
		do = ": make the folder, which should be open to those alone who may use the socket"
	}
	return fmt.Errorf("%s: %w%s", what, err, do)
}
