package resolver

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"
)

// maxQuery is the longest query over UDP that is read; a longer one is malformed.
const maxQuery = ednsSize

// answer answers the packet in buf[:n] and returns the length of the reply in buf, 0 for none.
func (d *DNS) answer(w *worker, buf []byte, n int, asker Asker, now time.Time) int {
	c := d.resolver.client(asker)
	size, known := d.short(w, buf, n, &c, now)
	if size > 0 {
		return size
	}
	return d.long(w, buf, n, &c, known)
}

// long answers the packet in buf[:n] by way of [dns.Msg], and returns the length of the reply in buf, 0 for
// none.
func (d *DNS) long(w *worker, buf []byte, n int, c *client, known *Answer) int {
	if n < headerSize || binary.BigEndian.Uint16(buf[flagsAt:])&flagQR != 0 {
		w.tally.add(Malformed, nil)
		return 0 // to answer what answers could go on for ever
	}
	var q dns.Msg
	if w.limit == 0 && n > maxQuery || q.Unpack(buf[:n]) != nil {
		w.tally.add(Malformed, nil)
		return formatError(buf)
	}
	limit := w.limit
	if limit == 0 {
		limit = dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			limit = min(max(limit, int(opt.UDPSize())), ednsSize) // RFC 6891, section 6.2.3
		}
	}
	m := d.reply(&q, c, known, &w.tally)
	m.Truncate(limit)
	m.Compress = true // which Truncate takes back where it is not needed
	packet, err := m.PackBuffer(buf)
	if err != nil {
		return formatError(buf)
	}
	return copy(buf, packet)
}

// formatError turns the header in buf into that of a reply with nothing but a format error.
func formatError(buf []byte) int {
	flags := binary.BigEndian.Uint16(buf[flagsAt:])
	binary.BigEndian.PutUint16(buf[flagsAt:], flagQR|flags&(maskOpcode|flagRD)|dns.RcodeFormatError)
	clear(buf[questionsAt:headerSize])
	return headerSize
}

// reflects reports whether what stands at a port answers whatever it is sent, and so could go on with this
// server for ever, each answering the other: echo, discard, daytime, quote of the day, chargen and time. No resolver asks
// from there, nor from port 0.
func reflects(port uint16) bool {
	switch port {
	case 0, 7, 9, 13, 17, 19, 37:
		return true
	}
	return false
}
