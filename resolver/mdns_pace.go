package resolver

import (
	"sync"
	"time"
)

const (
	// pauseBetween is how long a record is not multicast again on an interface: RFC 6762, section 6.
	pauseBetween = time.Second
	// pauseToDefend is that pause for an answer to a probe, whose sender is about to take the name.
	pauseToDefend = 250 * time.Millisecond
)

// maxPaced bounds how many names a pacer remembers, which are those of the last second or two: some 24 MiB. To get there
// a host on the link has to know as many names that open, and the link to carry 100 Mbit/s of answers. What
// comes beyond is multicast as well, and again when it is asked for again: a browser that is not answered
// loses more than a link with that much on it.
const maxPaced = 1 << 16

// A pacer keeps the rule of one multicast a record, link and second: RFC 6762, section 6. What comes too
// early is put off to the end of the second, never dropped: browsers ask once and wait. It remembers what
// was multicast within the last second, or is about to be, and nothing else.
type pacer struct {
	multicast func(link, *reply) // called by one goroutine or another, and must not block

	mu    sync.Mutex
	names map[pacedName]paced
	// ends are those of the pauses of all names, earliest first, one for each multicast.
	ends  []pauseEnd
	timer *time.Timer // runs out at the first end, if there is any
}

// A pacedName is a name on one interface, for one IP version: each has listeners of its own.
type pacedName struct {
	link link
	name string
}

// paced is when the two records of a name were multicast, and what waits for the end of their pauses.
type paced struct {
	address, nsec time.Time
	putOff        *reply
	defending     bool // the wait is not the whole pause
}

type pauseEnd struct {
	at   time.Time
	name pacedName
}

func newPacer(multicast func(link, *reply)) *pacer {
	return &pacer{multicast: multicast, names: map[pacedName]paced{}}
}

// send multicasts a reply: at once what may be multicast, the rest as soon as it may.
func (p *pacer) send(l link, r reply) {
	p.mu.Lock()
	out := p.take(pacedName{l, r.name}, r, time.Now())
	p.mu.Unlock()
	if out != nil {
		p.multicast(l, out)
	}
}

// take returns what of a reply is to be sent now, nil if nothing is, and puts off the rest. p.mu is held.
func (p *pacer) take(name pacedName, r reply, now time.Time) *reply {
	s, remembered := p.names[name]
	pause := pauseBetween
	if r.defends {
		pause = pauseToDefend
	}
	out := r
	out.address = r.address && now.Sub(s.address) >= pause
	// An NSEC goes along with the address, if it may: section 6.1.
	out.nsec = (r.nsec || out.address) && now.Sub(s.nsec) >= pause
	if out.address {
		s.address = now
	}
	if out.nsec {
		s.nsec = now
	}

	// What was put off before may be among what is sent now.
	rest := r
	if s.putOff != nil {
		rest = *s.putOff
		rest.address, rest.nsec = rest.address || r.address, rest.nsec || r.nsec
		rest.defends = rest.defends || r.defends
	}
	rest.address, rest.nsec = rest.address && !out.address, rest.nsec && !out.nsec
	s.putOff = nil
	if rest.address || rest.nsec {
		s.putOff = &rest
		if rest.defends && !s.defending {
			s.defending = true
			last := s.address
			if !rest.address {
				last = s.nsec
			}
			time.AfterFunc(last.Add(pauseToDefend).Sub(now), func() { p.defend(name) })
		}
	}

	sent := out.address || out.nsec
	if remembered || len(p.names) < maxPaced {
		p.names[name] = s
		if sent {
			p.end(pauseEnd{now.Add(pauseBetween), name})
		}
	}
	if !sent {
		return nil
	}
	return &out
}

// defend sends what was put off of an answer to a probe.
func (p *pacer) defend(name pacedName) {
	var out *reply
	p.mu.Lock()
	if s, ok := p.names[name]; ok {
		s.defending = false
		p.names[name] = s
		if s.putOff != nil {
			out = p.take(name, *s.putOff, time.Now())
		}
	}
	p.mu.Unlock()
	if out != nil {
		p.multicast(name.link, out)
	}
}

// end notes the end of a pause, which is the last one. p.mu is held.
func (p *pacer) end(e pauseEnd) {
	p.ends = append(p.ends, e)
	if len(p.ends) == 1 {
		p.timer = time.AfterFunc(time.Until(e.at), p.run)
	}
}

// run multicasts what was put off until now, and forgets the names that nothing is to be known of any more.
func (p *pacer) run() {
	type dueReply struct {
		link  link
		reply *reply
	}
	var due []dueReply
	p.mu.Lock()
	now := time.Now()
	// The ends that this adds are later than now.
	for len(p.ends) > 0 && !p.ends[0].at.After(now) {
		name := p.ends[0].name
		p.ends = p.ends[1:]
		s := p.names[name]
		if s.putOff != nil {
			if out := p.take(name, *s.putOff, now); out != nil {
				due = append(due, dueReply{name.link, out})
			}
		} else if now.Sub(s.address) >= pauseBetween && now.Sub(s.nsec) >= pauseBetween {
			delete(p.names, name)
		}
	}
	if len(p.ends) > 0 {
		p.timer.Reset(p.ends[0].at.Sub(now))
	} else {
		// A map and a slice keep the room that they once needed.
		p.names, p.ends = map[pacedName]paced{}, nil
	}
	p.mu.Unlock()
	for _, d := range due {
		p.multicast(d.link, d.reply)
	}
}
