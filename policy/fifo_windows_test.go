package policy_test

import "os"

// makeFIFO makes something else that is no regular file: Windows has no FIFO in a folder.
func makeFIFO(path string) error { return os.Mkdir(path, 0o700) }
