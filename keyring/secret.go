package keyring

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrPermissions says that a secret file is open to others than its owner.
var ErrPermissions = errors.New("the file is open to others than its owner")

// maxSecret is longer than any ring or key.
const maxSecret = 16 << 20

// ReadSecret reads a regular file that only its owner may open, and whose owner is this user or root;
// else the error is [ErrPermissions]. On Windows, where the mode of a file says nothing of that, it
// reads any.
func ReadSecret(path string) ([]byte, error) {
	// Looked at before it is opened: opening a pipe would wait.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is no regular file", path, ErrPermissions)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&othersMay(path) != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s: %w (mode %#o): run 'chmod 600 %[1]s', and replace what is in it if others could read it", path, ErrPermissions, mode)
	}
	if !ownedByUs(info) {
		return nil, fmt.Errorf("%s: %w: it belongs to another user: run this as that one, as in 'sudo -u candgw candgw …'", path, ErrPermissions)
	}
	return io.ReadAll(io.LimitReader(f, maxSecret))
}

// othersMay returns the bits that the mode of a secret file may not have. Where a service has a user of
// its own, systemd leaves credentials to root and lets that user in by an access control list: the bit
// for the group, which then is the list's mask, is set, and the group itself may read nothing.
func othersMay(path string) os.FileMode {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir != "" && filepath.Dir(path) == filepath.Clean(dir) {
		return 0o037
	}
	return 0o077
}

// ParseMaterial reads secret octets that were written as text, as hexadecimal digits or as base64
// (RFC 4648, section 4, with padding), with white space around. The error tells nothing of the text.
func ParseMaterial(text []byte) ([]byte, error) {
	s := strings.TrimSpace(string(text))
	if s == "" {
		return nil, errors.New("no key given")
	}
	if b, err := hex.DecodeString(s); err == nil {
		return b, nil
	}
	if b, err := base64.StdEncoding.Strict().DecodeString(s); err == nil {
		return b, nil
	}
	return nil, errors.New("the key is neither hexadecimal nor base64")
}
