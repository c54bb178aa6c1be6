package resolver

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// The short way answers the common query, in place and without allocating: one question for A, AAAA or HTTPS,
// which browsers ask for beside them, in class IN, with at most an OPT record. What it answers is octet for
// octet what the long way does; a fuzz test holds them together. Everything else it leaves to the long way.

// The header of a message: RFC 1035, section 4.1.1.
const (
	headerSize = 12

	flagsAt, questionsAt, answersAt, authoritiesAt, additionalAt = 2, 4, 6, 8, 10

	flagQR, flagAA, flagTC, flagRD = 1 << 15, 1 << 10, 1 << 9, 1 << 8
	flagCD                         = 1 << 4 // RFC 4035, section 3.1.6
	maskOpcode                     = 15 << 11

	maxName, maxLabel = 255, 63 // section 2.3.4

	// optSize is that of an OPT record without options: RFC 6891, section 6.1.2.
	optSize, optDO = 11, 1 << 15
	// pointerToQuestion stands for the name in the question: section 4.1.4.
	pointer           = 0xc000
	pointerToQuestion = pointer | headerSize
)

// A shortQuery is what the short way reads in a packet.
type shortQuery struct {
	flags        uint16
	nameEnd      int // of the octet after the name
	questionType uint16
	edns, do     bool
}

// read reports whether a packet is for the short way.
func (q *shortQuery) read(p []byte) bool {
	if len(p) < headerSize+1+4 || len(p) > maxQuery {
		return false
	}
	q.flags = binary.BigEndian.Uint16(p[flagsAt:])
	additional := binary.BigEndian.Uint16(p[additionalAt:])
	if q.flags&(flagQR|maskOpcode|flagTC) != 0 || binary.BigEndian.Uint16(p[questionsAt:]) != 1 ||
		binary.BigEndian.Uint32(p[answersAt:]) != 0 || additional > 1 {
		return false
	}
	at := headerSize
	for at < len(p) && p[at] != 0 {
		if p[at] > maxLabel {
			return false
		}
		at += 1 + int(p[at])
	}
	at++
	if at+4 > len(p) || at-headerSize > maxName {
		return false
	}
	q.nameEnd = at
	q.questionType = binary.BigEndian.Uint16(p[at:])
	switch q.questionType {
	case dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS:
	default:
		return false
	}
	if binary.BigEndian.Uint16(p[at+2:]) != dns.ClassINET {
		return false
	}
	q.edns = additional == 1
	if !q.edns {
		return at+4 == len(p)
	}
	return q.readOPT(p[at+4:])
}

// readOPT reports whether p is an OPT record of version 0, without options in which the long way could find a
// mistake.
func (q *shortQuery) readOPT(p []byte) bool {
	if len(p) < optSize || p[0] != 0 || binary.BigEndian.Uint16(p[1:]) != dns.TypeOPT ||
		p[5] != 0 || p[6] != 0 || int(binary.BigEndian.Uint16(p[9:])) != len(p)-optSize {
		return false
	}
	q.do = binary.BigEndian.Uint16(p[7:])&optDO != 0
	for p = p[optSize:]; len(p) > 0; {
		if len(p) < 4 {
			return false
		}
		code, size := binary.BigEndian.Uint16(p), int(binary.BigEndian.Uint16(p[2:]))
		switch code {
		case dns.EDNS0LLQ, dns.EDNS0UL, dns.EDNS0SUBNET, dns.EDNS0EXPIRE, dns.EDNS0TCPKEEPALIVE, dns.EDNS0EDE,
			dns.EDNS0REPORTING, dns.EDNS0ZONEVERSION:
			return false
		}
		if 4+size > len(p) {
			return false
		}
		p = p[4+size:]
	}
	return true
}

// short answers the query in buf[:n] in place. It returns the length of the reply, or 0 where the query
// is for the long way; known is then what it found out, if it did.
func (d *DNS) short(w *worker, buf []byte, n int, c *client, now time.Time) (size int, known *Answer) {
	var q shortQuery
	if !q.read(buf[:n]) {
		return 0, nil
	}
	name := buf[headerSize:q.nameEnd]
	z, zoneAt := zoneOfWire(d.resolver.zones, name)
	a := Answer{Result: Foreign}
	var labels []byte
	if z != nil {
		labels = w.labels(name[:zoneAt])
		a = resolve(d.resolver, &w.opener, labels, c, now)
	}
	s := say(a, z, labels, q.questionType)
	end := q.nameEnd + 4
	authorities := 0
	switch {
	case s.result == Answered:
		end = putAddress(buf, end, a)
	case s.authoritative && z.soa != nil:
		var ok bool
		if end, ok = z.putSOA(buf, end, headerSize+zoneAt); !ok {
			w.known = a
			return 0, &w.known
		}
		authorities = 1
	}
	w.tally.add(s.result, a.Key)

	flags := flagQR | q.flags&(flagRD|flagCD) | uint16(s.rcode)
	if s.authoritative {
		flags |= flagAA
	}
	binary.BigEndian.PutUint16(buf[flagsAt:], flags)
	buf[answersAt+1] = 0
	if s.result == Answered {
		buf[answersAt+1] = 1
	}
	buf[authoritiesAt+1] = byte(authorities)
	if q.edns { // one OPT record was counted, one is
		end = putOPT(buf, end, q.do)
	}
	return end, nil
}

// putAddress writes the address record of an answer.
func putAddress(buf []byte, at int, a Answer) int {
	p := buf[at:]
	binary.BigEndian.PutUint16(p, pointerToQuestion)
	binary.BigEndian.PutUint16(p[2:], a.recordType())
	binary.BigEndian.PutUint16(p[4:], dns.ClassINET)
	binary.BigEndian.PutUint32(p[6:], uint32(a.TTL/time.Second))
	if a.Addr.Is4() {
		binary.BigEndian.PutUint16(p[10:], 4)
		addr := a.Addr.As4()
		return at + 12 + copy(p[12:], addr[:])
	}
	binary.BigEndian.PutUint16(p[10:], 16)
	addr := a.Addr.As16()
	return at + 12 + copy(p[12:], addr[:])
}

// putOPT writes an OPT record.
func putOPT(buf []byte, at int, do bool) int {
	p := buf[at : at+optSize]
	clear(p)
	binary.BigEndian.PutUint16(p[1:], dns.TypeOPT)
	binary.BigEndian.PutUint16(p[3:], ednsSize)
	if do {
		binary.BigEndian.PutUint16(p[7:], optDO)
	}
	return at + optSize
}

// zoneOfWire returns the zone that a name of a packet is in, and where in the name it begins.
func zoneOfWire(zones []*zone, name []byte) (*zone, int) {
	for _, z := range zones {
		start := len(name) - len(z.wire)
		if start < 0 || !equalFold(name[start:], z.wire) {
			continue
		}
		at := 0
		for at < start { // the zone begins with a label, not within one
			at += 1 + int(name[at])
		}
		if at == start {
			return z, start
		}
	}
	return nil, 0
}

// equalFold reports whether a is b, which is in lower case. No octet that counts a label is a letter.
func equalFold(a, b []byte) bool {
	for i, c := range b {
		if a[i] != c && (a[i]|0x20 != c || c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// A worker is the memory in which one goroutine answers.
type worker struct {
	opener cipher.Opener
	tally  tally
	limit  int // of a reply, in octets; 0 for what UDP allows
	known  Answer
	text   [maxName]byte
}

// labels returns the labels of a name in a packet, without its zone, with dots between them. A label may
// hold a dot itself: it is in a place then where a name of ours has a digit.
func (w *worker) labels(name []byte) []byte {
	if len(name) == 0 {
		return nil
	}
	if 1+int(name[0]) == len(name) { // the one label of aes-uuid
		return name[1:]
	}
	text := w.text[:0]
	for at := 0; at < len(name); at += 1 + int(name[at]) {
		if at > 0 {
			text = append(text, '.')
		}
		text = append(text, name[at+1:at+1+int(name[at])]...)
	}
	return text
}
