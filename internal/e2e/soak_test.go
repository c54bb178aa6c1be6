//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestSoak asks for ten thousand encrypted names on the link of a host where candgw and Chromium's own
// responder are both on the port of Multicast DNS, and for Chromium's names all the while. Chromium
// closes the responder of a page when it hears another address for one of its names.
func TestSoak(t *testing.T) {
	require(t)
	both := newNamespace(t, "both")
	near := newHost(t, both, 1)
	// Chromium has candidates on the interface of the default route alone.
	both.ip(t, "route", "add", "default", "via", near.v4.String())
	both.ip(t, "route", "add", "default", "via", near.v6.String())

	port := servePage(t, both)
	chromium := startChromium(t, both)
	home := host{namespace: both, v4: near.router, v6: netip.MustParseAddr("fd77:0:0:1::1"), router: near.router}
	pages := []page{openPeerPage(t, chromium, home, port), openPeerPage(t, chromium, home, port)}
	g := startGateway(t, both)

	s := &soak{asker: newAsker(t, near, any4), asked: map[string]netip.Addr{}, answers: map[string]int{}}
	s.own = s.checkHome(t, home, pages)
	s.ask(t, both, g.newNames(t, near, 10_000))
	if got := s.lookUp(t, s.own, patience/6); !maps.Equal(got, s.own) {
		t.Errorf("Chromium's names stand for %v, stood for %v", got, s.own)
	}
	// A page without its responder has no names for a new peer connection.
	s.checkHome(t, home, pages)
	s.checkNotices(t)
}

// newNames returns so many encrypted names, each of another address, half of them of IPv6.
func (g *gateway) newNames(t *testing.T, client host, count int) map[string]netip.Addr {
	t.Helper()
	const perOffer = 50
	body, candidate, _ := strings.Cut(sampleOffer, "a=candidate:")
	all := make(map[string]netip.Addr, count)
	var addresses []netip.Addr
	for i := range count {
		text := fmt.Sprintf("10.100.%d.%d", i/200, 1+i%200)
		if i%2 == 1 {
			text = fmt.Sprintf("fd77:0:0:9::%x", i)
		}
		addresses = append(addresses, netip.MustParseAddr(text))
		if len(addresses) < perOffer && i < count-1 {
			continue
		}
		offer := body
		for _, address := range addresses {
			offer += "a=candidate:" + fmt.Sprintf(candidate, address)
		}
		found := names(candidateLines(g.encryptDescription(t, client, offer)))
		if len(found) != len(addresses) {
			t.Fatalf("%d candidates have %d names", len(addresses), len(found))
		}
		for i, name := range found {
			all[name] = addresses[i]
		}
		addresses = nil
	}
	if len(all) != count {
		t.Fatalf("%d candidates have %d different names", count, len(all))
	}
	return all
}

// soak asks for names, Chromium's again and again.
type soak struct {
	*asker
	own     map[string]netip.Addr // Chromium's names
	asked   map[string]netip.Addr // the others that have no answer yet
	answers map[string]int        // to questions for Chromium's names
}

// maxAsked keeps the sockets of those who are asked from running over while they are not read: they hear
// the questions and all answers, their own too, and Linux lets 212,992 octets wait, a thousand for each.
const maxAsked = 40

// checkHome checks that new peers in pages of Chromium have names for both addresses of their host,
// and that these are answered. It returns them.
func (s *soak) checkHome(t *testing.T, home host, pages []page) map[string]netip.Addr {
	t.Helper()
	own := map[string]netip.Addr{}
	for _, p := range pages {
		peer := newPeer(t, p, home)
		peer.offer(t)
		for _, name := range names(candidateLines(peer.gathered(t))) {
			own[name] = netip.Addr{}
		}
	}
	own = s.lookUp(t, own, patience/6)
	got := slices.SortedFunc(maps.Values(own), netip.Addr.Compare)
	if want := []netip.Addr{home.v4, home.v4, home.v6, home.v6}; !slices.Equal(got, want) {
		t.Fatalf("Chromium's names stand for %v, want %v", got, want)
	}
	return own
}

// checkNotices checks that Chromium's names would have gone if it had been disturbed.
func (s *soak) checkNotices(t *testing.T) {
	t.Helper()
	for name := range s.own {
		conflict := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}}
		conflict.Answer = []dns.RR{newRecord(t, name+". 120 IN A 10.77.1.9"), newRecord(t, name+". 120 IN AAAA fd77:0:0:1::9")}
		s.send(t, group4, conflict)
	}
	time.Sleep(2 * time.Second) // for the answers that were held back
	if got := s.lookUp(t, s.own, 2*time.Second); len(got) > 0 {
		t.Errorf("after a conflict Chromium goes on answering for %v: this test proves nothing", got)
	}
}

// lookUp asks for both addresses of each name and returns those that come in time.
func (s *soak) lookUp(t *testing.T, all map[string]netip.Addr, limit time.Duration) map[string]netip.Addr {
	t.Helper()
	for before := true; before; {
		_, before = s.hears(0)
	}
	for name := range all {
		s.send(t, group4, question(name, dns.TypeA, dns.ClassINET))
		s.send(t, group4, question(name, dns.TypeAAAA, dns.ClassINET))
	}
	found := map[string]netip.Addr{}
	for deadline := time.Now().Add(limit); len(found) < len(all); {
		packet, ok := s.hears(time.Until(deadline))
		if !ok {
			break
		}
		for name := range all {
			for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
				if address, ok := packet.address(name, kind); ok {
					found[name] = netip.MustParseAddr(address)
				}
			}
		}
	}
	return found
}

// ask asks for each of the names once, a thousand a second, and meanwhile for Chromium's. Of those a
// question may be lost, as Chromium's socket hears all the others too.
func (s *soak) ask(t *testing.T, both namespace, all map[string]netip.Addr) {
	t.Helper()
	queue := slices.Collect(maps.Keys(all))
	begun := time.Now()
	deadline := begun.Add(time.Duration(len(queue))*time.Millisecond + patience)
	var ownAt time.Time
	rounds := 0
	for sent := 0; sent < len(queue) || len(s.asked) > 0; {
		// Chromium holds back a second answer for one name for a second.
		if sent < len(queue) && time.Since(ownAt) > 1200*time.Millisecond {
			ownAt = time.Now()
			rounds++
			for name, address := range s.own {
				s.askFor(t, name, address)
			}
		}
		for sent < len(queue) && len(s.asked) < maxAsked && time.Since(begun) > time.Duration(sent)*time.Millisecond {
			s.asked[queue[sent]] = all[queue[sent]]
			s.askFor(t, queue[sent], all[queue[sent]])
			sent++
		}
		if packet, ok := s.hears(time.Millisecond); ok {
			s.take(t, packet)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d names have no answer; the sockets there:\n%s", len(s.asked), sent,
				both.output(t, "grep", "^Udp:", "/proc/net/snmp"))
		}
	}
	t.Logf("%d names answered in %v; Chromium's names asked for %d times and answered %v times", len(queue),
		time.Since(begun).Round(time.Millisecond), rounds, slices.Collect(maps.Values(s.answers)))
	if len(s.answers) < len(s.own) {
		t.Errorf("%d of Chromium's %d names were answered meanwhile", len(s.answers), len(s.own))
	}
}

// askFor asks for the address of a name.
func (s *soak) askFor(t *testing.T, name string, address netip.Addr) {
	t.Helper()
	kind := dns.TypeA
	if address.Is6() {
		kind = dns.TypeAAAA
	}
	s.send(t, group4, question(name, kind, dns.ClassINET))
}

// take checks the addresses in a packet.
func (s *soak) take(t *testing.T, packet heard) {
	t.Helper()
	if packet.message == nil {
		t.Fatal("heard no DNS message")
	}
	for _, record := range packet.message.Answer {
		header := record.Header()
		name := strings.TrimSuffix(header.Name, ".")
		want, ok := s.asked[name]
		if !ok {
			want, ok = s.own[name]
		}
		if !ok || header.Ttl == 0 || header.Rrtype != dns.TypeA && header.Rrtype != dns.TypeAAAA {
			continue // as when a peer connection ends: RFC 6762, section 10.1
		}
		if got := dns.Field(record, 1); got != want.String() {
			t.Errorf("%s has the address %s, want %v", name, got, want)
		}
		if _, ok := s.own[name]; ok {
			s.answers[name]++
		}
		delete(s.asked, name)
	}
}
