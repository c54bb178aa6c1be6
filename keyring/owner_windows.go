package keyring

import "os"

func ownedByUs(os.FileInfo) bool { return true }
