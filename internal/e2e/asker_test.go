//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// The groups of Multicast DNS (RFC 6762, section 3), and any address of either family on its port.
const (
	group4 = "224.0.0.251:5353"
	group6 = "[ff02::fb]:5353"
	any4   = "0.0.0.0:5353"
	any6   = "[::]:5353"
)

// askID is the identifier of every question, which answers to the group do not repeat.
const askID = 4242

// topBit asks for a unicast answer in the class of a question, and flushes caches in that of a record.
const topBit = 1 << 15

// unicastIN is the class of a question that asks for a unicast answer: RFC 6762, section 5.4.
const unicastIN = dns.ClassINET | topBit

// asker is one socket of a host that speaks Multicast DNS. If it is on the port of Multicast DNS, it
// is in the group.
type asker struct {
	write func(packet []byte, to *net.UDPAddr) error
	close func() error
	link  *net.Interface
	own   []netip.Addr // what unicast answers may come to
	heard <-chan heard
}

// heard is a packet that came in.
type heard struct {
	at      time.Time
	from    netip.AddrPort
	to      netip.Addr
	hops    int // TTL or hop limit
	message *dns.Msg
}

// newAsker opens a socket bound to an address and port of the host, until the test ends.
func newAsker(t *testing.T, h host, address string) *asker {
	t.Helper()
	return newAskerOn(t, h, "eth0", address)
}

// newAskerOn does so on an interface.
func newAskerOn(t *testing.T, h host, link, address string) *asker {
	t.Helper()
	a := &asker{}
	network := "udp4"
	if netip.MustParseAddrPort(address).Addr().Is6() {
		network = "udp6"
	}
	var conn net.PacketConn
	err := h.within(func() (err error) {
		if a.link, err = net.InterfaceByName(link); err != nil {
			return err
		}
		addresses, err := a.link.Addrs()
		if err != nil {
			return err
		}
		for _, prefix := range addresses {
			a.own = append(a.own, netip.MustParsePrefix(prefix.String()).Addr())
		}
		conn, err = net.ListenPacket(network, address)
		return err
	})
	if err != nil {
		t.Fatalf("opening %s in %s: %v", address, h.namespace, err)
	}
	// Answers to a thousand questions may come at once.
	if err := conn.(*net.UDPConn).SetReadBuffer(4 << 20); err != nil {
		t.Fatalf("a buffer for %s in %s: %v", address, h.namespace, err)
	}
	a.close = conn.Close
	t.Cleanup(func() { conn.Close() })

	var read func([]byte) (int, heard, error)
	if network == "udp4" {
		read, err = a.use4(conn)
	} else {
		read, err = a.use6(conn)
	}
	if err != nil {
		t.Fatalf("setting up %s in %s: %v", address, h.namespace, err)
	}
	packets := make(chan heard, 256)
	a.heard = packets
	go listen(read, packets)
	return a
}

func (a *asker) use4(conn net.PacketConn) (read func([]byte) (int, heard, error), err error) {
	p := ipv4.NewPacketConn(conn)
	a.write = func(packet []byte, to *net.UDPAddr) error {
		_, err := p.WriteTo(packet, nil, to)
		return err
	}
	read = func(buffer []byte) (int, heard, error) {
		n, control, from, err := p.ReadFrom(buffer)
		if err != nil {
			return 0, heard{}, err
		}
		return n, newHeard(from, control.Dst, control.TTL), nil
	}
	group := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(group4))
	return read, errors.Join(p.JoinGroup(a.link, group), p.SetMulticastInterface(a.link), p.SetMulticastTTL(255),
		p.SetMulticastLoopback(false), p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true))
}

func (a *asker) use6(conn net.PacketConn) (read func([]byte) (int, heard, error), err error) {
	p := ipv6.NewPacketConn(conn)
	a.write = func(packet []byte, to *net.UDPAddr) error {
		_, err := p.WriteTo(packet, nil, to)
		return err
	}
	read = func(buffer []byte) (int, heard, error) {
		n, control, from, err := p.ReadFrom(buffer)
		if err != nil {
			return 0, heard{}, err
		}
		return n, newHeard(from, control.Dst, control.HopLimit), nil
	}
	group := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(group6))
	return read, errors.Join(p.JoinGroup(a.link, group), p.SetMulticastInterface(a.link), p.SetMulticastHopLimit(255),
		p.SetMulticastLoopback(false), p.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true))
}

func newHeard(from net.Addr, to net.IP, hops int) heard {
	source := from.(*net.UDPAddr).AddrPort()
	destination, _ := netip.AddrFromSlice(to)
	return heard{
		at:   time.Now(),
		from: netip.AddrPortFrom(source.Addr().Unmap().WithZone(""), source.Port()),
		to:   destination.Unmap(),
		hops: hops,
	}
}

// listen hands on what comes in, until the socket is closed.
func listen(read func([]byte) (int, heard, error), packets chan<- heard) {
	buffer := make([]byte, 9000)
	for {
		n, packet, err := read(buffer)
		if err != nil {
			return
		}
		packet.message = new(dns.Msg)
		if packet.message.Unpack(buffer[:n]) != nil {
			packet.message = nil
		}
		packets <- packet
	}
}

// question returns a packet that asks one question. The name has no final dot.
func question(name string, kind, class uint16) *dns.Msg {
	return &dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: askID},
		Question: []dns.Question{{Name: dns.Fqdn(name), Qtype: kind, Qclass: class}},
	}
}

func (a *asker) send(t *testing.T, to string, message *dns.Msg) {
	t.Helper()
	packet, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	a.sendPacket(t, to, packet)
}

func (a *asker) sendPacket(t *testing.T, to string, packet []byte) {
	t.Helper()
	destination := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))
	if destination.IP.IsLinkLocalUnicast() {
		destination.Zone = fmt.Sprint(a.link.Index)
	}
	if err := a.write(packet, destination); err != nil {
		t.Fatalf("sending to %s: %v", to, err)
	}
}

// next returns the next packet to come in.
func (a *asker) next(t *testing.T) heard {
	t.Helper()
	packet, ok := a.hears(patience / 6)
	if !ok {
		t.Fatal("no answer came")
	}
	return packet
}

// hears returns the next packet to come in within a time from now, or, if that is zero, one that has.
func (a *asker) hears(limit time.Duration) (packet heard, ok bool) {
	select {
	case packet = <-a.heard:
		return packet, true
	default:
	}
	select {
	case packet = <-a.heard:
		return packet, true
	case <-time.After(limit):
		return packet, false
	}
}

// checkQuiet checks that nothing comes in for a time.
func (a *asker) checkQuiet(t *testing.T, limit time.Duration) {
	t.Helper()
	if packet, ok := a.hears(limit); ok {
		t.Errorf("got a packet from %s, want silence: %s", packet.from, packet.describe(""))
	}
}

// describe says in one line what a packet holds, with NAME where it holds the name: "id 0; AN NAME A
// 120 10.77.1.2 flush; AR NAME NSEC 120 NAME A flush".
func (h heard) describe(name string) string {
	m := h.message
	if m == nil {
		return "no DNS message"
	}
	parts := []string{fmt.Sprintf("id %d", m.Id)}
	if header := m.MsgHdr; header != (dns.MsgHdr{Id: m.Id, Response: true, Authoritative: true}) {
		parts = append(parts, fmt.Sprintf("unlike an answer: %+v", header))
	}
	for _, q := range m.Question {
		parts = append(parts, fmt.Sprintf("Q %s %s", q.Name, dns.TypeToString[q.Qtype]))
	}
	for _, section := range []struct {
		title   string
		records []dns.RR
	}{{"AN", m.Answer}, {"NS", m.Ns}, {"AR", m.Extra}} {
		for _, record := range section.records {
			parts = append(parts, section.title+" "+describeRecord(record))
		}
	}
	text := strings.Join(parts, "; ")
	if name != "" {
		text = strings.ReplaceAll(text, dns.Fqdn(name), "NAME")
	}
	return text
}

func describeRecord(record dns.RR) string {
	header := record.Header()
	data := strings.TrimPrefix(record.String(), header.String())
	text := fmt.Sprintf("%s %s %d %s", header.Name, dns.TypeToString[header.Rrtype], header.Ttl, data)
	switch header.Class {
	case dns.ClassINET:
		return text
	case dns.ClassINET | topBit:
		return text + " flush"
	}
	return fmt.Sprintf("%s class %d", text, header.Class)
}

// checkAnswer checks what a packet holds and that it comes from the port of Multicast DNS and through
// no router (RFC 6762, section 11), to one of the addresses.
func checkAnswer(t *testing.T, packet heard, name, want string, to ...netip.Addr) {
	t.Helper()
	if got := packet.describe(name); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if packet.from.Port() != 5353 || packet.hops != 255 || !slices.Contains(to, packet.to) {
		t.Errorf("answer from %s to %s with a TTL of %d, want one from port 5353 to %v with 255",
			packet.from, packet.to, packet.hops, to)
	}
}
