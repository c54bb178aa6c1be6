//go:build !windows

package keyring

import (
	"os"
	"syscall"
)

// ownedByUs reports whether a file belongs to this user or to root.
func ownedByUs(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}
