//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// hostileTime is how long one host sends packets as fast as it can.
const hostileTime = time.Minute

// mayLose is how many of the good queries, each asked once, may be lost on a machine that does other things as well:
// one in so many. Packets for the group wait in one queue with those of the flood, and askers ask again: RFC 6762,
// section 5.2.
const mayLose = 1000

// TestHostile has one host send random, truncated and looping packets as fast as it can, while another
// socket asks for names. Its queries are answered all the same.
func TestHostile(t *testing.T) {
	require(t)
	n := newNetwork(t)
	g := startGateway(t, n.router, "--dns", "10.77.1.1:5300")
	name := g.newName(t, n.a, n.a.v4)
	bad := hostilePackets(t, name)
	group := netip.MustParseAddrPort(group4)
	for _, tt := range []struct {
		front  string
		server netip.AddrPort
		from   namespace // of the good queries
	}{
		{"dns", netip.MustParseAddrPort("10.77.1.1:5300"), n.b.namespace},
		{"mdns", group, n.a.namespace}, // whose port makes them legacy ones, each of which is answered at once
	} {
		t.Run(tt.front, func(t *testing.T) {
			malformed := `candgw_lookups_total{front="` + tt.front + `",key="",result="malformed"}`
			before, malformedBefore := g.metric(t, "process_resident_memory_bytes"), g.metric(t, malformed)
			flood := startFlood(t, n.a.namespace, tt.server, bad)
			asked := askSteadily(t, tt.from, tt.server, name, n.a.v4, hostileTime)
			sent := flood.stop(t)

			after := g.metric(t, "process_resident_memory_bytes")
			if lost := asked.sent - len(asked.took); asked.sent == 0 || lost > asked.sent/mayLose {
				t.Fatalf("%d of %d queries were not answered, with %.0f bad packets a second", asked.sent-len(asked.took), asked.sent, float64(sent)/hostileTime.Seconds())
			}
			slices.Sort(asked.took)
			t.Logf("%.0f bad packets a second; %d of %d queries answered, median %v, 99 %% within %v; memory %.1f MiB, then %.1f MiB",
				float64(sent)/hostileTime.Seconds(), len(asked.took), asked.sent, asked.took[len(asked.took)/2], asked.took[len(asked.took)*99/100],
				before/(1<<20), after/(1<<20))
			if sent < 100_000 {
				t.Errorf("%d bad packets in %v: that is no flood", sent, hostileTime)
			}
			if after > before+64<<20 {
				t.Errorf("memory grew from %.0f to %.0f octets", before, after)
			}
			if g.metric(t, malformed) == malformedBefore {
				t.Error("none of the packets was counted as malformed")
			}
		})
	}
}

// hostilePackets returns packets that are no good queries, some of them nearly.
func hostilePackets(t *testing.T, name string) [][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	good, err := new(dns.Msg).SetQuestion(name+".", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	add := func(edit func(p []byte) []byte) { out = append(out, edit(slices.Clone(good))) }
	for range 1000 { // random, of every length
		p := make([]byte, r.IntN(600))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		out = append(out, p)
	}
	for range 1000 { // random behind the header of a query
		add(func(p []byte) []byte {
			for i := 12; i < len(p); i++ {
				p[i] = byte(r.Uint32())
			}
			return p
		})
	}
	for cut := range len(good) { // truncated
		for range 10 {
			add(func(p []byte) []byte { return p[:cut] })
		}
	}
	pointer := func(p []byte, at, to int) { binary.BigEndian.PutUint16(p[at:], 0xc000|uint16(to)) }
	for at := 12; at < len(good)-6; at++ { // loops
		add(func(p []byte) []byte { pointer(p, at, at); return p })
		add(func(p []byte) []byte { pointer(p, at, 12); return p })
		add(func(p []byte) []byte { pointer(p, 12, at); pointer(p, at, 12); return p })
		add(func(p []byte) []byte { pointer(p, at, len(p)+1); return p })
	}
	for field := 4; field < 12; field += 2 { // counts that are lies
		for _, count := range []uint16{2, 255, 65535} {
			for range 20 {
				add(func(p []byte) []byte { binary.BigEndian.PutUint16(p[field:], count); return p })
			}
		}
	}
	chain := slices.Concat(good[:12], make([]byte, 1000)) // a question whose name goes from pointer to pointer
	for at := 12; at+2 < len(chain); at += 2 {
		pointer(chain, at, at+2)
	}
	for range 100 {
		out = append(out, chain)
	}
	for range 100 { // a label of one octet after the other
		p := slices.Clone(good[:12])
		for range 200 {
			p = append(p, 1, 'a')
		}
		out = append(out, append(p, 0, 0, 1, 0, 1))
	}
	for _, p := range out { // another id each, where there is one
		if len(p) >= 2 {
			binary.BigEndian.PutUint16(p, uint16(r.Uint32()))
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// A flood sends packets again and again until it is stopped.
type flood struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	sent   atomic.Int64
	err    error
}

func startFlood(t *testing.T, from namespace, to netip.AddrPort, packets [][]byte) *flood {
	t.Helper()
	conn, err := from.dial(t.Context(), "udp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &flood{cancel: cancel}
	f.done.Go(func() {
		defer conn.Close()
		batches := ipv4.NewPacketConn(conn.(net.PacketConn))
		for ctx.Err() == nil {
			for batch := range slices.Chunk(packets, 64) {
				messages := make([]ipv4.Message, len(batch))
				for i, p := range batch {
					messages[i].Buffers = [][]byte{p}
				}
				n, err := batches.WriteBatch(messages, 0)
				if err != nil && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOBUFS) {
					f.err = err
					return
				}
				f.sent.Add(int64(n))
			}
		}
	})
	return f
}

// stop returns how many packets were sent.
func (f *flood) stop(t *testing.T) int64 {
	t.Helper()
	f.cancel()
	f.done.Wait()
	if f.err != nil {
		t.Fatal(f.err)
	}
	return f.sent.Load()
}

// asked is what came of a host's queries.
type asked struct {
	sent int
	took []time.Duration // of those that were answered
}

// askSteadily asks for an IPv4 name, every time once, for a time.
func askSteadily(t *testing.T, from namespace, server netip.AddrPort, name string, want netip.Addr, during time.Duration) asked {
	t.Helper()
	var conn *net.UDPConn
	if err := from.within(func() (err error) {
		conn, err = net.ListenUDP("udp4", nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 2000)
	var a asked
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(time.Millisecond) {
		query := new(dns.Msg).SetQuestion(name+".", dns.TypeA)
		query.Id = max(query.Id, 1)
		packet, err := query.Pack()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		conn.SetDeadline(began.Add(patience))
		if _, err := conn.WriteToUDPAddrPort(packet, server); err != nil {
			t.Fatal(err)
		}
		a.sent++
		var answer dns.Msg
		for answer.Id != query.Id && err == nil { // others are answers that came too late
			var size int
			if size, err = conn.Read(buf); err == nil {
				err = answer.Unpack(buf[:size])
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil || len(answer.Answer) != 1 || answer.Answer[0].(*dns.A).A.String() != want.String() {
			t.Fatalf("got %v, %v", &answer, err)
		}
		a.took = append(a.took, time.Since(began))
	}
	return a
}

// metric returns a metric of the gateway, 0 if it has none of that name and labels.
func (g *gateway) metric(t *testing.T, name string) float64 {
	t.Helper()
	response, err := g.http.Get(g.api + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return 0
}
