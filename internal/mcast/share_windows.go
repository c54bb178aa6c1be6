package mcast

import "golang.org/x/sys/windows"

func share(fd uintptr, _ string) error {
	return windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
}
