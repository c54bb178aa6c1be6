package keyring

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Follow makes the ring on disk live, and does so again whenever the file changes, until ctx ends. A
// ring that cannot be loaded, or that is older than the live one, is told to failed, once, and changes
// nothing; it is tried again, because what keeps it from being loaded may pass. loaded hears of every
// ring that was made live.
func (s *FileStore) Follow(ctx context.Context, live *Live, every time.Duration, loaded func(*Ring), failed func(error)) {
	var done os.FileInfo // of the file that needs no further look
	var told string
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		info, err := os.Stat(s.path(ringFile))
		if err == nil && (done == nil || changed(info, done)) {
			if err = s.reload(live, loaded); err == nil {
				done = info
			}
		}
		if err == nil {
			told = ""
		} else if told != err.Error() {
			told = err.Error()
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func changed(a, b os.FileInfo) bool {
	return !os.SameFile(a, b) || !a.ModTime().Equal(b.ModTime()) || a.Size() != b.Size() || a.Mode() != b.Mode()
}

func (s *FileStore) reload(live *Live, loaded func(*Ring)) error {
	r, err := s.Load()
	if err != nil {
		return err
	}
	current := live.Load()
	switch {
	case r.revision < current.revision:
		return s.rolledBack(r.revision, current.revision)
	case r.revision == current.revision && r.digest != current.digest:
		return fmt.Errorf("%s: %w: both are revision %d, with different keys; to take this one, run 'candgw keys restore %[1]s'",
			s.path(ringFile), ErrRolledBack, r.revision)
	case r.revision > current.revision:
		live.Store(r)
		loaded(r)
	}
	return nil
}
