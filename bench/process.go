//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat: 100 a second on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// A process is a server that runs on the servers' core, with all that it forked.
type process struct {
	pid   int
	ended chan struct{} // closed when it has
	log   string
}

// start runs a command on one core. Its output goes to a file, which is shown if it ends too early.
func start(cpu int, log string, command []string, env ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(cpu)}, command...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(log), out, out
	cmd.Env = append(os.Environ(), env...)
	// A group of its own, to end what it forks with it; and it does not outlive a benchmark that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, ended: make(chan struct{}), log: log}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// prefer gives a priority to all that this thread starts from now on. With autogroups (sched(7)) that counts
// only beside other processes of the same session, so the session gets it too, until reset.
func prefer(nice int) (reset func(), err error) {
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, nice); err != nil {
		return nil, err
	}
	const autogroup = "/proc/self/autogroup"
	before, err := os.ReadFile(autogroup)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	} else if err != nil {
		return nil, err
	}
	words := strings.Fields(string(before)) // name nice N
	if err := os.WriteFile(autogroup, []byte(strconv.Itoa(nice)), 0); err != nil {
		return nil, err
	}
	return func() { os.WriteFile(autogroup, []byte(words[len(words)-1]), 0) }, nil
}

// stop ends the process and its children.
func (p *process) stop() {
	syscall.Kill(-p.pid, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(3 * time.Second):
	}
	syscall.Kill(-p.pid, syscall.SIGKILL) // what is left of the group
	<-p.ended
}

// failed returns an error with what the process printed, if it has ended.
func (p *process) failed() error {
	select {
	case <-p.ended:
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("it ended:\n%s", bytes.TrimSpace(text))
	default:
		return nil
	}
}

// tree returns the ids of the process and all below it.
func (p *process) tree() ([]int, error) {
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, path := range stats {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		if fields, err := readStat(pid); err == nil {
			parent, _ := strconv.Atoi(fields[statParent])
			children[parent] = append(children[parent], pid)
		}
	}
	tree := []int{p.pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// Fields of /proc/PID/stat behind the name of the program, as readStat returns them: proc(5).
const statParent, statUser, statSystem = 1, 11, 12

func readStat(pid int) ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) <= statSystem {
		return nil, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	return fields, nil
}

// A usage is the CPU time of a process and all below it, by the two clocks that the kernel has for it.
type usage struct {
	stat  time.Duration // user and system time of /proc/PID/stat, in steps of 10 ms
	sched time.Duration // of every thread's schedstat, in nanoseconds; zero where there is none
}

func (u usage) minus(v usage) usage { return usage{u.stat - v.stat, u.sched - v.sched} }
func (u usage) plus(v usage) usage  { return usage{u.stat + v.stat, u.sched + v.sched} }

func (p *process) usage() (u usage, err error) {
	tree, err := p.tree()
	if err != nil {
		return u, err
	}
	for _, pid := range tree {
		fields, err := readStat(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		} else if err != nil {
			return u, err
		}
		for _, f := range []string{fields[statUser], fields[statSystem]} {
			ticks, err := strconv.Atoi(f)
			if err != nil {
				return u, err
			}
			u.stat += time.Duration(ticks) * clockTick
		}
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return u, err
		}
		for _, path := range threads {
			var nanoseconds time.Duration
			if raw, err := os.ReadFile(path); err == nil {
				fmt.Sscan(string(raw), &nanoseconds)
			}
			u.sched += nanoseconds
		}
	}
	return u, nil
}

// resident returns how much memory the process has in RAM, in octets.
func (p *process) resident() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, err
	}
	lines := strings.Split(string(raw), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "VmRSS:") })
	if i < 0 {
		return 0, p.failed()
	}
	var kib int64
	_, err = fmt.Sscanf(lines[i], "VmRSS: %d kB", &kib)
	return kib << 10, err
}

// coresBusy returns for how long the cores of servers and load were not idle, since the machine started.
func (b *bench) coresBusy() (busy time.Duration, err error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if !slices.Contains([]string{fmt.Sprintf("cpu%d", b.serverCPU), fmt.Sprintf("cpu%d", b.loadCPU)}, fields[0]) {
			continue
		}
		for i, f := range fields[1:9] {
			ticks, err := strconv.Atoi(f)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w", err)
			}
			if i != 3 && i != 4 { // idle, and waiting for a disk; stolen time is another's
				busy += time.Duration(ticks) * clockTick
			}
		}
	}
	return busy, nil
}
