// Package atomicfile replaces files whole or not at all.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Write makes data the content of a file, and mode its mode, whatever the umask. Who reads the file
// meanwhile, and who finds it after the machine stopped in between, sees the old content or the new.
// The file of a symbolic link is replaced, not the link. A file that belonged to somebody else still
// does; where that may not be arranged, the file stays as it was.
//
// After an error the file has its old content, unless the error is that the folder could not be
// synced: then it has the new content, which may not outlast a loss of power.
func Write(path string, data []byte, mode fs.FileMode) (err error) {
	path, err = target(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	// The owner comes before the mode: a new owner can clear bits of the mode.
	if err = keepOwner(f, path); err != nil {
		return err
	}
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // where a folder cannot be synced
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// target returns the file that a path leads to, which may not be there yet. A link that leads nowhere
// is an error.
func target(path string) (string, error) {
	file, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Lstat(path); errors.Is(statErr, fs.ErrNotExist) {
			return path, nil
		}
	}
	return file, err
}
