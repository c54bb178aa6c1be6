//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/miekg/dns"
)

// TestLoadChecks has the load client ask servers that answer wrongly, each in a way of its own.
func TestLoadChecks(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc")
	}
	program := filepath.Join(t.TempDir(), "load")
	if out, err := exec.Command("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, "load.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	const names = 50
	all := func(set func(*result)) result {
		r := result{Sent: names}
		set(&r)
		return r
	}
	right := all(func(r *result) { r.Answered = names })
	wrong := all(func(r *result) { r.Answered, r.Wrong = names, names })
	for _, c := range []struct {
		name   string
		ipv6   bool
		spoil  func(*dns.Msg) bool // false: no answer
		expect result
	}{
		{"right", false, func(*dns.Msg) bool { return true }, right},
		{"right, IPv6", true, func(*dns.Msg) bool { return true }, right},
		{"with an OPT record", false, func(m *dns.Msg) bool { m.SetEdns0(1232, false); return true }, right},
		{"not compressed", false, func(m *dns.Msg) bool { m.Compress = false; return true }, right},
		{"another address", false, func(m *dns.Msg) bool { m.Answer[0].(*dns.A).A = net.IP{10, 9, 9, 9}; return true }, wrong},
		{"another name's record", false, func(m *dns.Msg) bool { m.Answer[0].Header().Name = "other.local."; return true }, wrong},
		{"another type", true, func(m *dns.Msg) bool {
			m.Answer[0] = &dns.A{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IP{10, 9, 9, 9}}
			return true
		}, wrong},
		{"another question", false, func(m *dns.Msg) bool { m.Question[0].Qtype = dns.TypeAAAA; return true }, wrong},
		{"no answer in it", false, func(m *dns.Msg) bool { m.Answer = nil; return true }, wrong},
		{"an error", false, func(m *dns.Msg) bool { m.Rcode = dns.RcodeRefused; return true }, wrong},
		{"cut short", false, func(m *dns.Msg) bool { m.Truncated = true; return true }, wrong},
		{"a query", false, func(m *dns.Msg) bool { m.Response = false; return true }, wrong},
		{"silence", false, func(*dns.Msg) bool { return false }, all(func(r *result) { r.Lost = names })},
		{"another id", false, func(m *dns.Msg) bool { m.Id ^= 0x8000; return true }, all(func(r *result) { r.Lost, r.Stray = names, names })},
	} {
		t.Run(c.name, func(t *testing.T) {
			var records []record
			addrs := map[string]netip.Addr{}
			for i := range names {
				addr := netip.AddrFrom4([4]byte{10, 77, 0, byte(i)})
				if c.ipv6 {
					addr = netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(i)})
				}
				r := record{fmt.Sprintf("name-%d.local", i), addr}
				records = append(records, r)
				addrs[dns.Fqdn(r.name)] = addr
			}
			port := serveWrongly(t, addrs, c.spoil)
			file := filepath.Join(t.TempDir(), "names")
			if err := writeLines(file, records, expectation); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program, "-o", strconv.Itoa(port), file)
			out, _ := cmd.Output()
			var got result
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("it printed %q: %v", out, err)
			}
			got.Seconds, got.Median, got.P99 = 0, 0, 0
			if got != c.expect {
				t.Errorf("got %+v, want %+v", got, c.expect)
			}
			if ok := cmd.ProcessState.ExitCode() == 0; ok != (c.expect == right) {
				t.Errorf("exit code %d", cmd.ProcessState.ExitCode())
			}
		})
	}
}

// serveWrongly answers until the test ends, each answer spoiled, and returns its port.
func serveWrongly(t *testing.T, addrs map[string]netip.Addr, spoil func(*dns.Msg) bool) int {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Compress = true
		name := q.Question[0].Name
		header := dns.RR_Header{Name: name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 120}
		if addr := addrs[name]; addr.Is4() {
			m.Answer = []dns.RR{&dns.A{Hdr: header, A: addr.AsSlice()}}
		} else {
			m.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: addr.AsSlice()}}
		}
		if spoil(m) {
			w.WriteMsg(m)
		}
	})}
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		server.Shutdown()
		<-ended
	})
	return conn.LocalAddr().(*net.UDPAddr).Port
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		name    string
		figures []float64
		want    spread
	}{
		{"one", []float64{3}, spread{3, 3, 3}},
		{"two", []float64{3, 1}, spread{1.5, 2, 2.5}},
		{"five", []float64{5, 1, 4, 2, 3}, spread{2, 3, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := spreadOf(c.figures); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
