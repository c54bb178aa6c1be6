package resolver

import (
	"sync"
	"time"
)

// pauseBetween is how long a record is not multicast again on an interface: RFC 6762, section 6.
const pauseBetween = time.Second

// maxPaced bounds what a pacer remembers, which is what went out in the last second.
const maxPaced = 1 << 16

// A pacer keeps the rule of one multicast per record, interface and second. What comes too early is
// put off to the end of the second, never dropped: browsers ask once and wait.
type pacer struct {
	mu   sync.Mutex
	sent map[pacedRecord]*paced
}

// A pacedRecord is one record of one name on one interface, for one IP version: each has listeners
// of its own.
type pacedRecord struct {
	link link
	name string
	nsec bool
}

type paced struct {
	at      time.Time
	pending bool
}

func newPacer() *pacer { return &pacer{sent: map[pacedRecord]*paced{}} }

// send calls f now, or once when the record may be multicast again.
func (p *pacer) send(r pacedRecord, f func()) {
	p.mu.Lock()
	s, early := p.early(r)
	switch {
	case early && s.pending:
		p.mu.Unlock()
	case early:
		s.pending = true
		time.AfterFunc(time.Until(s.at.Add(pauseBetween)), func() {
			p.mu.Lock()
			p.remember(r, time.Now())
			p.mu.Unlock()
			f()
		})
		p.mu.Unlock()
	default:
		p.remember(r, time.Now())
		p.mu.Unlock()
		f()
	}
}

// along reports whether a record may go along with another one, which is sent now, and counts it as
// sent at the same moment if so: when the other may be sent again, it may go along again.
func (p *pacer) along(r, with pacedRecord) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, early := p.early(r); early {
		return false
	}
	at := time.Now()
	if s, ok := p.sent[with]; ok {
		at = s.at
	}
	p.remember(r, at)
	return true
}

// early returns what is remembered of a record, and whether that keeps it from being sent now. p.mu is
// held.
func (p *pacer) early(r pacedRecord) (*paced, bool) {
	s, ok := p.sent[r]
	return s, ok && (s.pending || time.Since(s.at) < pauseBetween)
}

// remember notes that a record is sent, until it may be sent again. p.mu is held.
func (p *pacer) remember(r pacedRecord, at time.Time) {
	if _, ok := p.sent[r]; !ok && len(p.sent) >= maxPaced {
		return
	}
	s := &paced{at: at}
	p.sent[r] = s
	time.AfterFunc(time.Until(at.Add(pauseBetween)), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.sent[r] == s && !s.pending {
			delete(p.sent, r)
		}
	})
}
