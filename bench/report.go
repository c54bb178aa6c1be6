//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A spread is the quartiles of some figures.
type spread struct{ low, median, high float64 }

func spreadOf(figures []float64) spread {
	slices.Sort(figures)
	at := func(part float64) float64 {
		place := part * float64(len(figures)-1)
		i := int(place)
		if i+1 == len(figures) {
			return figures[i]
		}
		return figures[i] + (place-float64(i))*(figures[i+1]-figures[i])
	}
	return spread{at(0.25), at(0.5), at(0.75)}
}

// String is the median, and the quartiles.
func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.low, s.high) }

// over returns the spread of a figure over the turns of one server.
func (s series) over(server int, figure func(turn) float64) spread {
	var figures []float64
	for _, t := range s.turns[server] {
		figures = append(figures, figure(t))
	}
	return spreadOf(figures)
}

// ratio returns the CPU time per query of one server over that of another one in the same round.
func (s series) ratio(of, to int) spread {
	var figures []float64
	for round := range s.turns[of] {
		figures = append(figures, s.bench.perQuery(s.turns[of][round])/s.bench.perQuery(s.turns[to][round]))
	}
	return spreadOf(figures)
}

func (s series) index(name string) int {
	return slices.IndexFunc(s.servers, func(v *server) bool { return v.name == name })
}

// cpu returns the CPU time of a turn: in nanoseconds where that agrees with what /proc/PID/stat says.
func (b *bench) cpu(t turn) time.Duration {
	if b.agrees() {
		return t.sched
	}
	return t.stat
}

// agrees reports whether both clocks tell the same over all turns: to 1 %, besides what the steps of
// /proc/PID/stat come to when they do not all go the same way.
func (b *bench) agrees() bool {
	steps := 2 * float64(clockTick) * math.Sqrt(float64(b.turns))
	return math.Abs(float64(b.total.sched-b.total.stat)) <= 0.01*float64(b.total.stat)+steps
}

// perQuery returns microseconds.
func (b *bench) perQuery(t turn) float64 {
	return float64(b.cpu(t)) / float64(time.Microsecond) / float64(t.Answered)
}

// table prints a series, with what compare makes of the first server and of each.
func (b *bench) table(s series, heading string, compare func(first, this int) spread) {
	fmt.Printf("| server | CPU per query, µs | %s | queries/s | busy | median, µs | 99 %%, µs | lost |\n", heading)
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
	for i, v := range s.servers {
		lost := 0
		for _, t := range s.turns[i] {
			lost += t.Lost
		}
		ratio := "1"
		if i > 0 {
			ratio = compare(0, i).String()
		}
		fmt.Printf("| %s | %v | %s | %.0f | %.0f %% | %.0f | %.0f | %d |\n", v.name, s.over(i, b.perQuery), ratio,
			s.over(i, func(t turn) float64 { return float64(t.Answered) / t.Seconds }).median,
			s.over(i, func(t turn) float64 { return 100 * b.cpu(t).Seconds() / t.Seconds }).median,
			s.over(i, func(t turn) float64 { return t.Median }).median,
			s.over(i, func(t turn) float64 { return t.P99 }).median, lost)
	}
	var others, both float64
	for _, turns := range s.turns {
		for _, t := range turns {
			others += max(0, (t.all - t.client - b.cpu(t)).Seconds())
			both += 2 * t.Seconds
		}
	}
	fmt.Printf("\nAnything else took %.1f %% of the two cores.\n\n", 100*others/both)
}

// A target is what candgw's CPU time per query is to be at most, as a part of another server's.
type target struct {
	of   string
	most float64
}

func (b *bench) targets(s series, targets ...target) {
	of := s.index(b.programs[0].name)
	if of < 0 {
		return
	}
	for _, t := range targets {
		to := s.index(t.of)
		if to < 0 {
			continue
		}
		got := s.ratio(of, to)
		verdict := "met"
		if got.median > t.most {
			verdict = "not met"
		}
		fmt.Printf("- %s at most %.3g of %s: %v, **%s**\n", s.servers[of].name, t.most, t.of, got, verdict)
	}
	fmt.Println()
}

// machine prints what the figures were measured with.
func (b *bench) machine(servers []*server) {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	info, _ := os.ReadFile("/proc/cpuinfo")
	model := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(info)
	cpu := runtime.GOARCH
	if model != nil {
		cpu = string(model[1])
	}
	fmt.Printf("%s, %d cores, Linux %s, %s. ", cpu, runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version())
	var versions []string
	for _, s := range servers {
		if s.version != "" {
			versions = append(versions, s.name+" "+s.version)
		}
	}
	fmt.Printf("%s.\n`go run ./bench %s`, %s.\n\n", strings.Join(versions, ", "),
		strings.Join(os.Args[1:], " "), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

// clocks prints where the CPU time comes from.
func (b *bench) clocks() {
	use := "the former is used"
	if !b.agrees() {
		use = "the latter is used, as they differ"
	}
	fmt.Printf("CPU time in all turns: %.2f s by schedstat, %.2f s by /proc/PID/stat; %s.\n", b.total.sched.Seconds(), b.total.stat.Seconds(), use)
}

func (b *bench) memory(all []growth) {
	fmt.Println("| build | RSS before, MiB | after | different names | lost | queries/s |\n| --- | --- | --- | --- | --- | --- |")
	for _, g := range all {
		fmt.Printf("| %s | %.1f | %.1f | %d | %d | %.0f |\n", g.name, float64(g.before)/(1<<20), float64(g.after)/(1<<20),
			g.names, g.lost, float64(g.names)/cmp.Or(g.took.Seconds(), 1))
	}
	fmt.Println()
}
