package resolver

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A multicastLog is what a pacer sent, and when.
type multicastLog struct {
	mu    sync.Mutex
	start time.Time
	lines []string
}

func newLoggedPacer() (*pacer, *multicastLog) {
	log := &multicastLog{start: time.Now()}
	return newPacer(log.add), log
}

func (l *multicastLog) sent() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// holds returns how many names a pacer remembers, and how many ends of pauses are to come.
func (p *pacer) holds() (names, ends int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.names), len(p.ends)
}

func (l *multicastLog) add(_ link, r *reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := ""
	if r.address {
		what += " address"
	}
	if r.nsec {
		what += " nsec"
	}
	l.lines = append(l.lines, fmt.Sprintf("%v: %s%s", time.Since(l.start), r.name, what))
}

// What is multicast when: RFC 6762, section 6, and 6.1 for the NSEC that goes along.
func TestPacer(t *testing.T) {
	type ask struct {
		at    time.Duration
		reply reply
	}
	const ms = time.Millisecond
	address := func(at time.Duration, name string) ask { return ask{at, reply{name: name, address: true}} }
	nsec := func(at time.Duration, name string) ask { return ask{at, reply{name: name, nsec: true}} }
	probe := func(at time.Duration, name string) ask {
		return ask{at, reply{name: name, address: true, defends: true}}
	}
	for _, tt := range []struct {
		name string
		asks []ask
		want []string
	}{
		{"RFC 6762 6: once a second, put off and not dropped", []ask{address(0, "a"), address(100*ms, "a"), address(200*ms, "a"), address(1500*ms, "a"), address(6500*ms, "a")},
			[]string{"0s: a address nsec", "1s: a address nsec", "2s: a address nsec", "6.5s: a address nsec"}},
		{"RFC 6762 6: a second after", []ask{address(0, "a"), address(1000*ms, "a")},
			[]string{"0s: a address nsec", "1s: a address nsec"}},
		{"RFC 6762 6: names by themselves", []ask{address(0, "a"), address(300*ms, "b"), address(400*ms, "b"), address(500*ms, "a")},
			[]string{"0s: a address nsec", "300ms: b address nsec", "1s: a address nsec", "1.3s: b address nsec"}},
		{"RFC 6762 6: an NSEC does not hold back the address, nor go out again", []ask{nsec(0, "a"), address(100*ms, "a")},
			[]string{"0s: a nsec", "100ms: a address"}},
		{"RFC 6762 6.1: an NSEC that was asked for goes along when it may", []ask{nsec(0, "a"), address(100*ms, "a"), nsec(200*ms, "a"), address(300*ms, "a")},
			[]string{"0s: a nsec", "100ms: a address", "1s: a nsec", "1.1s: a address"}},
		{"RFC 6762 6.1: both are put off together", []ask{address(0, "a"), nsec(100*ms, "a"), address(200*ms, "a")},
			[]string{"0s: a address nsec", "1s: a address nsec"}},
		{"RFC 6762 6: a probe is answered after 250 ms", []ask{address(0, "a"), probe(100*ms, "a"), probe(600*ms, "a"), address(700*ms, "a")},
			[]string{"0s: a address nsec", "250ms: a address nsec", "600ms: a address nsec", "1.6s: a address nsec"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, log := newLoggedPacer()
				for _, a := range tt.asks {
					time.Sleep(a.at - time.Since(log.start))
					synctest.Wait() // what is due at that moment has gone out
					p.send(testLink, a.reply)
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if got := log.sent(); !slices.Equal(got, tt.want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
				}
				if names, ends := p.holds(); names != 0 || ends != 0 {
					t.Errorf("%d names and %d ends are remembered for nothing", names, ends)
				}
			})
		})
	}
}

// Each interface and IP version has a pause of its own.
func TestPacerLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log := newLoggedPacer()
		for _, l := range []link{{1, false}, {1, true}, {2, false}} {
			p.send(l, reply{name: "a", address: true})
		}
		if got := log.sent(); len(got) != 3 {
			t.Errorf("sent at once: %q, want it on each of three links", got)
		}
		time.Sleep(2 * time.Second)
	})
}

// Beyond what a pacer remembers everything is still sent, and what it put off comes when it is due.
func TestPacerFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log := newLoggedPacer()
		p.send(testLink, reply{name: "put off", address: true})
		for i := range maxPaced + 10 {
			p.send(testLink, reply{name: fmt.Sprint(i), address: true})
		}
		p.send(testLink, reply{name: "put off", address: true})
		sent := len(log.sent())
		if names, _ := p.holds(); sent != maxPaced+11 || names != maxPaced {
			t.Errorf("sent %d at once, remembers %d", sent, names)
		}
		time.Sleep(pauseBetween)
		synctest.Wait()
		if got := log.sent(); got[len(got)-1] != "1s: put off address nsec" {
			t.Errorf("what was put off: %s", got[len(got)-1])
		}
		time.Sleep(pauseBetween)
		synctest.Wait()
		if names, ends := p.holds(); names != 0 || ends != 0 {
			t.Errorf("%d names and %d ends are remembered for nothing", names, ends)
		}
	})
}

// Whoever asks, and whenever, no record goes out twice within its pause, and all that are asked for go out.
func TestPacerConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		last := map[string]time.Time{}
		answered := map[string]bool{}
		p := newPacer(func(_ link, r *reply) {
			mu.Lock()
			defer mu.Unlock()
			if at, ok := last[r.name]; ok && r.address && time.Since(at) < pauseBetween {
				t.Errorf("%s again after %v", r.name, time.Since(at))
			}
			if r.address {
				last[r.name], answered[r.name] = time.Now(), true
			}
		})
		var askers sync.WaitGroup
		for i := range 8 {
			askers.Go(func() {
				for j := range 500 {
					p.send(testLink, reply{name: fmt.Sprint(j % 7), address: true})
					time.Sleep(time.Duration(1+(i*37+j*11)%90) * time.Millisecond)
				}
			})
		}
		askers.Wait()
		mu.Lock()
		clear(answered)
		mu.Unlock()
		for j := range 7 {
			p.send(testLink, reply{name: fmt.Sprint(j), address: true})
		}
		time.Sleep(pauseBetween)
		synctest.Wait()
		if len(answered) != 7 {
			t.Errorf("answered in the last second: %v", answered)
		}
		time.Sleep(pauseBetween)
	})
}

func BenchmarkPacer(b *testing.B) {
	p := newPacer(func(link, *reply) {})
	names := make([]string, 1<<14)
	for i := range names {
		names[i] = fmt.Sprintf("%036d.local.", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.send(link{index: i >> 14}, reply{name: names[i&(1<<14-1)], address: true})
	}
}
