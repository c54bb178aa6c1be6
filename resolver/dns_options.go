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

// answer answers the query in buf[:n] and returns the length of the reply there, 0 for none. It is the reply
// that UDP gives, with the options that only connections have.
func (c *stream) answer(n int) int {
	d := c.server.dns
	now := d.resolver.config.Now()
	keepAlive, padded := streamOptions(c.buf[:n])
	size := d.answer(&c.worker, c.buf[:], n, d.asker(c.from, now), now)
	if !endsInOPT(c.buf[:size]) {
		return size
	}
	end := size
	if keepAlive { // RFC 7828, section 3.1: in units of 100 ms
		tenths := uint16(c.server.idle() / (100 * time.Millisecond))
		end = putOption(c.buf[:], end, dns.EDNS0TCPKEEPALIVE, []byte{byte(tenths >> 8), byte(tenths)})
	}
	if padded && c.server.tls != nil { // RFC 7830, section 4; in clear it would hide nothing
		end = putOption(c.buf[:], end, dns.EDNS0PADDING, padding[:(paddingBlock-(end+4)%paddingBlock)%paddingBlock])
	}
	binary.BigEndian.PutUint16(c.buf[size-2:], uint16(end-size)) // of an OPT record without options, the length is the last
	return end
}

// streamOptions reports which of the options that only connections have are in a query.
func streamOptions(p []byte) (keepAlive, padded bool) {
	if len(p) < headerSize || binary.BigEndian.Uint16(p[questionsAt:]) != 1 ||
		binary.BigEndian.Uint32(p[answersAt:]) != 0 || binary.BigEndian.Uint16(p[additionalAt:]) != 1 {
		return false, false
	}
	at := headerSize
	for at < len(p) && 0 < p[at] && p[at] <= maxLabel {
		at += 1 + int(p[at])
	}
	at += 1 + 4
	if at+optSize > len(p) || binary.BigEndian.Uint16(p[at+1:]) != dns.TypeOPT {
		return false, false
	}
	for p = p[at+optSize:]; len(p) >= 4; {
		code, size := binary.BigEndian.Uint16(p), int(binary.BigEndian.Uint16(p[2:]))
		keepAlive = keepAlive || code == dns.EDNS0TCPKEEPALIVE
		padded = padded || code == dns.EDNS0PADDING
		p = p[min(4+size, len(p)):]
	}
	return keepAlive, padded
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
