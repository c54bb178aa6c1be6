//go:build linux

// Command bench compares candgw with DNS servers that answer static names: README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/candgw/candgw/cipher"
)

// A bench is one run of all that was asked for.
type bench struct {
	roundCount         int
	turnTime, slowTime time.Duration
	rate, names, many  int
	only, modes, keyed list
	programs           programs
	serverCPU, loadCPU int
	sockets            int
	nice               int
	ipv6               bool

	ctx          context.Context
	lock         *os.File // held by one benchmark at a time; it goes with the process
	folder       string
	records      []record
	keys         []*cipher.Key // that they are encrypted with
	floorAddress string
	started      []*server
	wrong        int
	total        usage // of all turns
	turns        int
}

// A list is a flag of words with commas between.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }
func (l *list) Set(text string) error {
	*l = strings.Split(text, ",")
	return nil
}

// modes are what can be measured.
var modes = []string{"saturation", "rate", "keys", "memory"}

func main() {
	// A server dies with the thread that started it (Pdeathsig): let that be the one that stays.
	runtime.LockOSThread()
	b := &bench{modes: modes, keyed: list{"1", "4", "16"}}
	flag.IntVar(&b.roundCount, "rounds", 20, "turns of each server")
	flag.DurationVar(&b.turnTime, "turn", time.Second, "length of a turn at saturation")
	flag.DurationVar(&b.slowTime, "rate-turn", 2*time.Second, "length of a turn at the fixed rate")
	flag.IntVar(&b.rate, "rate", 5000, "queries a second of the mode rate")
	flag.IntVar(&b.names, "names", 1000, "names that each server knows")
	flag.IntVar(&b.many, "memory-names", 10_000_000, "different names of the mode memory")
	flag.Var(&b.only, "only", "servers to compare (default all)")
	flag.Var(&b.modes, "modes", "what to measure")
	flag.Var(&b.keyed, "keys", "numbers of keys that decrypt, of the mode keys")
	flag.Var(&b.programs, "candgw", "builds of candgw to compare, as `NAME=PATH,…` (default: this checkout's)")
	flag.IntVar(&b.serverCPU, "server-cpu", 0, "core of the servers")
	flag.IntVar(&b.loadCPU, "load-cpu", 1, "core of the load")
	flag.IntVar(&b.sockets, "sockets", 8, "sockets that the load asks from, with 128 queries in all")
	flag.IntVar(&b.nice, "nice", 0, "priority of servers and load, less than 0 for root alone: for a machine that does other things too")
	flag.BoolVar(&b.ipv6, "ipv6", false, "names of IPv6 addresses, asked for by AAAA")
	flag.Parse()
	for _, check := range []struct {
		flag         string
		words, known []string
	}{{"only", b.only, serverNames()}, {"modes", b.modes, modes}} {
		for _, w := range check.words {
			if !slices.Contains(check.known, w) {
				fmt.Fprintf(os.Stderr, "bench: --%s: there is no %q, but %s\n", check.flag, w, strings.Join(check.known, ", "))
				os.Exit(2)
			}
		}
	}
	err := b.run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nbench: %v\n", err)
	}
	if b.wrong > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d answers were wrong\n", b.wrong)
		os.Exit(1)
	}
	if err != nil {
		os.Exit(2)
	}
}

func (b *bench) measures(mode string) bool { return slices.Contains(b.modes, mode) }

func (b *bench) path(name string) string { return filepath.Join(b.folder, name) }

func (b *bench) run() (err error) {
	if flag.NArg() > 0 || b.roundCount < 1 || b.serverCPU == b.loadCPU {
		return fmt.Errorf("want flags alone, at least one round, and two cores: see -help")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b.ctx = ctx
	if b.folder, err = os.MkdirTemp("", "candgw-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.folder)
	defer func() {
		b.stop(b.started)
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
	}()
	if err := b.alone(); err != nil {
		return err
	}
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") // where servers are
	fmt.Fprintln(os.Stderr, "installing and building")
	if err := b.build(); err != nil {
		return err
	}
	if err := b.write(); err != nil {
		return err
	}
	if b.nice != 0 {
		reset, err := prefer(b.nice)
		if err != nil {
			return fmt.Errorf("--nice: %w", err)
		}
		defer reset()
	}
	for _, part := range []struct {
		wanted bool
		run    func() error
	}{
		{b.measures("saturation") || b.measures("rate"), b.compare},
		{b.measures("keys"), b.compareKeys},
		{b.measures("memory"), b.compareMemory},
	} {
		if !part.wanted {
			continue
		}
		if err := part.run(); err != nil {
			return err
		}
	}
	if b.total != (usage{}) {
		b.clocks()
	}
	return nil
}

// alone waits until no other benchmark runs on the machine: they would measure each other.
func (b *bench) alone() error {
	var err error
	if b.lock, err = os.Open(os.TempDir()); err != nil {
		return err
	}
	for told := false; ; told = true {
		if err = syscall.Flock(int(b.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
			return err
		}
		if !told {
			fmt.Fprintln(os.Stderr, "waiting until another benchmark is over")
		}
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (b *bench) stop(servers []*server) {
	for _, s := range servers {
		s.stop()
	}
	b.started = slices.DeleteFunc(b.started, func(s *server) bool { return slices.Contains(servers, s) })
}

// write makes the names and the files that all servers but candgw read.
func (b *bench) write() (err error) {
	if b.keys, err = makeRing(b.path("ring"), 1); err != nil {
		return err
	}
	if b.records, err = encrypt(b.keys, 0, b.names, b.ipv6); err != nil {
		return err
	}
	b.floorAddress = b.records[0].addr.String()
	sameAddress := func(r record) string { return r.name + " " + b.floorAddress }
	for name, line := range map[string]func(record) string{
		"names": expectation, "floor-names": sameAddress, "queries": dnsperfLine, "local-data": localData,
	} {
		if err := writeLines(b.path(name), b.records, line); err != nil {
			return err
		}
	}
	return writeZone(b.path("zone"), b.records)
}

// startCandgw starts each build of candgw.
func (b *bench) startCandgw() (servers []*server, err error) {
	for _, p := range b.programs {
		s := &server{name: p.name, names: b.path("names"), queries: b.path("queries")}
		servers = append(servers, s)
		if s.version, err = commit(p.path); err != nil {
			return servers, err
		}
		if err := b.startServer(s, func(folder string, port int) ([]string, error) {
			return candgwCommand(p.path, b.path("ring"), folder, port)
		}); err != nil {
			return servers, err
		}
	}
	return servers, nil
}

// startAll starts the servers that were asked for.
func (b *bench) startAll() (servers []*server, err error) {
	wanted := func(name string) bool { return len(b.only) == 0 || slices.Contains(b.only, name) }
	if wanted("candgw") {
		if servers, err = b.startCandgw(); err != nil {
			return servers, err
		}
	}
	for _, k := range kinds {
		if !wanted(k.name) {
			continue
		}
		s := &server{name: k.name, names: b.path("names"), queries: b.path("queries")}
		if k.name == "floor" {
			s.names = b.path("floor-names")
		}
		if s.version, err = k.version(b); err != nil {
			return servers, err
		}
		servers = append(servers, s)
		if err := b.startServer(s, func(folder string, port int) ([]string, error) { return k.prepare(b, folder, port) }); err != nil {
			return servers, err
		}
	}
	return servers, nil
}

// compare is the modes saturation and rate.
func (b *bench) compare() error {
	servers, err := b.startAll()
	if err != nil {
		return err
	}
	b.machine(servers)
	fmt.Printf("Each server answered each of the %d names rightly. dnsperf, for a second each, had answers to:\n\n", b.names)
	for _, s := range servers {
		part, err := b.dnsperf(s)
		if err != nil {
			return err
		}
		fmt.Printf("- %s: %s\n", s.name, part)
	}
	fmt.Println()
	if b.measures("saturation") {
		s, err := b.rounds("saturation", servers, "-s", seconds(b.turnTime))
		if err != nil {
			return err
		}
		fmt.Printf("## As fast as it answers\n\n%d rounds of %v.\n\n", b.roundCount, b.turnTime)
		b.table(s, servers[0].name+" ÷ this", s.ratio)
		b.targets(s, target{"nsd", 0.85}, target{"knot", 0.85}, target{"floor", 1.35}, target{"coredns", 0.125})
	}
	if b.measures("rate") {
		s, err := b.rounds("rate", servers, "-s", seconds(b.slowTime), "-r", strconv.Itoa(b.rate))
		if err != nil {
			return err
		}
		fmt.Printf("## %d queries/s, evenly spaced\n\n%d rounds of %v.\n\n", b.rate, b.roundCount, b.slowTime)
		b.table(s, servers[0].name+" ÷ this", s.ratio)
		if b.rate == 5000 {
			b.targets(s, target{"knot", 1.2})
		}
	}
	b.stop(servers)
	return nil
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// compareKeys is the mode keys: the first build of candgw with rings of so many keys, names of each in turn.
func (b *bench) compareKeys() error {
	var servers []*server
	for _, text := range b.keyed {
		count, err := strconv.Atoi(text)
		if err != nil || count < 1 {
			return fmt.Errorf("--keys: %q is no number of keys", text)
		}
		ring := b.path("ring-" + text)
		keys, err := makeRing(ring, count)
		if err != nil {
			return err
		}
		records, err := encrypt(keys, 0, b.names, b.ipv6)
		if err != nil {
			return err
		}
		s := &server{name: text + " keys", names: b.path("names-" + text)}
		if err := writeLines(s.names, records, expectation); err != nil {
			return err
		}
		servers = append(servers, s)
		if err := b.startServer(s, func(folder string, port int) ([]string, error) {
			return candgwCommand(b.programs[0].path, ring, folder, port)
		}); err != nil {
			return err
		}
	}
	s, err := b.rounds("keys", servers, "-s", seconds(b.turnTime))
	if err != nil {
		return err
	}
	fmt.Printf("## By keys that decrypt\n\n%d rounds of %v, as fast as it answers; the names are of each key in turn.\n\n", b.roundCount, b.turnTime)
	b.table(s, "this ÷ "+servers[0].name, func(first, this int) spread { return s.ratio(this, first) })
	b.stop(servers)
	return nil
}

// compareMemory is the mode memory.
func (b *bench) compareMemory() error {
	servers, err := b.startCandgw()
	if err != nil {
		return err
	}
	var all []growth
	for _, s := range servers {
		g, err := b.grow(s, b.many)
		if err != nil {
			return err
		}
		all = append(all, g)
	}
	fmt.Printf("## Memory\n\n")
	b.memory(all)
	b.stop(servers)
	return nil
}
