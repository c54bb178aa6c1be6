package resolver

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxStreamReply leaves room in a message for the options below.
	maxStreamReply = dns.MaxMsgSize - 2*paddingBlock
	paddingBlock   = 468 // RFC 8467, section 4.1
)

var padding [paddingBlock]byte

// answer answers the query in m.buf[:n] and returns the length of the reply there, 0 for none. It is the reply
// that UDP gives, with the options that only connections have.
func (c *stream) answer(m *streamMemory, n int) int {
	d := c.server.dns
	now := d.resolver.config.Now()
	buf := m.buf[:]
	keepAlive, padded := streamOptions(buf[:n])
	size := d.answer(&m.worker, buf, n, d.asker(c.from, now), now)
	if !endsInOPT(buf[:size]) {
		return size
	}
	end := size
	if keepAlive { // RFC 7828, section 3.1: in units of 100 ms
		tenths := uint16(c.server.idle() / (100 * time.Millisecond))
		end = putOption(buf, end, dns.EDNS0TCPKEEPALIVE, []byte{byte(tenths >> 8), byte(tenths)})
	}
	if padded && c.server.tls != nil { // RFC 7830, section 4; in clear it would hide nothing
		end = putOption(buf, end, dns.EDNS0PADDING, padding[:(paddingBlock-(end+4)%paddingBlock)%paddingBlock])
	}
	binary.BigEndian.PutUint16(buf[size-2:], uint16(end-size)) // of an OPT record without options, the length is the last
	return end
}

// streamOptions reports which of the options that only connections have are in a query. An OPT record may stand
// anywhere in the additional section: RFC 6891, section 6.1.1.
func streamOptions(p []byte) (keepAlive, padded bool) {
	if len(p) < headerSize {
		return false, false
	}
	count := func(at int) int { return int(binary.BigEndian.Uint16(p[at:])) }
	at := headerSize
	for i := 0; i < count(questionsAt) && at < len(p); i++ {
		at = afterName(p, at) + 4
	}
	before := count(answersAt) + count(authoritiesAt)
	for i := 0; i < before+count(additionalAt); i++ {
		at = afterName(p, at)
		data := at + optSize - 1 // the name of an OPT record is one octet
		if data > len(p) {
			break
		}
		end := min(data+count(data-2), len(p))
		if i >= before && count(at) == int(dns.TypeOPT) {
			for o := p[data:end]; len(o) >= 4; {
				code, size := binary.BigEndian.Uint16(o), int(binary.BigEndian.Uint16(o[2:]))
				keepAlive = keepAlive || code == dns.EDNS0TCPKEEPALIVE
				padded = padded || code == dns.EDNS0PADDING
				o = o[min(4+size, len(o)):]
			}
		}
		at = end
	}
	return keepAlive, padded
}

// afterName returns where the name at a place of a message ends, which may be behind the message.
func afterName(p []byte, at int) int {
	for at < len(p) && p[at] != 0 {
		if p[at] > maxLabel { // a pointer is the end: RFC 1035, section 4.1.4
			return at + 2
		}
		at += 1 + int(p[at])
	}
	return at + 1
}

// endsInOPT reports whether a reply has an OPT record, which is then the last one and has no options.
func endsInOPT(p []byte) bool {
	if len(p) < headerSize+optSize || binary.BigEndian.Uint16(p[additionalAt:]) != 1 {
		return false
	}
	opt := p[len(p)-optSize:]
	return opt[0] == 0 && binary.BigEndian.Uint16(opt[1:]) == dns.TypeOPT && binary.BigEndian.Uint16(opt[9:]) == 0
}

// putOption writes an option: RFC 6891, section 6.1.2.
func putOption(buf []byte, at int, code uint16, data []byte) int {
	binary.BigEndian.PutUint16(buf[at:], code)
	binary.BigEndian.PutUint16(buf[at+2:], uint16(len(data)))
	return at + 4 + copy(buf[at+4:], data)
}
