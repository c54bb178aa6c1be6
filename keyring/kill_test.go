package keyring

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

// TestHand is no test but another process, which works on the folder in $CANDGW_TEST_HAND: it makes a
// number of edits, or a change of that name, or changes at random without end.
func TestHand(t *testing.T) {
	dir := os.Getenv("CANDGW_TEST_HAND")
	if dir == "" {
		t.Skip("it is run by other tests")
	}
	s, _ := openWith(dir, testPassphrase)
	work := os.Getenv("CANDGW_TEST_WORK")
	edits, _ := strconv.Atoi(work)
	for range edits {
		k := newKey(t, cipher.AESUUID)
		if _, err := s.Update(func(e *Editor) error { return e.Add(k, Standby) }); err != nil {
			t.Fatal(err)
		}
		fmt.Println("added", k.ID())
	}
	for _, c := range changes(t) {
		if c.name == work {
			runtime.LockOSThread() // system calls are counted for each thread
			if _, err := c.do(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if work != "" {
		return
	}
	fmt.Println("ready")
	for {
		r, err := changeAtRandom(t, s)
		if errors.Is(err, ErrWrongKEK) { // a backup that a rekey did not come to
			continue
		} else if err != nil {
			fmt.Println("failed", err)
			return
		}
		fmt.Println("done", r.Revision())
	}
}

func changeAtRandom(t *testing.T, s *FileStore) (*Ring, error) {
	switch n := rand.IntN(6); n {
	case 0:
		return s.RekeyToNew()
	case 1:
		return s.RekeyToPassphrase([]byte(testPassphrase))
	case 2:
		if backup := s.backupPath(1 + rand.IntN(backups)); s.exists(filepath.Base(backup)) {
			return s.Restore(backup)
		}
	}
	return s.Update(func(e *Editor) error {
		if len(e.entries) > 10 {
			e.entries = e.entries[:1]
		}
		return e.Add(newKey(t, cipher.AESUUID), Standby)
	})
}

// handCommand returns the command that runs TestHand, by way of another program if one is given.
func handCommand(t *testing.T, dir, work string, by ...string) *exec.Cmd {
	args := append(by, os.Args[0], "-test.run=^TestHand$", "-test.count=1")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "CANDGW_TEST_HAND="+dir, "CANDGW_TEST_WORK="+work, "TMPDIR="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

func hand(t *testing.T, dir, work string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := handCommand(t, dir, work)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// A process that changes a folder without pause is killed at random moments. Each time the ring is the
// last that it told to be done, or the next.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 15 seconds")
	}
	// Three folders at once: most of the time a process starts, or waits for the disk.
	for i := range 3 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			killForAWhile(t, 15*time.Second)
		})
	}
}

func killForAWhile(t *testing.T, while time.Duration) {
	s, r := newStore(t)
	s.Passphrase = func() ([]byte, error) { return []byte(testPassphrase), nil }
	kills, last := 0, r.Revision()
	for end := time.Now().Add(while); time.Now().Before(end); kills++ {
		cmd, lines := hand(t, s.dir, "")
		for lines.Scan() {
			if lines.Text() == "ready" {
				time.AfterFunc(rand.N(40*time.Millisecond), func() { cmd.Process.Kill() })
			} else if _, err := fmt.Sscanf(lines.Text(), "done %d", &last); err != nil {
				t.Fatalf("the other process says %q", lines.Text())
			}
		}
		cmd.Wait()
		r, err := s.Load()
		if err != nil {
			t.Fatalf("after %d kills: %v", kills+1, err)
		}
		if got := r.Revision(); got != last && got != last+1 {
			t.Fatalf("after %d kills: revision %d, and %d was done", kills+1, got, last)
		}
		last = r.Revision()
	}
	t.Logf("%d kills, %d revisions", kills, last)
	if _, err := s.Update(addKey(t)); err != nil {
		t.Fatal(err)
	}
	want := []string{"kek", "lock", "revision", "ring", "ring.1", "ring.2", "ring.3"}
	if got := files(t, s.dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %q", got)
	}
}

// A process is killed as it enters each system call in turn that could change the folder.
func TestKillAtEachSystemCall(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip(err)
	}
	for _, c := range changes(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			revision := uint64(5)
			if c.name == "init" {
				revision = 0
			}
			before, kills := storeAt(t, revision), 0
			for _, call := range []string{"mkdirat", "openat", "write", "fchmod", "fsync", "renameat", "unlinkat"} {
				for n := 1; killedAt(t, strace, c, before.dir, revision, call, n); n++ {
					kills++
				}
			}
			t.Logf("killed at %d system calls", kills)
		})
	}
}

// killedAt reports whether a process that changes a copy of a folder came to its nth system call of a
// kind, and died there.
func killedAt(t *testing.T, strace string, c rekeying, template string, revision uint64, call string, n int) (killed bool) {
	dir := filepath.Join(t.TempDir(), "data")
	if revision > 0 {
		if out, err := exec.Command("cp", "-a", template, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	out, err := handCommand(t, dir, c.name, strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace="+call,
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n)).CombinedOutput()
	killed = err != nil && strings.Contains(err.Error(), "killed")
	if err != nil && !killed {
		t.Skipf("strace does not do it here: %v: %s", err, out)
	}
	if r := checkAfterCrash(t, c, dir, revision); !killed && r.Revision() == revision {
		t.Fatalf("%s %d: the change was made, and the ring is that before", call, n)
	}
	return killed
}

// Processes that edit at once lose no edit.
func TestManyHands(t *testing.T) {
	s, first := newStore(t)
	const hands, edits = 8, 5
	var mu sync.Mutex
	var added []string
	var wg sync.WaitGroup
	for range hands {
		cmd, lines := hand(t, s.dir, strconv.Itoa(edits))
		wg.Go(func() {
			for lines.Scan() {
				if id, ok := strings.CutPrefix(lines.Text(), "added "); ok {
					mu.Lock()
					added = append(added, id)
					mu.Unlock()
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(added) != hands*edits || r.Revision() != first.Revision()+hands*edits {
		t.Errorf("%d keys told to be added, revision %d", len(added), r.Revision())
	}
	for _, text := range added {
		id, err := cipher.ParseKeyID(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Lookup(id); err != nil {
			t.Error(err)
		}
	}
}
