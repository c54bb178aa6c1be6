package resolver

import (
	"sync"
	"time"
)

// pauseBetween is how long a record is not multicast again on an interface: RFC 6762, section 6.
const pauseBetween = time.Second

// maxPaced bounds what a pacer remembers; it is more than an interface can ask for in a second.
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
	s, early := p.sent[r]
	if early && s.pending {
		p.mu.Unlock()
		return
	}
	if early {
		s.pending = true
		time.AfterFunc(time.Until(s.at.Add(pauseBetween)), func() {
			p.mu.Lock()
			p.remember(r)
			p.mu.Unlock()
			f()
		})
		p.mu.Unlock()
		return
	}
	p.remember(r)
	p.mu.Unlock()
	f()
}

// along reports whether a record may go along with another one now, and counts it as sent if so.
func (p *pacer) along(r pacedRecord) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, early := p.sent[r]; early {
		return false
	}
	p.remember(r)
	return true
}

// remember notes that a record is sent now, until it may be sent again. p.mu is held.
func (p *pacer) remember(r pacedRecord) {
	if _, ok := p.sent[r]; !ok && len(p.sent) >= maxPaced {
		return
	}
	s := &paced{at: time.Now()}
	p.sent[r] = s
	time.AfterFunc(pauseBetween, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.sent[r] == s && !s.pending {
			delete(p.sent, r)
		}
	})
}
