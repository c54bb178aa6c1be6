package resolver

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

// serveDNS runs the server on loopback and returns its address.
func serveDNS(t testing.TB, w *world) string {
	t.Helper()
	d, err := ListenDNS(w.Resolver, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return d.Addr().String()
}

func TestDNS(t *testing.T) {
	w := newWorld(t, "local", "ice.corp.example")
	server := serveDNS(t, w)
	v4, v6 := w.name(t, cipher.AESUUID, addr4).String(), w.name(t, cipher.AESUUID, addr6).String()
	foreign, _ := newKey(t, cipher.AESUUID).Encrypt(addr4, pwd, nil)
	for _, tt := range []struct {
		name, ask string
		typ       uint16
		edit      func(*dns.Msg)
		rcode     int
		answer    string // the address; "" for none
		authority bool
	}{
		{"A", v4 + ".local.", dns.TypeA, nil, dns.RcodeSuccess, "10.77.1.2", true},
		{"AAAA", v6 + ".local.", dns.TypeAAAA, nil, dns.RcodeSuccess, "2001:db8:77:1::2", true},
		{"mixed case comes back as it was", strings.ToUpper(v4) + ".LocaL.", dns.TypeA, nil, dns.RcodeSuccess, "10.77.1.2", true},
		{"zone of the operator", v4 + ".ice.corp.example.", dns.TypeA, nil, dns.RcodeSuccess, "10.77.1.2", true},
		{"other family", v4 + ".local.", dns.TypeAAAA, nil, dns.RcodeSuccess, "", true},
		{"other family, IPv6", v6 + ".local.", dns.TypeA, nil, dns.RcodeSuccess, "", true},
		{"another type", v4 + ".local.", dns.TypeHTTPS, nil, dns.RcodeSuccess, "", true},
		{"any type (RFC 8482)", v6 + ".local.", dns.TypeANY, nil, dns.RcodeSuccess, "2001:db8:77:1::2", true},
		{"does not open", foreign.String() + ".local.", dns.TypeA, nil, dns.RcodeNameError, "", true},
		{"no name of ours", "printer.local.", dns.TypeA, nil, dns.RcodeNameError, "", true},
		{"SOA of local", "local.", dns.TypeSOA, nil, dns.RcodeSuccess, "", true},
		{"another zone", v4 + ".example.", dns.TypeA, nil, dns.RcodeRefused, "", false},
		{"root", ".", dns.TypeNS, nil, dns.RcodeRefused, "", false},
		{"transfer", "local.", dns.TypeAXFR, nil, dns.RcodeRefused, "", false},
		{"class CHAOS", "version.bind.", dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused, "", false},
		{"NOTIFY", "local.", dns.TypeSOA, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented, "", false},
		{"two questions", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError, "", false},
		{"two OPT records", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, false); m.SetEdns0(4096, false) }, dns.RcodeFormatError, "", false},
		{"EDNS version 1", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers, "", false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(tt.name+"/"+network, func(t *testing.T) {
				m := new(dns.Msg).SetQuestion(tt.ask, tt.typ)
				if tt.edit != nil {
					tt.edit(m)
				}
				got, _, err := (&dns.Client{Net: network}).Exchange(m, server)
				if err != nil {
					t.Fatal(err)
				}
				if got.Rcode != tt.rcode || got.Authoritative != tt.authority || got.RecursionAvailable || len(got.Ns) != 0 {
					t.Errorf("got\n%v", got)
				}
				var answer string
				for _, rr := range got.Answer {
					if rr.Header().Name != tt.ask || rr.Header().Ttl != 120 {
						t.Errorf("got %v", rr)
					}
					answer += strings.Fields(rr.String())[4]
				}
				if answer != tt.answer {
					t.Errorf("answer %q, want %q", answer, tt.answer)
				}
			})
		}
	}
	if w.seen["dns answered"] == 0 || w.seen["dns unauthenticated"] == 0 || w.seen["dns foreign"] == 0 {
		t.Errorf("metrics heard %v", w.seen)
	}
}

func TestDNSWithEDNS(t *testing.T) {
	w := newWorld(t)
	server := serveDNS(t, w)
	m := new(dns.Msg).SetQuestion(w.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA)
	m.SetEdns0(4096, true)
	got, _, err := new(dns.Client).Exchange(m, server)
	if err != nil {
		t.Fatal(err)
	}
	if opt := got.IsEdns0(); opt == nil || opt.UDPSize() != ednsSize || !opt.Do() || opt.Version() != 0 {
		t.Errorf("got %v", opt)
	}
	if plain, _, _ := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("x.local.", dns.TypeA), server); plain.IsEdns0() != nil {
		t.Error("an OPT record that nobody asked for")
	}
}

// Strangers are refused, and cannot tell a name that opens from one that does not.
func TestDNSStranger(t *testing.T) {
	w := newWorld(t)
	d := &DNS{resolver: w.Resolver}
	stranger := Asker{Addr: netip.MustParseAddr("203.0.113.5")}
	for _, name := range []string{w.name(t, cipher.AESUUID, addr4).String() + ".local.", "x.local.", "local."} {
		m := d.reply(new(dns.Msg).SetQuestion(name, dns.TypeA), stranger, nil, &tally{resolver: w.Resolver, front: FrontDNS})
		if m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestListenDNSTwice(t *testing.T) {
	w := newWorld(t)
	server := serveDNS(t, w)
	if d, err := ListenDNS(w.Resolver, server); err == nil {
		t.Errorf("a second server got %v", d.Addr())
	}
}

func TestAsker(t *testing.T) {
	d := new(DNS)
	for _, tt := range []struct {
		from string
		want Asker
	}{
		{"127.0.0.1", Asker{netip.MustParseAddr("127.0.0.1"), true}},
		{"::ffff:127.0.0.1", Asker{netip.MustParseAddr("127.0.0.1"), true}},
		{"203.0.113.5", Asker{netip.MustParseAddr("203.0.113.5"), false}},
		{"fe80::1%eth0", Asker{netip.MustParseAddr("fe80::1"), false}},
	} {
		if got := d.asker(netip.MustParseAddr(tt.from), time.Now()); got.Addr != tt.want.Addr || tt.from != "fe80::1%eth0" && got != tt.want {
			t.Errorf("%v: got %v", tt.from, got)
		}
	}
}
