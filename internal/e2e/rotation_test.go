//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

const (
	rotations = 100
	// settle is longer than a node takes to load a ring that has changed: it looks five times a second.
	settle = 600 * time.Millisecond
	grace  = 3 * time.Second
	// clockSlack is how far from its end the time of a key is not looked at: to ask takes some of it.
	clockSlack = 300 * time.Millisecond
)

// TestRotationUnderLoad rotates the key of two nodes that share a folder over and over, while a client has
// addresses encrypted by either without pause, and all names are asked for at either, by DNS and Multicast
// DNS: each opens until the grace of its key ends, and none after that.
func TestRotationUnderLoad(t *testing.T) {
	require(t)
	n := newNetwork(t)
	first := startGateway(t, n.router, "--dns", "10.77.1.1:5301")
	second := first.startAnother(t, "--dns", "10.77.1.1:5302")
	l := &load{store: keyring.NewFileStore(first.dataDir, "")}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for _, g := range []*gateway{first, second} {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				l.add(g.newName(t, n.a, netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})), i)
			}
		})
	}
	for _, server := range []string{"10.77.1.1:5301", "10.77.1.1:5302", ""} {
		wg.Go(func() { l.ask(ctx, t, n.a, server) })
	}
	for i := range rotations {
		began := time.Now()
		cmd := first.command(first.program, "keys", "rotate", "--data-dir", first.dataDir, "--settle", settle.String(), "--grace", grace.String())
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("rotation %d: %v\n%s", i, err, output)
		}
		if took := time.Since(began); took < settle {
			t.Errorf("rotation %d did not wait: %v", i, took)
		}
	}
	stop()
	wg.Wait()
	l.report(t)
}

// A load is the names that were made, and what came of asking for them.
type load struct {
	store *keyring.FileStore

	mu     sync.Mutex
	latest madeName
	names  []madeName // some of those that were made in the last seconds

	opened, refused, made atomic.Int64
}

type madeName struct {
	name string
	addr netip.Addr
}

// Of some hundred names a second one of so many is asked for again and again, and so many are kept: those of
// some seconds more than their keys live.
const keepEvery, keepNames = 20, 400

func (l *load) add(name string, i int) {
	made := madeName{name, netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest = made
	if l.made.Add(1)%keepEvery != 0 {
		return
	}
	if len(l.names) == keepNames {
		l.names = l.names[1:]
	}
	l.names = append(l.names, made)
}

// ask asks for names without pause, new ones and old ones in turn, at a DNS server or, if that is "", by
// Multicast DNS.
func (l *load) ask(ctx context.Context, t *testing.T, from host, server string) {
	asker, err := newLoadAsker(from, server)
	if err != nil {
		t.Error(err)
		return
	}
	defer asker.conn.Close()
	for i := 0; ctx.Err() == nil; i++ {
		l.mu.Lock()
		made := l.latest
		if count := len(l.names); i%2 == 1 && count > 0 {
			made = l.names[i/2%count]
		}
		l.mu.Unlock()
		if made.name == "" {
			time.Sleep(time.Millisecond)
			continue
		}
		before := time.Now()
		wait := patience // no answer is not to be one that comes late
		if asker.silent && !l.opens(t, made, before) {
			wait = silence
		}
		got, err := asker.ask(made.name, wait)
		if err != nil {
			t.Errorf("asking %s: %v", asker, err)
			return
		}
		l.check(t, asker, made, got, before, time.Now())
	}
}

// until returns when the key of a name stops to open names, as the ring on disk says: zero if nothing is
// known of that. The error is that the ring does not have the key.
func (l *load) until(t *testing.T, made madeName, now time.Time) (time.Time, error) {
	ring, err := l.store.Load()
	if err != nil {
		t.Error(err)
		return time.Time{}, err
	}
	var o cipher.Opener
	if !cipher.ReadName(&o, strings.TrimSuffix(made.name, ".local")) {
		t.Errorf("%s is no name", made.name)
	}
	opened, err := ring.Open(&o, "", now.Add(-time.Hour)) // when every key of the ring opened names
	return opened.Until, err
}

// opens reports whether a name is to open for some time yet.
func (l *load) opens(t *testing.T, made madeName, now time.Time) bool {
	until, err := l.until(t, made, now)
	return err == nil && (until.IsZero() || now.Before(until.Add(-clockSlack)))
}

// check compares an answer with what the ring on disk says of the key of the name.
func (l *load) check(t *testing.T, asker *loadAsker, made madeName, got netip.Addr, before, after time.Time) {
	until, err := l.until(t, made, before)
	switch {
	case got == made.addr:
		l.opened.Add(1)
		if err != nil || !until.IsZero() && before.After(until.Add(clockSlack)) {
			t.Errorf("%s opens a name %v after the grace of its key", asker, before.Sub(until))
		}
	case got.IsValid():
		t.Errorf("%s opens a name as %v, want %v", asker, got, made.addr)
	default:
		l.refused.Add(1)
		if err == nil && (until.IsZero() || before.Before(until.Add(-clockSlack))) {
			t.Errorf("%s does not open a name %v before the grace of its key ends", asker, until.Sub(before))
		}
	}
}

func (l *load) report(t *testing.T) {
	t.Logf("%d rotations; %d names made; %d lookups opened, %d after the grace did not", rotations, l.made.Load(), l.opened.Load(), l.refused.Load())
	if l.opened.Load() == 0 || l.refused.Load() == 0 {
		t.Error("one of the two was not tried")
	}
}

// A loadAsker asks one question after the other.
type loadAsker struct {
	conn net.PacketConn
	to   *net.UDPAddr
	// silent says that no answer is an answer, as it is by Multicast DNS.
	silent bool
	id     uint16
}

func newLoadAsker(from host, server string) (a *loadAsker, err error) {
	a = &loadAsker{silent: server == ""}
	if a.silent {
		server = group4
	}
	if a.to, err = net.ResolveUDPAddr("udp4", server); err != nil {
		return nil, err
	}
	err = from.within(func() (err error) {
		a.conn, err = net.ListenPacket("udp4", from.v4.String()+":0")
		return err
	})
	return a, err
}

func (a *loadAsker) String() string {
	if a.silent {
		return "Multicast DNS"
	}
	return a.to.String()
}

// silence is how long one waits for an answer that is not to come.
const silence = 300 * time.Millisecond

// ask returns the address of a name, or none if it has none.
func (a *loadAsker) ask(name string, wait time.Duration) (netip.Addr, error) {
	a.id++
	q := question(name, dns.TypeA, dns.ClassINET)
	q.Id = a.id
	packet, err := q.Pack()
	if err != nil {
		return netip.Addr{}, err
	}
	if _, err := a.conn.WriteTo(packet, a.to); err != nil {
		return netip.Addr{}, err
	}
	a.conn.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 1500)
	for {
		n, _, err := a.conn.ReadFrom(buf)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && a.silent {
			return netip.Addr{}, nil
		} else if err != nil {
			return netip.Addr{}, fmt.Errorf("no answer for %s: %w", name, err)
		}
		var m dns.Msg
		if m.Unpack(buf[:n]) != nil || m.Id != a.id {
			continue // of the other node, to an earlier question
		}
		for _, rr := range m.Answer {
			if r, ok := rr.(*dns.A); ok {
				addr, _ := netip.AddrFromSlice(r.A.To4())
				return addr, nil
			}
		}
		return netip.Addr{}, nil
	}
}
