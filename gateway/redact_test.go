package gateway

import (
	"strings"
	"testing"
)

const srflx = "a=candidate:2 1 udp 1 203.0.113.5 4000 typ srflx raddr 10.77.1.2 rport 4000 generation 0"

func TestRedaction(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"connection", "c=IN IP4 10.77.1.2", "c=IN IP4 0.0.0.0"},
		{"connection, IPv6", "c=IN IP6 FD12:3456:789a:1::2", "c=IN IP6 ::"},
		{"connection, another private", "c=IN IP4 192.168.1.9", "c=IN IP4 0.0.0.0"},
		{"connection, shared space", "c=IN IP4 100.64.0.9", "c=IN IP4 0.0.0.0"},
		{"connection, link-local", "c=IN IP6 fe80::1", "c=IN IP6 ::"},
		{"connection, name", "c=IN IP6 x.local", "c=IN IP4 0.0.0.0"},
		{"connection, public", "c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0"}, // ICE needs none
		{"connection, time to live", "c=IN IP4 10.77.1.2/127", "c=IN IP4 0.0.0.0/127"},
		{"connection, nowhere", "c=IN IP4 0.0.0.0", "c=IN IP4 0.0.0.0"},
		{"connection, another type", "c=IN IP4 fd00::1", "c=IN IP6 ::"},
		{"origin, public", "o=- 1 2 IN IP4 198.51.100.1", "o=- 1 2 IN IP4 0.0.0.0"}, // on a second line, but all the same
		{"connection, told", "c=IN IP4 203.0.113.5", "c=IN IP4 203.0.113.5"},
		{"rtcp", "a=rtcp:4001 IN IP4 10.77.1.2", "a=rtcp:9 IN IP4 0.0.0.0"},
		{"rtcp, IPv6", "a=rtcp:4001 IN IP6 2001:db8:77:1::2", "a=rtcp:9 IN IP6 ::"},
		{"rtcp, name", "a=RTCP:4001 IN IP4 x.local", "a=RTCP:9 IN IP4 0.0.0.0"},
		{"rtcp, port alone", "a=rtcp:4001", "a=rtcp:4001"},
		{"remote candidates", "a=remote-candidates:1 198.51.100.1 1 2 10.77.1.2 2\r\na=x", "a=x"},
		{"unknown attribute", "a=x-local:10.77.1.2 y", "a=x-local:0.0.0.0 y"},
		{"with a port", "a=x:10.77.1.2:4000", "a=x:0.0.0.0:4000"},
		{"with a port after a dot", "a=x:10.77.1.2.4000", "a=x:0.0.0.0.4000"},
		{"two in a run", "a=x:10.77.1.2:10.77.1.2", "a=x:0.0.0.0:0.0.0.0"},
		{"after a longer one", "a=x:10.77.1.20:10.77.1.2:110.77.1.2", "a=x:10.77.1.20:0.0.0.0:110.77.1.2"},
		{"glued to letters", "a=x:be10.77.1.2and", "a=x:be0.0.0.0and"},
		{"at the end of a sentence", "i=I am 10.77.1.2.", "i=I am 0.0.0.0."},
		{"in an IPv6 address", "a=x:::10.77.1.2", "a=x:::0.0.0.0"},
		{"IPv4-mapped", "a=x ::ffff:10.77.1.2", "a=x ::"},
		{"IPv4-mapped, hexadecimal", "a=x ::FFFF:a4d:102", "a=x ::"},
		{"IPv6", "a=x 2001:db8:77:1::2", "a=x ::"},
		{"IPv6, long form", "a=x 2001:0DB8:0077:0001:0000:0:0:0002.", "a=x ::."},
		{"IPv6, with a port", "a=x [2001:db8:77:1::2]:80", "a=x [::]:80"},
		{"IPv6, after a colon", "a=x:2001:DB8:77:1::2", "a=x:::"},
		{"another IPv6", "a=x 2001:db8:77:1::2f", "a=x 2001:db8:77:1::2f"},
		{"fingerprint", "a=fingerprint:sha-1 10:77:01:02:F4:EB:FA:43:B2:2E:1B:F8:4F:48:44:E0:FC:8B:5D:FC", "a=fingerprint:sha-1 10:77:01:02:F4:EB:FA:43:B2:2E:1B:F8:4F:48:44:E0:FC:8B:5D:FC"},
		{"extension of a candidate", srflx + " x 10.77.1.2", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := []string{host("10.77.1.2"), host("2001:db8:77:1::2"), srflx}
			got, report := newGateway(t, "").encrypt(t, SDP, offer(append(lines, tt.in)...))
			if tt.want != "" && !strings.HasSuffix(got, "\r\n"+tt.want+"\r\n") {
				t.Errorf("got %q, want %q", got[strings.LastIndex(got, "generation 0"):], tt.want)
			}
			if report.Encrypted != 2 || strings.Contains(got, " 10.77.1.2") {
				t.Errorf("report %+v, got %s", report, got)
			}
			if changed := tt.in != tt.want; changed != (report.Redacted > 1) {
				t.Errorf("redacted %d", report.Redacted)
			}
		})
	}
}

func TestRelatedAddress(t *testing.T) {
	for in, want := range map[string]string{
		"raddr 10.77.1.2 rport 4000": "raddr 0.0.0.0 rport 9",
		"raddr fd00::1 rport 4000":   "raddr :: rport 9",
		"raddr x.local rport 4000":   "raddr 0.0.0.0 rport 9",
		"raddr 10.77.1.2":            "raddr 0.0.0.0",
		"rport 5 raddr 198.51.100.7": "rport 9 raddr 0.0.0.0",
		"raddr 0.0.0.0 rport 0":      "raddr 0.0.0.0 rport 0",
		"raddr :: rport 9":           "raddr :: rport 9",
	} {
		for _, typ := range []string{"srflx", "prflx", "relay", "host"} {
			line := "a=candidate:2 1 udp 1 203.0.113.5 4000 typ " + typ + " "
			got, report := newGateway(t, "").encrypt(t, SDP, offer(line+in))
			if _, after, _ := strings.Cut(got, typ+" "); after != want+"\r\n" {
				t.Errorf("%s %s: got %q", typ, in, after)
			}
			if (in == want) != (report.Redacted == 0) {
				t.Errorf("%s %s: redacted %d", typ, in, report.Redacted)
			}
			if field(t, got, 0, 0) == "2" {
				t.Errorf("%s: the foundation is still there", typ)
			}
		}
	}
	// So with candidates that are kept for another reason.
	s := newGateway(t, "")
	encrypted, _ := s.encrypt(t, SDP, offer(host("10.77.1.2")))
	for _, name := range []string{field(t, encrypted, 0, 4), "nobody.local"} {
		got, _ := s.encrypt(t, SDP, offer(host(name)+" raddr 10.77.3.2 rport 7", "a=x:10.77.3.2"))
		if want := offer(strings.Replace(host(name), ":1 ", ":"+field(t, got, 0, 0)+" ", 1)+" raddr 0.0.0.0 rport 9", "a=x:0.0.0.0"); got != want {
			t.Errorf("got %s", got)
		}
	}
}

func TestMediaPort(t *testing.T) {
	for _, tt := range []struct{ name, session, media, port, want string }{
		{"redacted", "", "c=IN IP4 10.77.1.2\r\n", "4000", "9"},
		{"session level", "c=IN IP4 10.77.1.2\r\n", "", "4000", "9"},
		{"own connection", "c=IN IP4 10.77.1.2\r\n", "c=IN IP4 203.0.113.5\r\n", "4000", "4000"},
		{"two connections", "", "c=IN IP4 203.0.113.5\r\nc=IN IP4 10.77.1.2\r\n", "4000", "9"},
		{"number of ports", "", "c=IN IP4 10.77.1.2\r\n", "4000/2", "9/2"},
		{"refused section", "", "c=IN IP4 10.77.1.2\r\n", "0", "0"},
		{"nothing redacted", "", "c=IN IP4 0.0.0.0\r\n", "4000", "4000"},
	} {
		body := "v=0\r\no=- 1 2 IN IP4 10.77.1.2\r\n" + tt.session + "m=audio " + tt.port + " RTP/AVP 0\r\n" + tt.media +
			"a=ice-ufrag:XHiM\r\na=ice-pwd:" + pwd + "\r\n" + host("10.77.1.2") + "\r\n" + srflx + "\r\n"
		got, _ := newGateway(t, "").encrypt(t, SDP, body)
		if !strings.Contains(got, "m=audio "+tt.want+" RTP/AVP 0\r\n") || !strings.Contains(got, "o=- 1 2 IN IP4 0.0.0.0\r\n") {
			t.Errorf("%s: got %s", tt.name, got)
		}
		checkConcealed(t, got)
	}
}

func TestWithoutICE(t *testing.T) {
	// An endpoint that does no ICE needs its public address; a private one goes all the same.
	const body = "v=0\no=- 1 2 IN IP4 203.0.113.5\nc=IN IP4 203.0.113.5\nm=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 0\nc=IN IP4 10.77.1.2\n"
	got, report := newGateway(t, "").encrypt(t, SDP, body)
	want := strings.NewReplacer("10.77.1.2", "0.0.0.0", "4002", "9").Replace(body)
	if got != want || report.Redacted != 1 {
		t.Errorf("report %+v, got %s", report, got)
	}
	// A host candidate without credentials is dropped, and its address is concealed all the same.
	got, report = newGateway(t, "").encrypt(t, SDP, body+host("203.0.113.5")+"\n")
	if strings.Contains(got, "203.0.113.5") || report.Dropped != 1 || report.Redacted != 3 {
		t.Errorf("report %+v, got %s", report, got)
	}
}

// TestLinkLocalIsConcealed: such an address may be made of a hardware address.
func TestLinkLocalIsConcealed(t *testing.T) {
	got, _ := newGateway(t, "").encrypt(t, SDP, offer(host("fe80::a0:b0ff:fec0:1"), "a=x:fe80::a0:b0ff:fec0:1"))
	if got != offer("a=x:::") {
		t.Errorf("got %s", got)
	}
}

// TestKeptCandidatesStayWhole: what a kept candidate tells is swept nowhere, whatever comes first.
func TestKeptCandidatesStayWhole(t *testing.T) {
	const relay = "a=candidate:4 1 udp 1 198.51.100.1 4000 typ relay raddr 203.0.113.5 rport 4000"
	for _, lines := range [][]string{
		{srflx, relay, "a=x:203.0.113.5", host("10.77.1.2")},
		{host("10.77.1.2"), "a=x:203.0.113.5", relay, srflx},
	} {
		got, report := newGateway(t, "").encrypt(t, SDP, offer(lines...))
		if report.Kept != 2 || strings.Count(got, "203.0.113.5") != 2 || strings.Count(got, "198.51.100.1") != 1 {
			t.Errorf("report %+v, got %s", report, got)
		}
	}
	// One whose address ends like a concealed one.
	long := strings.Replace(srflx, "203.0.113.5", "2001:db8:77:1::2", 1)
	got, report := newGateway(t, "").encrypt(t, SDP, offer(long, host("db8:77:1::2")))
	if report.Kept != 1 || field(t, got, 0, 4) != "2001:db8:77:1::2" {
		t.Errorf("report %+v, got %s", report, got)
	}
	// A host whose own address the STUN server saw.
	for _, lines := range [][]string{{srflx, host("203.0.113.5")}, {host("203.0.113.5"), srflx}} {
		got, report := newGateway(t, "").encrypt(t, SDP, offer(lines...))
		if report.Dropped != 1 || report.Encrypted != 1 || strings.Contains(got, "203.0.113.5") {
			t.Errorf("report %+v, got %s", report, got)
		}
	}
	// And over the texts of one body.
	got, report = newGateway(t, "").encrypt(t, JSON, "["+description(offer(srflx))+","+description(offer(host("203.0.113.5")))+"]")
	if report.Dropped != 1 || report.Encrypted != 1 || strings.Contains(got, "203.0.113.5") {
		t.Errorf("report %+v, got %s", report, got)
	}
}
