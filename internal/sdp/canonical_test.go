package sdp

import (
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	for _, s := range trickled(t) {
		for _, text := range []string{s, "a=" + s, s + "\r\n"} {
			if d := mustParse(t, text); !d.Candidates[0].Canonical(text) {
				t.Errorf("%q is as a browser writes it", text)
			}
		}
	}
	for name, text := range recorded(t) {
		d, err := Parse(text, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range d.Candidates {
			if !c.Canonical(text) {
				t.Errorf("%s, line %d: not canonical", name, c.Line)
			}
		}
	}
	change := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"good", good, true},
		{"server-reflexive", change("host", "srflx raddr 0.0.0.0 rport 0 generation 0"), true},
		{"all extensions", change("host", "relay raddr fd00::1 rport 9 tcptype so generation 1 ufrag Xx+/ network-id 2 network-cost 999"), true},
		{"capitals of Firefox", change("udp", "UDP"), true},
		{"name", change("10.77.1.2", "0b9eb1c9-8a41-4c4c-9d1f-6ecf0c8d3a7e.local"), true},
		{"IPv6", change("10.77.1.2", "2001:db8::1"), true},
		{"letter case of the prefix", "C" + good[1:], false},
		{"letter case of typ", change("typ", "TYP"), false},
		{"letter case of the type", change("host", "Host"), false},
		{"mixed case of the transport", change("udp", "Udp"), false},
		{"another type", change("host", "local"), false},
		{"another transport", change("udp", "sctp"), false},
		{"space at the end", good + " ", false},
		{"zero before the component", change(" 1 udp", " 01 udp"), false},
		{"zero before the priority", change("2122260223", "02122260"), false},
		{"zero before the port", change("4000", "04000"), false},
		{"IPv6 in capitals", change("10.77.1.2", "2001:DB8::1"), false},
		{"IPv6 written out", change("10.77.1.2", "2001:db8:0:0:0:0:0:1"), false},
		{"IPv4-mapped", change("10.77.1.2", "::ffff:10.77.1.2"), false},
		{"name in capitals", change("10.77.1.2", "A.local"), false},
		{"final dot", change("10.77.1.2", "a.local."), false},
		{"underscore", change("10.77.1.2", "a_b.local"), false},
		{"unknown extension", good + " x y", false},
		{"extension in capitals", good + " Generation 0", false},
		{"generation twice", good + " generation 0 generation 0", false},
		{"generation, not a number", good + " generation x", false},
		{"unknown tcptype", good + " tcptype x", false},
		{"raddr alone", good + " raddr 10.0.0.1", false},
		{"raddr, then another", good + " raddr 10.0.0.1 generation 0 rport 9", false},
		{"raddr later", good + " generation 0 raddr 10.0.0.1 rport 9", false},
		{"rport alone", good + " rport 9", false},
		{"zero before rport", good + " raddr 10.0.0.1 rport 09", false},
		{"raddr, a name", good + " raddr a.local rport 9", false},
		{"raddr in capitals", good + " raddr FD00::1 rport 9", false},
		{"ciphertext", change("10.77.1.2", "0.0.0.0") + " ciphertext QQ== cryptoparams keyid 00 csid aes-gcm", false},
	} {
		if got := mustParse(t, tt.text).Candidates[0].Canonical(tt.text); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func mustParse(t *testing.T, text string) *Description {
	t.Helper()
	d, err := ParseCandidate(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return d
}
