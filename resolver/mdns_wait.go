package resolver

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// The answers to a packet with other questions besides, which others may answer at the same time, wait
	// for 20 to 120 ms: RFC 6762, section 6.3.
	leastForOthers  = 20 * time.Millisecond
	spreadForOthers = 100 * time.Millisecond
	// Those to a query that goes on in further packets wait for 400 to 500 ms after the last of them that
	// says so, for the known answers that are to come: section 7.2.
	leastForKnown  = 400 * time.Millisecond
	spreadForKnown = 100 * time.Millisecond
	// longestForKnown bounds that, however many packets come: with the second that an answer may be put off
	// for, it is less than the three that browsers wait.
	longestForKnown = 1500 * time.Millisecond
)

// Bounds of the answers that wait, of all senders and of one. Beyond, nothing waits: what is answered too
// early, or although it is known, costs a packet.
const (
	maxWaiting         = 4096
	maxWaitingOfSender = 256
)

// A waitingRoom holds answers that are not to be given yet. Only few are: browsers ask one question in a
// packet, and it is answered at once.
type waitingRoom struct {
	answer func(arrival, []reply)

	mu      sync.Mutex
	taken   int
	senders map[sender]*unfinished
}

// A sender is a host on a link.
type sender struct {
	link link
	addr netip.Addr
}

// An unfinished query is one of which further packets are to come.
type unfinished struct {
	in      arrival // of the first packet
	replies []reply
	until   time.Time
	latest  time.Time
}

func newWaitingRoom(answer func(arrival, []reply)) *waitingRoom {
	return &waitingRoom{answer: answer, senders: map[sender]*unfinished{}}
}

// besideOthers gives answers after the time in which others may give theirs.
func (w *waitingRoom) besideOthers(in arrival, replies []reply) {
	w.mu.Lock()
	room := len(replies) <= maxWaiting-w.taken
	if room {
		w.taken += len(replies)
	}
	w.mu.Unlock()
	if !room {
		w.answer(in, replies)
		return
	}
	time.AfterFunc(leastForOthers+rand.N(spreadForOthers), func() {
		w.mu.Lock()
		w.taken -= len(replies)
		w.mu.Unlock()
		w.answer(in, replies)
	})
}

// has reports whether answers wait for a sender.
func (w *waitingRoom) has(s sender) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.senders[s] != nil
}

// hear takes a query that a sender sent to the group, and the answers that it calls for. If more packets are
// to come, it keeps them until then and returns true. Answers that wait for this sender, and that the query
// says are known, are not given any more; what another asked for waits, or does not, by itself.
func (w *waitingRoom) hear(s sender, in arrival, m *dns.Msg, replies []reply) (kept bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, waits := w.senders[s]
	if !waits && (!m.Truncated || len(replies) == 0) {
		return false
	}
	now, wait := time.Now(), leastForKnown+rand.N(spreadForKnown)
	if waits {
		before := len(u.replies)
		u.replies = unknown(u.replies, m.Answer)
		w.taken -= before - len(u.replies)
		if m.Truncated {
			u.until = now.Add(min(wait, u.latest.Sub(now)))
		}
	} else {
		u = &unfinished{in: in, until: now.Add(wait), latest: now.Add(longestForKnown)}
	}
	if !m.Truncated || len(replies) == 0 || len(replies) > maxWaiting-w.taken || len(replies) > maxWaitingOfSender-len(u.replies) {
		return false
	}
	w.taken += len(replies)
	u.replies = append(u.replies, replies...)
	if !waits {
		w.senders[s] = u
		time.AfterFunc(wait, func() { w.finish(s, u) })
	}
	return true
}

// finish gives the answers to a query whose time is over.
func (w *waitingRoom) finish(s sender, u *unfinished) {
	w.mu.Lock()
	if more := time.Until(u.until); more > 0 {
		time.AfterFunc(more, func() { w.finish(s, u) })
		w.mu.Unlock()
		return
	}
	delete(w.senders, s)
	w.taken -= len(u.replies)
	w.mu.Unlock()
	w.answer(u.in, u.replies)
}
