//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/term"
)

// A result is what the load client prints.
type result struct {
	Sent, Answered, Wrong, Lost, Stray int
	Seconds                            float64
	Median                             float64 `json:"median_us"`
	P99                                float64 `json:"p99_us"`

	client time.Duration // the CPU time that the load client took
}

// load runs the load client against a server. That answers are wrong is no error.
func (b *bench) load(s *server, arguments ...string) (r result, err error) {
	command := append([]string{"-c", strconv.Itoa(b.loadCPU), b.path("load"), "-c", strconv.Itoa(b.sockets)}, arguments...)
	cmd := exec.CommandContext(b.ctx, "taskset", append(command, strconv.Itoa(s.port), s.names)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && len(out) > 0) {
		if exit != nil {
			err = fmt.Errorf("load: %w: %s", err, exit.Stderr)
		}
		return r, err
	}
	r.client = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, json.Unmarshal(out, &r)
}

// A turn is what one server did for a while.
type turn struct {
	result
	usage
	all time.Duration // the CPU time that anything took on the two cores
}

func (b *bench) turn(s *server, arguments ...string) (t turn, err error) {
	before, err := s.usage()
	if err != nil {
		return t, err
	}
	busy, err := b.coresBusy()
	if err != nil {
		return t, err
	}
	if t.result, err = b.load(s, arguments...); err != nil {
		return t, fmt.Errorf("%s: %w", s.name, err)
	}
	after, err := s.usage()
	if err != nil {
		return t, err
	}
	t.usage = after.minus(before)
	if t.all, err = b.coresBusy(); err != nil {
		return t, err
	}
	t.all -= busy
	b.right(s, t.result)
	b.total = b.total.plus(t.usage)
	b.turns++
	return t, s.failed()
}

// right counts the answers that were wrong, and tells whose.
func (b *bench) right(s *server, r result) {
	if r.Wrong > 0 {
		fmt.Fprintf(os.Stderr, "\n%s: %d of %d answers were wrong\n", s.name, r.Wrong, r.Answered)
		b.wrong += r.Wrong
	}
}

// progress tells on a terminal what is done now; "" is nothing any more.
func progress(format string, arguments ...any) {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		fmt.Fprintf(os.Stderr, "\r\033[K"+format, arguments...)
	}
}

// A series is the turns of each server, by server and round.
type series struct {
	bench   *bench
	servers []*server
	turns   [][]turn
}

// rounds lets each server have a turn, as many times as there are rounds.
func (b *bench) rounds(what string, servers []*server, arguments ...string) (s series, err error) {
	s = series{b, servers, make([][]turn, len(servers))}
	for round := range b.roundCount {
		for i, server := range servers {
			progress("%s, round %d of %d: %s", what, round+1, b.roundCount, server.name)
			t, err := b.turn(server, arguments...)
			if err != nil {
				return s, err
			}
			s.turns[i] = append(s.turns[i], t)
		}
	}
	progress("")
	return s, nil
}

var completed = regexp.MustCompile(`Queries completed:\s+(\d+) \(([\d.]+)%\)`)
var noError = regexp.MustCompile(`Response codes:\s+NOERROR (\d+) \(([\d.]+)%\)`)

// dnsperf has a server answer for a second and returns which part of the queries it answered.
func (b *bench) dnsperf(s *server) (string, error) {
	out, err := output(b.ctx, "", "taskset", "-c", strconv.Itoa(b.loadCPU),
		"dnsperf", "-s", "127.0.0.1", "-p", strconv.Itoa(s.port), "-d", s.queries, "-l", "1")
	if err != nil {
		return "", err
	}
	all, right := completed.FindStringSubmatch(out), noError.FindStringSubmatch(out)
	if all == nil || right == nil {
		return "", fmt.Errorf("dnsperf printed:\n%s", out)
	}
	if all[1] != right[1] {
		return "", fmt.Errorf("%s: dnsperf: of %s answers %s have no error", s.name, all[1], right[1])
	}
	return fmt.Sprintf("%s%% of %s", all[2], all[1]), nil
}

// A growth is what different names did to the memory of a candgw.
type growth struct {
	name          string
	before, after int64
	names, lost   int
	took          time.Duration // while it was asked
}

// batch is how many names are asked for between making more of them.
const batch = 100_000

// grow asks one candgw for so many different names, each once.
func (b *bench) grow(s *server, count int) (g growth, err error) {
	g.name = s.name
	if g.before, err = s.resident(); err != nil {
		return g, err
	}
	s.names = b.path("many")
	for first := len(b.records); g.names < count; first += batch {
		progress("memory of %s: %d names of %d", s.name, g.names, count)
		records, err := encrypt(b.keys, first, min(batch, count-g.names), b.ipv6)
		if err != nil {
			return g, err
		}
		if err := writeLines(s.names, records, expectation); err != nil {
			return g, err
		}
		r, err := b.load(s, "-o")
		if err != nil {
			return g, fmt.Errorf("%s: %w", s.name, err)
		}
		b.right(s, r)
		g.names += r.Sent
		g.lost += r.Lost
		g.took += time.Duration(r.Seconds * float64(time.Second))
	}
	progress("")
	g.after, err = s.resident()
	return g, err
}
