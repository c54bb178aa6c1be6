package resolver

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// When the answers to queries of several packets or several questions come, and which: RFC 6762, sections 6.3
// and 7.2.
func TestMDNSWaits(t *testing.T) {
	const ms = time.Millisecond
	const asker, other = "10.77.1.9:5353", "10.77.1.8:5353"
	w := newWorld(t)
	names := w.names(t, addr4, 2)
	ask := func(truncated bool, names ...string) *dns.Msg {
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Truncated: truncated}}
		for _, n := range names {
			m.Question = append(m.Question, dns.Question{Name: n, Qtype: dns.TypeA, Qclass: dns.ClassINET})
		}
		return m
	}
	known := func(truncated bool, names ...string) *dns.Msg {
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Truncated: truncated}}
		for _, n := range names {
			m.Answer = append(m.Answer, newRR(t, n+" 120 IN A 10.77.1.2"))
		}
		return m
	}
	qu := ask(true, names[0])
	qu.Question[0].Qclass |= topBit
	probe := ask(true, names[0])
	probe.Ns = []dns.RR{newRR(t, names[0]+" 120 IN A 10.77.1.3")}
	type packet struct {
		at   time.Duration
		from string
		m    *dns.Msg
	}
	type answer struct {
		name        string
		least, most time.Duration
	}
	for _, tt := range []struct {
		name    string
		packets []packet
		want    []answer
	}{
		{"RFC 6762 6: one question", []packet{{0, asker, ask(false, names[0])}}, []answer{{names[0], 0, 0}}},
		{"RFC 6762 6: all questions are for this node", []packet{{0, asker, ask(false, names...)}}, []answer{{names[0], 0, 0}, {names[1], 0, 0}}},
		{"RFC 6762 6.3: one question may be for others", []packet{{0, asker, ask(false, names[0], "printer.local.")}}, []answer{{names[0], 20 * ms, 120 * ms}}},
		{"RFC 6762 6.3: no question is for this node", []packet{{0, asker, ask(false, "scanner.local.", "printer.local.")}}, nil},

		{"RFC 6762 7.2: truncated, and nothing follows", []packet{{0, asker, ask(true, names[0])}}, []answer{{names[0], 400 * ms, 500 * ms}}},
		{"RFC 6762 7.2: known in the next packet", []packet{{0, asker, ask(true, names...)}, {50 * ms, asker, known(false, names[0])}}, []answer{{names[1], 400 * ms, 500 * ms}}},
		{"RFC 6762 7.2: all are known in further packets", []packet{{0, asker, ask(true, names...)}, {50 * ms, asker, known(true, names[0])}, {60 * ms, asker, known(false, names[1])}}, nil},
		{"RFC 6762 7.2: a further truncated packet prolongs", []packet{{0, asker, ask(true, names[0])}, {300 * ms, asker, known(true, "printer.local.")}}, []answer{{names[0], 700 * ms, 800 * ms}}},
		{"RFC 6762 7.2: the last packet does not prolong", []packet{{0, asker, ask(true, names[0])}, {300 * ms, asker, known(false, "printer.local.")}}, []answer{{names[0], 400 * ms, 500 * ms}}},
		{"RFC 6762 7.2: questions in two packets", []packet{{0, asker, ask(true, names[0])}, {100 * ms, asker, ask(true, names[1])}}, []answer{{names[0], 500 * ms, 600 * ms}, {names[1], 500 * ms, 600 * ms}}},
		{"RFC 6762 7.2: not for ever", []packet{{0, asker, ask(true, names[0])}, {350 * ms, asker, known(true)}, {700 * ms, asker, known(true)}, {1050 * ms, asker, known(true)}, {1400 * ms, asker, known(true)}}, []answer{{names[0], 1500 * ms, 1500 * ms}}},
		{"RFC 6762 7.2: another host knows it", []packet{{0, asker, ask(true, names[0])}, {50 * ms, other, known(false, names[0])}}, []answer{{names[0], 400 * ms, 500 * ms}}},
		{"RFC 6762 7.2: another host waits for it", []packet{{0, asker, ask(true, names[0])}, {50 * ms, other, ask(false, names[0])}, {100 * ms, asker, known(false, names[0])}}, []answer{{names[0], 50 * ms, 50 * ms}}},
		{"RFC 6762 7.2: known answers before the question", []packet{{0, asker, known(true, names[0])}, {50 * ms, asker, ask(false, names[0])}}, []answer{{names[0], 50 * ms, 50 * ms}}},
		{"RFC 6762 7.2: QU", []packet{{0, asker, qu}}, []answer{{names[0], 400 * ms, 500 * ms}}},
		{"RFC 6762 7.2: legacy queries do not go on", []packet{{0, "10.77.1.9:40000", ask(true, names[0])}}, []answer{{names[0], 0, 0}}},
		{"RFC 6762 6.3: a probe does not wait", []packet{{0, asker, probe}}, []answer{{names[0], 0, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, p := w.newMDNS(t)
				start := time.Now()
				var got []string
				var at []time.Duration
				stop, stopped := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(stopped)
					for {
						select {
						case <-stop:
							return
						case d := <-p.out:
							var answer dns.Msg
							if err := answer.Unpack(d.packet); err != nil || len(answer.Answer) != 1 {
								t.Errorf("sent %v, %v", &answer, err)
								continue
							}
							got, at = append(got, answer.Answer[0].Header().Name), append(at, time.Since(start))
						}
					}
				}()
				for _, in := range tt.packets {
					time.Sleep(in.at - time.Since(start))
					m.handle(pack(t, in.m), fromHost(in.from))
				}
				time.Sleep(5 * time.Second)
				close(stop)
				<-stopped
				ok := len(got) == len(tt.want)
				for i := range min(len(got), len(tt.want)) {
					ok = ok && got[i] == tt.want[i].name && at[i] >= tt.want[i].least && at[i] <= tt.want[i].most
				}
				if !ok {
					t.Errorf("answered %v at %v, want %v", got, at, tt.want)
				}
				if taken, senders := m.waiting.holds(); taken != 0 || senders != 0 {
					t.Errorf("%d answers of %d senders wait for nothing", taken, senders)
				}
			})
		})
	}
}

// holds returns how many answers wait in a room, and of how many senders with unfinished queries.
func (w *waitingRoom) holds() (taken, senders int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken, len(w.senders)
}

// Whoever sends queries that never end fills neither the memory, nor keeps others from being answered.
func TestMDNSWaitsBounded(t *testing.T) {
	w := newWorld(t)
	names := w.names(t, addr6, 2*maxWaiting)
	for _, tt := range []struct {
		name   string
		from   func(i int) string
		waits  int
		second string // a line that is sent besides the name, in the same packet
	}{
		{"RFC 6762 7.2: one sender", func(int) string { return "10.77.1.9:5353" }, maxWaitingOfSender, ""},
		{"RFC 6762 7.2: forged senders", func(i int) string { return fmt.Sprintf("10.77.%d.%d:5353", i/250, i%250) }, maxWaiting, ""},
		{"RFC 6762 6.3: several questions", func(int) string { return "10.77.1.9:5353" }, maxWaiting, "printer.local."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, p := w.newMDNS(t)
				sent := 0
				take := func() {
					for len(p.out) > 0 {
						sent, _ = sent+1, <-p.out
					}
				}
				for i, name := range names {
					q := new(dns.Msg).SetQuestion(name, dns.TypeAAAA)
					if tt.second == "" {
						q.Truncated = true
					} else {
						q.Question = append(q.Question, dns.Question{Name: tt.second, Qtype: dns.TypeA, Qclass: dns.ClassINET})
					}
					m.handle(pack(t, q), fromHost(tt.from(i)))
					take()
				}
				if taken, _ := m.waiting.holds(); taken != tt.waits || sent != len(names)-tt.waits {
					t.Errorf("%d wait and %d are answered at once, want %d and %d", taken, sent, tt.waits, len(names)-tt.waits)
				}
				for range 600 { // so that what is sent does not pile up
					time.Sleep(time.Millisecond)
					synctest.Wait()
					take()
				}
				if taken, senders := m.waiting.holds(); sent < len(names)-tt.waits+min(tt.waits, maxOut) || taken != 0 || senders != 0 {
					t.Errorf("%d of %d are answered in the end, %d of %d senders wait", sent, len(names), taken, senders)
				}
				time.Sleep(2 * time.Second)
			})
		})
	}
}

// What waits for a sender on one link is not touched by a sender with the same address on another, as
// link-local addresses may be.
func TestMDNSWaitsByLink(t *testing.T) {
	w := newWorld(t)
	name := w.names(t, addr4, 1)[0]
	synctest.Test(t, func(t *testing.T) {
		m, p := w.newMDNS(t)
		far := link{index: testLink.index + 1}
		m.ports[far] = p
		truncated := new(dns.Msg).SetQuestion(name, dns.TypeA)
		truncated.Truncated = true
		m.handle(pack(t, truncated), fromHost("10.77.1.9:5353"))
		in := fromHost("10.77.1.9:5353")
		in.link = far
		m.handle(pack(t, &dns.Msg{Answer: []dns.RR{newRR(t, name+" 120 IN A 10.77.1.2")}}), in)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(p.out) != 1 {
			t.Errorf("%d answers, want one", len(p.out))
		}
		time.Sleep(2 * time.Second)
	})
}

// Groups other than that of Multicast DNS may reach beyond the link: RFC 6762, section 11.
func TestMDNSOtherGroups(t *testing.T) {
	w := newWorld(t)
	m, p := w.newMDNS(t)
	packet := pack(t, new(dns.Msg).SetQuestion(w.names(t, addr4, 1)[0], dns.TypeA))
	for _, dst := range []string{"224.0.0.1", "239.255.255.250", "ff02::1", "ff05::fb"} {
		in := fromHost("10.77.1.9:5353")
		in.dst = netip.MustParseAddr(dst).AsSlice()
		if m.handle(packet, in); len(p.out) != 0 {
			t.Errorf("a question to %s is answered", dst)
		}
	}
	if m.handle(packet, fromHost("10.77.1.9:5353")); len(p.out) != 1 {
		t.Error("a question to the group is not answered")
	}
}
