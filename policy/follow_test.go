package policy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/candgw/candgw/policy"
)

const (
	lookEvery = 10 * time.Millisecond
	patience  = 10 * time.Second
	// quiet is how long nothing is heard where there is nothing to hear.
	quiet = 15 * lookEvery
)

// A follower hears what Follow tells.
type follower struct {
	*testing.T
	files  *policy.Files
	again  chan os.Signal
	loaded chan *policy.Set
	failed chan error
}

func follow(t *testing.T, path string) *follower {
	t.Helper()
	return followEvery(t, path, lookEvery)
}

func followEvery(t *testing.T, path string, every time.Duration) *follower {
	t.Helper()
	files, err := new(policy.Loader).Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t, files, make(chan os.Signal), make(chan *policy.Set), make(chan error)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		files.Follow(ctx, every, f.again, func(s *policy.Set) {
			select {
			case f.loaded <- s:
			case <-ctx.Done():
			}
		}, func(err error) {
			select {
			case f.failed <- err:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// loads waits until a set is loaded, in which a client is a policy's.
func (f *follower) loads(client, want string) {
	f.Helper()
	select {
	case set := <-f.loaded:
		if set != f.files.Set() {
			f.Error("not the set in use")
		}
	case err := <-f.failed:
		f.Fatal(err)
	case <-time.After(patience):
		f.Fatal("nothing is loaded")
	}
	f.decides(client, want)
}

func (f *follower) decides(client, want string) {
	f.Helper()
	if got := f.files.Set().DecideSession(ip(client), "").InboundBy.Name(); got != want {
		f.Fatalf("%s is for %q, want %q", client, got, want)
	}
}

func (f *follower) fails() error {
	f.Helper()
	select {
	case <-f.loaded:
		f.Fatal("loaded")
	case err := <-f.failed:
		return err
	case <-time.After(patience):
		f.Fatal("nothing is told")
	}
	return nil
}

func (f *follower) isQuiet() {
	f.Helper()
	select {
	case <-f.loaded:
		f.Fatal("loaded")
	case err := <-f.failed:
		f.Fatal(err)
	case <-time.After(quiet):
	}
}

func TestFollowChanges(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "b.hcl")
	write(t, file, named("b"))
	f := follow(t, folder)
	f.decides("10.0.0.1", "b")
	f.isQuiet()

	write(t, file, named("other"))
	f.loads("10.0.0.1", "other")
	write(t, filepath.Join(folder, "a.hcl"), named("a"))
	f.loads("10.0.0.1", "a")
	write(t, filepath.Join(folder, "a.test.hcl"), "no policy")
	f.isQuiet()
	if err := os.Remove(filepath.Join(folder, "a.hcl")); err != nil {
		t.Fatal(err)
	}
	f.loads("10.0.0.1", "other")

	// Another file by its name, as editors write it; of the same size, and as old.
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, ".new"), named("OTHER"))
	if err := errors.Join(os.Chtimes(filepath.Join(folder, ".new"), time.Time{}, info.ModTime()), os.Rename(filepath.Join(folder, ".new"), file)); err != nil {
		t.Fatal(err)
	}
	f.loads("10.0.0.1", "OTHER")
	f.isQuiet()
}

func TestFollowOneFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.hcl")
	write(t, file, named("a"))
	f := follow(t, file)
	write(t, filepath.Join(filepath.Dir(file), "b.hcl"), named("b"))
	f.isQuiet()
	write(t, file, named("another"))
	f.loads("10.0.0.1", "another")
}

func TestFollowLists(t *testing.T) {
	folder := t.TempDir()
	list := filepath.Join(folder, "list")
	write(t, list, "10.0.0.0/8\n")
	write(t, filepath.Join(folder, "a.hcl"), "policy \"a\" { clients = file_lines(\"list\") }")
	f := follow(t, folder)
	write(t, list, "10.0.0.0/8\n192.0.2.0/24\n")
	f.loads("192.0.2.1", "a")
	write(t, list, "10.0.0.0/33\n")
	if err := f.fails(); !errors.Is(err, policy.ErrInvalid) {
		t.Error(err)
	}
	f.decides("192.0.2.1", "a")
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	if err := f.fails(); !errors.Is(err, policy.ErrInvalid) {
		t.Error(err)
	}
	f.isQuiet()
	write(t, list, "198.51.100.0/24\n")
	f.loads("198.51.100.1", "a")
}

func TestFollowMistakes(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "a.hcl")
	write(t, file, named("a"))
	f := follow(t, folder)
	for range 2 {
		write(t, file, "policy \"broken\" {")
		if err := f.fails(); !errors.Is(err, policy.ErrInvalid) {
			t.Error(err)
		}
		f.decides("10.0.0.1", "a")
		write(t, filepath.Join(folder, "b.hcl"), named("b")) // the same mistake, read again
		f.isQuiet()
		write(t, file, "policy \"broken otherwise\" {\n")
		f.fails()
		write(t, file, named("a"))
		f.loads("10.0.0.1", "a")
		if err := os.Remove(filepath.Join(folder, "b.hcl")); err != nil {
			t.Fatal(err)
		}
		f.loads("10.0.0.1", "a")
	}
}

// A file that changes at every look is not read until it is left alone.
func TestFollowHalfWritten(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "a.hcl")
	write(t, file, named("a"))
	f := followEvery(t, folder, 100*time.Millisecond)
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for range 40 { // every write comes well before the second look that would find nothing new
		if _, err := out.WriteString("# more to come\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-f.loaded:
			t.Fatal("loaded while it is written")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if _, err := out.WriteString(named("whole")); err != nil {
		t.Fatal(err)
	}
	f.loads("10.0.0.1", "whole")
}

// A folder that goes and comes back as it was is told both times.
func TestFollowFolderGone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "policies")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "list"), "10.0.0.0/8\n")
	write(t, filepath.Join(folder, "a.hcl"), "policy \"a\" { clients = file_lines(\"list\") }")
	f := follow(t, folder)
	for range 2 {
		if err := os.Rename(folder, folder+".away"); err != nil {
			t.Fatal(err)
		}
		if err := f.fails(); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		f.isQuiet()
		f.decides("10.0.0.1", "a")
		if err := os.Rename(folder+".away", folder); err != nil {
			t.Fatal(err)
		}
		f.loads("10.0.0.1", "a")
		f.isQuiet()
	}
}

// As Kubernetes mounts a ConfigMap: files are links by way of ..data, which is swapped for all at once.
func TestFollowSwappedLink(t *testing.T) {
	folder := t.TempDir()
	version := func(name, text, list string) {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name, "a.hcl"), text)
		write(t, filepath.Join(folder, name, "list"), list)
		if err := errors.Join(os.Symlink(name, filepath.Join(folder, "..data_tmp")), os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	const text = "policy \"a\" { clients = file_lines(\"list\") }"
	version("..1", text, "10.0.0.0/8\n")
	for _, name := range []string{"a.hcl", "list"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	f := follow(t, folder)
	version("..2", text, "11.0.0.0/8\n")
	f.loads("11.0.0.1", "a")
	version("..3", named("b"), "")
	f.loads("10.0.0.1", "b")
	f.isQuiet()
}

func TestFollowSignal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.hcl")
	write(t, file, named("a"))
	f := followEvery(t, file, time.Hour)
	f.again <- syscall.SIGHUP // nothing has changed, and it is read all the same
	f.loads("10.0.0.1", "a")
	write(t, file, named("b"))
	f.again <- syscall.SIGHUP
	f.loads("10.0.0.1", "b")
	write(t, file, "broken")
	for range 2 { // who asks is told again
		f.again <- syscall.SIGHUP
		if err := f.fails(); !errors.Is(err, policy.ErrInvalid) {
			t.Error(err)
		}
	}
	f.decides("10.0.0.1", "b")
}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.hcl")
	if _, err := new(policy.Loader).Open(file); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	write(t, file, "broken")
	if _, err := new(policy.Loader).Open(file); !errors.Is(err, policy.ErrInvalid) {
		t.Error(err)
	}
}
