package sdp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded returns the descriptions that browsers made, by file name.
func recorded(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.sdp")
	if err != nil || len(files) == 0 {
		t.Fatalf("no descriptions in testdata: %v", err)
	}
	out := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(text)
	}
	return out
}

// trickled returns the candidates that browsers trickled.
func trickled(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.trickle.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no candidates in testdata: %v", err)
	}
	var out []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ Candidates []*struct{ Candidate string } }
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		for _, c := range v.Candidates {
			if c != nil && c.Candidate != "" {
				out = append(out, c.Candidate)
			}
		}
	}
	return out
}

func TestRecordedDescriptions(t *testing.T) {
	for name, want := range map[string]struct{ sections, candidates, fields int }{
		"chromium-mdns.sdp": {4, 6, 6},
		"chromium-raw.sdp":  {4, 24, 6},
		"firefox-mdns.sdp":  {4, 20, 6},
		"firefox-raw.sdp":   {4, 20, 6},
	} {
		t.Run(name, func(t *testing.T) {
			text := recorded(t)[name]
			d, err := Parse(text, false)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Sections) != want.sections || len(d.Candidates) != want.candidates || len(d.Fields) != want.fields {
				t.Errorf("got %d sections, %d candidates, %d fields; want %+v", len(d.Sections), len(d.Candidates), len(d.Fields), want)
			}
			if got := strings.Count(text, "a=candidate:"); got != want.candidates {
				t.Errorf("the text has %d candidates, want %d", got, want.candidates)
			}
			for _, c := range d.Candidates {
				checkCandidate(t, text, &c)
				if c.Whole.Of(text) != "a="+c.Text.Of(text)+"\r\n" {
					t.Errorf("line %d: whole line %q", c.Line, c.Whole.Of(text))
				}
				if len(d.Pwd(text, c.Section)) < 22 || d.Ufrag(text, c.Section) == "" {
					t.Errorf("line %d: no credentials, though they only come later in the section", c.Line)
				}
			}
		})
	}
}

// checkCandidate compares each span with the field that stands there.
func checkCandidate(t *testing.T, text string, c *Candidate) {
	t.Helper()
	w := strings.Fields(strings.TrimPrefix(c.Text.Of(text), "candidate:"))
	got := []string{c.Foundation.Of(text), c.Transport.Of(text), c.Host.Of(text), c.Port.Of(text), c.Type.Of(text)}
	want := []string{w[0], w[2], w[4], w[5], w[7]}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("line %d: got %q, want %q", c.Line, got, want)
	}
	if c.Host.Addr.IsValid() == strings.HasSuffix(w[4], ".local") {
		t.Errorf("line %d: address valid: %v", c.Line, c.Host.Addr.IsValid())
	}
}

func TestRecordedCandidates(t *testing.T) {
	for _, s := range trickled(t) {
		for _, text := range []string{s, "a=" + s, s + "\r\n", s + "\n"} {
			d, err := ParseCandidate(text)
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			c := &d.Candidates[0]
			checkCandidate(t, text, c)
			if c.Whole != (Span{0, len(text)}) || c.Text.Of(text) != s {
				t.Errorf("%q: whole %v, text %q", text, c.Whole, c.Text.Of(text))
			}
			if strings.Contains(s, " ufrag ") != !c.Ufrag.Empty() {
				t.Errorf("%q: ufrag %q", text, c.Ufrag.Of(text))
			}
		}
	}
}

const good = "candidate:1 1 udp 2122260223 10.77.1.2 4000 typ host"

func TestCandidateFields(t *testing.T) {
	const text = "candidate:+/aZ 256 UDP 0 ::FFFF:10.77.1.2 0 typ srflx raddr fd00::1 rport 65535 generation 0 ufrag XHiM x y"
	d, err := ParseCandidate(text)
	if err != nil {
		t.Fatal(err)
	}
	c := &d.Candidates[0]
	for _, f := range [][2]string{
		{c.Foundation.Of(text), "+/aZ"}, {c.Transport.Of(text), "UDP"}, {c.Host.Of(text), "::FFFF:10.77.1.2"},
		{c.Host.Addr.String(), "10.77.1.2"}, {c.Port.Of(text), "0"}, {c.Type.Of(text), "srflx"},
		{c.Related.Addr.String(), "fd00::1"}, {c.RelatedPort.Of(text), "65535"}, {c.Ufrag.Of(text), "XHiM"},
	} {
		if f[0] != f[1] {
			t.Errorf("got %q, want %q", f[0], f[1])
		}
	}
	if !c.Ciphertext.Empty() {
		t.Error("it has no ciphertext")
	}
	const encrypted = "candidate:1 1 udp 1 0.0.0.0 9 typ host generation 0 CipherText QUJD cryptoparams keyid 00 csid aes-gcm"
	if d, err = ParseCandidate(encrypted); err != nil {
		t.Fatal(err)
	}
	if got := d.Candidates[0].Ciphertext.Of(encrypted); got != "CipherText QUJD cryptoparams keyid 00 csid aes-gcm" {
		t.Errorf("got ciphertext %q", got)
	}
}

func TestBrokenCandidates(t *testing.T) {
	change := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "candidate:", "too few fields"},
		{"another attribute", "a=mid:0", "not a candidate"},
		{"upper-case line", "A=" + good, "not a candidate"},
		{"white space before", " " + good, "not a candidate"},
		{"two lines", good + "\n" + good, "more than one line"},
		{"two lines of old", good + "\r" + good, "printable"},
		{"two spaces", change(" udp", "  udp"), "two spaces"},
		{"tab", change(" udp", "\tudp"), "printable"},
		{"no-break space", change(" udp", "\u00a0udp"), "printable"},
		{"vertical tab", change("udp ", "udp\v"), "printable"},
		{"zero octet", change("udp", "u\x00p"), "printable"},
		{"not ASCII", change("udp", "üdp"), "printable"},
		{"no foundation", "candidate: 1 udp 1 10.77.1.2 1 typ host", "two spaces"},
		{"foundation", change(":1 ", ":1-1 "), "foundation"},
		{"long foundation", change(":1 ", ":"+strings.Repeat("1", 33)+" "), "foundation"},
		{"component 0", change(" 1 udp", " 0 udp"), "component"},
		{"component 257", change(" 1 udp", " 257 udp"), "component"},
		{"priority, negative", change("2122260223", "-1"), "priority"},
		{"priority of 33 bits", change("2122260223", "4294967296"), "priority"},
		{"priority, endless", change("2122260223", strings.Repeat("9", 30)), "priority"},
		{"port 65536", change("4000", "65536"), "port"},
		{"port, hexadecimal", change("4000", "0x10"), "port"},
		{"port, signed", change("4000", "+4000"), "port"},
		{"IPv4, three parts", change("10.77.1.2", "10.77.1"), "address"},
		{"IPv4, five parts", change("10.77.1.2", "10.77.1.2.3"), "address"},
		{"IPv4, octal", change("10.77.1.2", "012.077.001.002"), "address"},
		{"IPv4, hexadecimal", change("10.77.1.2", "0x0a4d0102"), "address"},
		{"IPv4, decimal", change("10.77.1.2", "172818690"), "address"},
		{"IPv4, final dot", change("10.77.1.2", "10.77.1.2."), "address"},
		{"IPv4 and port", change("10.77.1.2", "10.77.1.2:80"), "address"},
		{"IPv6 in brackets", change("10.77.1.2", "[fd00::1]"), "address"},
		{"IPv6, nine parts", change("10.77.1.2", "1:2:3:4:5:6:7:8:9"), "address"},
		{"IPv6 zone", change("10.77.1.2", "fe80::1%eth0"), "zone"},
		{"empty label", change("10.77.1.2", "a..local"), "address"},
		{"long label", change("10.77.1.2", strings.Repeat("a", 64)+".local"), "address"},
		{"long name", change("10.77.1.2", strings.Repeat("a.", 125)+"local"), "address"},
		{"no typ", change("typ", "type"), "no typ"},
		{"no type", change(" host", ""), "too few"},
		{"extension without value", good + " generation", "extension without"},
		{"two raddr", good + " raddr 10.0.0.1 raddr 10.0.0.2", "two related"},
		{"two rport", good + " rport 1 rport 2", "two extensions"},
		{"two ufrag", good + " ufrag a UFRAG b", "two extensions"},
		{"two addrtype", good + " addrtype inipv4 AddrType inipv4", "two extensions addrtype"},
		{"two keyid", good + " keyid 00 keyid 01", "two extensions keyid"},
		{"addrtype without a value", good + " addrtype", "without a value"},
		{"raddr as an addrtype", good + " addrtype raddr 10.0.0.1 rport", "out of place"},
		{"ciphertext as a keyid", change("10.77.1.2", "::") + " keyid ciphertext a cryptoparams keyid b csid c", "out of place"},
		{"a candidate without its addrtype", good + " x candidate:1 addrtype 2 3 4 5 6 typ z", "another candidate"},
		{"raddr broken", good + " raddr 10.0.0", "related address"},
		{"raddr with a zone", good + " raddr fe80::1%en0", "zone"},
		{"rport broken", good + " rport x", "related port"},
		{"raddr as a value", good + " x raddr 10.0.0.1 rport", "out of place"},
		{"ciphertext as a value", good + " x ciphertext a cryptoparams keyid b csid c", "out of place"},
		{"ciphertext beside an address", good + " ciphertext a cryptoparams keyid b csid c", "both a ciphertext"},
		{"ciphertext beside a name", change("10.77.1.2", "x.local") + " ciphertext a cryptoparams keyid b csid c", "both a ciphertext"},
		{"ciphertext, then raddr", change("10.77.1.2", "0.0.0.0") + " ciphertext a raddr 10.0.0.1", "broken ciphertext"},
		{"ciphertext and more", change("10.77.1.2", "::") + " ciphertext a cryptoparams keyid b csid c raddr 10.0.0.1", "broken ciphertext"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseCandidate(tt.text)
			checkError(t, err, 1, tt.want)
			_, err = Parse("v=0\r\nm=audio 9 RTP/AVP 0\r\na="+strings.TrimPrefix(tt.text, "a=")+"\r\n", false)
			if tt.name != "another attribute" && tt.name != "upper-case line" {
				checkError(t, err, 0, "")
			}
		})
	}
}

// checkError wants an error at a line, 0 for any, that tells no address.
func checkError(t *testing.T, err error, line int, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrSyntax) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if line != 0 && e.Line != line || !strings.Contains(e.What, want) {
		t.Errorf("got %q, want line %d and %q", err, line, want)
	}
	for _, address := range []string{"10.77", "10.0.0", "012.", "fe80", "172818690", "::1"} {
		if strings.Contains(err.Error(), address) {
			t.Errorf("%q tells an address", err)
		}
	}
}

func TestBrokenDescriptions(t *testing.T) {
	const head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
	for _, tt := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"nothing", "", 1, "empty"},
		{"text", "Hello\n", 1, "not SDP"},
		{"no version", "o=- 1 2 IN IP4 10.77.1.2\n", 1, "v=0"},
		{"byte order mark", "\ufeff" + head, 1, "not SDP"},
		{"upper-case letter", head + "A=x\n", 5, "not SDP"},
		{"space before", head + " a=" + good, 5, "not SDP"},
		{"space before =", head + "a =" + good, 5, "not SDP"},
		{"one letter", head + "a", 5, "not SDP"},
		{"another version", "v=1\n", 1, "begins with v=0"},
		{"a space after the version", "v=0 \n", 1, "begins with v=0"},
		{"a second description", head + "v=0\n", 5, "second description"},
		{"text after an empty line", head + "\r\n" + "a=" + good, 6, "empty line"},
		{"carriage return inside", head + "s=x\ra=" + good, 5, "line end"},
		{"two carriage returns", head + "s=x\r\r\n", 5, "line end"},
		{"zero octet", head + "s=\x00\n", 5, "line end"},
		{"line separator", head + "s=x\u2028a=" + good, 5, "line end"},
		{"paragraph separator", head + "s=x\u2029a=" + good, 5, "line end"},
		{"next line", head + "s=x\u0085a=" + good, 5, "line end"},
		{"form feed", head + "s=x\fa=" + good, 5, "line end"},
		{"file separator", head + "s=x\x1ca=" + good, 5, "line end"},
		{"white space after a=", head + "a= ice-pwd:x", 5, "white space"},
		{"no-break space after a=", head + "a=\u00a0mid:0", 5, "white space"},
		{"white space before a candidate", head + "a= " + good, 5, "not a=candidate:"},
		{"candidate in another attribute", head + "a=x-" + good, 5, "not a=candidate:"},
		{"candidate in another line", head + "i=see " + good, 5, "not a=candidate:"},
		{"candidate in a candidate", head + "a=" + good + " " + good, 5, "another candidate"},
		{"space before the colon", head + "a=candidate :1", 5, "colon"},
		{"no colon", head + "a=candidate", 5, "colon"},
		{"space for a colon", head + "a=Candidate 1 1 udp 1 10.77.1.2 4000 typ host", 5, "colon"},
		{"second pwd", head + "a=ice-pwd:a\na=ICE-PWD:b", 6, "second ice-pwd"},
		{"second ufrag", head + "a=ice-ufrag:a\na=ice-ufrag:b", 6, "second ice-ufrag"},
		{"empty pwd", head + "a=ice-pwd:", 5, "empty"},
		{"identity without a colon", head + "a=identity", 5, "colon"},
		{"identity without a value", head + "a=identity:", 5, "assertion"},
		{"identity, letter case", head + "a=Identity", 5, "a=identity wants a colon"},
		{"identity, space before the colon", head + "a=identity :QUJD", 5, "colon"},
		{"identity, space for a colon", head + "a=identity QUJD", 5, "colon"},
		{"identity, space after the colon", head + "a=identity: QUJD", 5, "assertion"},
		{"identity, tab after the colon", head + "a=identity:\tQUJD", 5, "white space"},
		{"identity, no-break space", head + "a=identity:QUJD\u00a0x", 5, "white space"},
		{"origin of five fields", "v=0\no=- 1 2 IN IP4\n", 2, "six"},
		{"origin with a zone", "v=0\no=- 1 2 IN IP6 fe80::1%en0\n", 2, "zone"},
		{"origin of another type", "v=0\no=- 1 2 IN IP5 10.77.1.2\n", 2, "IP4 nor IP6"},
		{"connection of two fields", head + "c=IN IP4", 5, "c="},
		{"connection, broken", head + "c=IN IP4 10.77.1", 5, "address"},
		{"connection, tab", head + "c=IN\tIP4 10.77.1.2", 5, "c="},
		{"origin, tab", "v=0\no=a\tb 1 2 IN IP4 10.77.1.2", 2, "o="},
		{"media of two fields", head + "m=audio 9", 5, "m="},
		{"media port", head + "m=audio x RTP/AVP 0", 5, "port"},
		{"rtcp port", head + "a=rtcp:x", 5, "port"},
		{"rtcp of three fields", head + "a=rtcp:1 IN IP4", 5, "rtcp"},
		{"rtcp, broken", head + "a=rtcp:1 IN IP4 10.77", 5, "address"},
		{"remote candidates of two fields", head + "a=remote-candidates:1 10.77.1.2", 5, "remote-candidates"},
		{"remote candidates, broken", head + "a=remote-candidates:1 10.77.1 4000", 5, "address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.text, false)
			checkError(t, err, tt.line, tt.want)
		})
	}
	if _, err := Parse(head+"\r\n\r\n", false); err != nil {
		t.Errorf("empty lines at the end: %v", err)
	}
}

func TestFragment(t *testing.T) {
	const text = "a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\nm=audio 9/2 RTP/AVP 0\na=mid:1\na=" + good
	d, err := Parse(text, true)
	if err != nil {
		t.Fatal(err)
	}
	if d.Pwd(text, 1) != "asd88fgpdd777uzjYhagZg" || d.Ufrag(text, 1) != "8hhY" || d.Sections[1].Port.Of(text) != "9" {
		t.Errorf("got pwd %q, ufrag %q, port %q", d.Pwd(text, 1), d.Ufrag(text, 1), d.Sections[1].Port.Of(text))
	}
	if c := d.Candidates[0]; c.Section != 1 || c.Line != 5 || c.Whole.Of(text) != "a="+good {
		t.Errorf("got %+v", c)
	}
	if _, err := Parse(text, false); err == nil {
		t.Error("a fragment is no description")
	}
}

func TestMediaLevelOverrides(t *testing.T) {
	const text = "v=0\na=ice-ufrag:sess\na=ice-pwd:session\nm=audio 9 X\nm=video 9 X\na=ice-ufrag:vid\na=ice-pwd:video"
	d, err := Parse(text, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]string{{"sess", "session"}, {"sess", "session"}, {"vid", "video"}} {
		if d.Ufrag(text, i) != want[0] || d.Pwd(text, i) != want[1] {
			t.Errorf("section %d: %q %q, want %q", i, d.Ufrag(text, i), d.Pwd(text, i), want)
		}
	}
}

func TestFields(t *testing.T) {
	const text = "v=0\no=jo 1 2 IN IP6 fd00::1\nc=IN IP4 224.2.36.42/127\nm=audio 9 X\n" +
		"a=rtcp:53020 in ip4 host.example.com\na=rtcp:53020\na=remote-candidates:1 10.77.1.2 1 2 fd00::2 2\n"
	d, err := Parse(text, false)
	if err != nil {
		t.Fatal(err)
	}
	type field struct {
		kind          Kind
		line, section int
		host, typ     string
		port          string
	}
	var got []field
	for _, f := range d.Fields {
		got = append(got, field{f.Kind, f.Line, f.Section, f.Host.Of(text), f.Type.Of(text), f.Port.Of(text)})
	}
	want := []field{
		{Origin, 2, 0, "fd00::1", "IP6", ""},
		{Connection, 3, 0, "224.2.36.42", "IP4", ""},
		{RTCP, 5, 1, "host.example.com", "ip4", "53020"},
		{RemoteCandidates, 7, 1, "10.77.1.2", "", ""},
		{RemoteCandidates, 7, 1, "fd00::2", "", ""},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestHidesCandidate(t *testing.T) {
	for text, want := range map[string]bool{
		good:                                     true,
		`{"x":"` + good + `"}`:                   true,
		"x\n\tCANDIDATE:" + good[10:]:            true,
		"our candidate: Jo of the typ":           false,
		"candidate:candidate:":                   false,
		strings.Replace(good, " ", "\u00a0 ", 1): true,
		"":                                       false,
	} {
		if got := HidesCandidate(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestParseIPv4(t *testing.T) {
	for _, s := range []string{"10.77.1.2", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.1.1.256", "1.2.3", "1.2.3.4.5", "1.2.3.",
		".1.2.3", "1..2.3", "01.2.3.4", "1.2.3.04", "1.2.3.00", "1.2.3.4a", "", "1", "1.2.3.1000", "::1", "1.2.3.-4", "1.2.3.4 ", "x.local"} {
		want, err := netip.ParseAddr(s)
		if got, ok := parseIPv4(s); ok != (err == nil && want.Is4()) || ok && got != want {
			t.Errorf("%q: got %v, %v; want %v, %v", s, got, ok, want, err)
		}
	}
}
