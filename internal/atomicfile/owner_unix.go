//go:build !windows

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f the owner and the group of the file at path, if there is one. Without it, root
// would lock a service out of the service's own file.
func keepOwner(f *os.File, path string) error {
	old, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	made, err := f.Stat()
	if err != nil {
		return err
	}
	want, ok := old.Sys().(*syscall.Stat_t)
	got, ok2 := made.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || want.Uid == got.Uid && want.Gid == got.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keeping the owner and the group of %s: %w", path, err)
	}
	return nil
}
