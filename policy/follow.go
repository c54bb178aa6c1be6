package policy

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync/atomic"
	"time"
)

// Files is the policies of a path, which change as its files do. It is safe for concurrent use.
type Files struct {
	loader *Loader
	path   string
	live   atomic.Pointer[Set]
	tried  look // when the path was read last
}

// Open reads the policies of a path as [Loader.LoadPath] does.
func (l *Loader) Open(path string) (*Files, error) {
	f := &Files{loader: l, path: path}
	return f, f.read()
}

// Set returns the policies in use.
func (f *Files) Set() *Set { return f.live.Load() }

// Follow takes policies into use whenever their files change, and when again receives, until ctx ends.
// Loaded hears of every set that is taken into use. A set with a mistake changes nothing, and failed
// hears of it once. It is to be called once.
//
// Files are looked at every so often, and read when two looks in a row find the same: not while they are
// being written.
func (f *Files) Follow(ctx context.Context, every time.Duration, again <-chan os.Signal, loaded func(*Set), failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, told := f.tried, ""
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-again:
			asked, told = true, ""
		case <-tick.C:
		}
		now := lookAt(f.path, f.tried)
		settled := now.equal(last)
		last = now
		if !asked && (!settled || now.equal(f.tried)) {
			continue
		}
		if err := f.read(); err == nil {
			told = ""
			loaded(f.Set())
		} else if told != err.Error() {
			told = err.Error()
			failed(err)
		}
	}
}

func (f *Files) read() error {
	now := lookAt(f.path, nil)
	set, lists, err := f.loader.loadPath(f.path)
	f.tried = nil // what fails for another reason than a mistake may pass by itself
	if err == nil || errors.Is(err, ErrInvalid) {
		f.tried = now
		maps.Copy(f.tried, lists)
	}
	if err == nil {
		f.live.Store(set)
	}
	return err
}

// A look is what files looked like; those that are not there are nil.
type look map[string]os.FileInfo

// lookAt looks at the policy files of a path, and at those of an earlier look.
func lookAt(path string, earlier look) look {
	out := look{}
	files, _ := policyFiles(path) // an error is one as well when they are read
	for _, name := range files {
		out[name], _ = os.Stat(name)
	}
	for name := range earlier {
		if _, ok := out[name]; !ok {
			out[name], _ = os.Stat(name)
		}
	}
	return out
}

func (l look) equal(m look) bool {
	return maps.EqualFunc(l, m, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
	})
}
