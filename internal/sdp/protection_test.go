package sdp

import (
	"slices"
	"strings"
	"testing"
)

const fingerprint = "a=fingerprint:sha-256 85:CE:F7:16\n"

func parse(t *testing.T, text string) *Description {
	t.Helper()
	d, err := Parse(text, true)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRecordedProtection(t *testing.T) {
	for name, text := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			d := parse(t, text)
			if !d.Whole || d.CryptoLine != 0 || len(d.Identities) != 0 || d.Unprotected(text) != 0 {
				t.Errorf("whole: %v, a key in line %d, %d assertions, line %d is not protected",
					d.Whole, d.CryptoLine, len(d.Identities), d.Unprotected(text))
			}
			lines := strings.Split(text, "\r\n")
			for i, s := range d.Sections[1:] {
				if !strings.HasPrefix(lines[s.Line-1], "m=") {
					t.Errorf("section %d is in line %d: %q", i+1, s.Line, lines[s.Line-1])
				}
			}
			without := strings.ReplaceAll(text, "a=fingerprint:", "a=x-fingerprint:")
			d = parse(t, without)
			if got := d.Unprotected(without); got == 0 || got != d.Sections[1].Line {
				t.Errorf("without fingerprints line %d is not protected, want %d", got, d.Sections[1].Line)
			}
		})
	}
}

func TestWhole(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"description", "v=0\r\ns=-\r\n", true},
		{"nothing else", "v=0", true},
		{"fragment", "a=ice-ufrag:8hhY\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parse(t, tt.text).Whole; got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestCryptoLine(t *testing.T) {
	const head = "v=0\ns=-\n"
	const key = " AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	for _, tt := range []struct {
		name, text string
		want       int
	}{
		{"none", head + "a=mid:0\nm=audio 9 X", 0},
		{"media level", head + "m=audio 9 RTP/SAVP 0\na=crypto:1" + key, 4},
		{"session level", head + "a=crypto:1" + key, 3},
		{"the first of two", head + "a=crypto:1" + key + "\na=crypto:2" + key, 3},
		{"first line of a fragment", "a=crypto:1" + key, 1},
		{"letter case", head + "a=CrYpTo:1" + key, 3},
		{"no value", head + "a=crypto:", 3},
		{"no colon", head + "a=crypto", 3},
		{"space before the colon", head + "a=crypto :1" + key, 3},
		{"space for a colon", head + "a=crypto 1" + key, 3},
		{"MIKEY as a capability", head + "a=acap:1 key-mgmt:mikey AQAFgM0XflABAAAA", 3},
		{"MIKEY", head + "a=key-mgmt:mikey AQAFgM0XflABAAAA", 3},
		{"tab", head + "a=crypto\t1" + key, 3},
		{"no-break space", head + "a=crypto\u00a0:1" + key, 3},
		{"in a capability", head + "a=acap:1 crypto:1" + key, 3},
		{"letter case in a capability", head + "a=acap:1 CRYPTO:1 X INLINE:QUJD", 3},
		{"another attribute with a key", head + "a=cryptoscale:1 client" + key, 3},
		{"another attribute without", head + "a=crypto-agile:1", 0},
		{"a free text", head + "i=crypto: inline: a talk", 0},
		{"key field", head + "k=clear:secret", 3},
		{"key field of a section", head + "m=audio 9 X\nk=base64:QUJD", 4},
		{"key field without a key", head + "k=prompt", 3},
		{"empty key field", head + "k=", 3},
		{"key field, then attribute", head + "k=prompt\na=crypto:1" + key, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parse(t, tt.text).CryptoLine; got != tt.want {
				t.Errorf("got line %d, want %d", got, tt.want)
			}
		})
	}
}

func TestUnprotected(t *testing.T) {
	const head, audio, rejected = "v=0\n", "m=audio 9 X\n", "m=audio 0 X\n"
	const bundle = head + "a=group:BUNDLE 0 1\n"
	for _, tt := range []struct {
		name, text string
		want       int
	}{
		{"no media", head, 0},
		{"session level", head + fingerprint + audio + audio, 0},
		{"media level", head + audio + fingerprint + audio + fingerprint, 0},
		{"none", head + audio + audio, 2},
		{"first only", head + audio + fingerprint + audio, 4},
		{"second only", head + audio + audio + fingerprint, 2},
		{"rejected", head + rejected + audio + fingerprint, 0},
		{"rejected, then none", head + rejected + audio, 3},
		{"all rejected", head + rejected + rejected, 0},
		{"port 0 of two", head + "m=audio 0/2 X\n", 0},
		{"port 00", head + "m=audio 00 X\n", 2},
		{"bundle-only", head + rejected + "a=bundle-only\n", 2},
		{"bundle-only with its own", head + rejected + "a=bundle-only\n" + fingerprint, 0},
		{"bundle-only at session level", head + "a=bundle-only\n" + rejected, 0},
		{"bundle-only with a port", head + audio + "a=bundle-only\n", 2},
		{"bundle-only, letter case", head + rejected + "a=Bundle-Only\n", 2},
		{"bundle-only, space after", head + rejected + "a=bundle-only \n", 2},
		{"bundle-only, value", head + rejected + "a=bundle-only:1\n", 2},
		{"another attribute", head + rejected + "a=bundle-only-x\n", 0},
		{"fragment", "a=mid:0\n" + audio, 2},
		{"bundled with one that has it", bundle + audio + "a=mid:0\n" + fingerprint + rejected + "a=mid:1\na=bundle-only\n", 0},
		{"bundled with one that has it after it", bundle + audio + "a=mid:1\n" + audio + "a=mid:0\n" + fingerprint, 0},
		{"bundled, none has it", bundle + audio + "a=mid:0\n" + audio + "a=mid:1\n", 3},
		{"not in the bundle", bundle + audio + "a=mid:0\n" + fingerprint + audio + "a=mid:2\n", 6},
		{"the other is not in the bundle", bundle + audio + "a=mid:0\n" + audio + "a=mid:2\n" + fingerprint, 3},
		{"bundled with one that is rejected", bundle + rejected + "a=mid:0\n" + fingerprint + audio + "a=mid:1\n", 6},
		{"no mid", bundle + audio + "a=mid:0\n" + fingerprint + audio, 6},
		{"another kind of group", head + "a=group:LS 0 1\n" + audio + "a=mid:0\n" + fingerprint + audio + "a=mid:1\n", 6},
		{"a bundle in a section", head + audio + "a=group:BUNDLE 0 1\na=mid:0\n" + fingerprint + audio + "a=mid:1\n", 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parse(t, tt.text).Unprotected(tt.text); got != tt.want {
				t.Errorf("got line %d, want %d", got, tt.want)
			}
		})
	}
}

func TestFingerprintForms(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       bool
	}{
		{"RFC 8122", "a=fingerprint:SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB", true},
		{"lower-case digits", "a=fingerprint:sha-256 85:ce:f7", true},
		{"after a broken one", "a=fingerprint:\na=fingerprint:sha-256 85:CE", true},
		{"before a broken one", "a=fingerprint:sha-256 85:CE\na=fingerprint:", true},
		{"letter case", "a=Fingerprint:sha-256 85:CE", false},
		{"no colon", "a=fingerprint", false},
		{"no value", "a=fingerprint:", false},
		{"space alone", "a=fingerprint: ", false},
		{"one word", "a=fingerprint:sha-256", false},
		{"one word and a space", "a=fingerprint:sha-256 ", false},
		{"no hash function", "a=fingerprint: 85:CE", false},
		{"space for a colon", "a=fingerprint sha-256 85:CE", false},
		{"space before the colon", "a=fingerprint :sha-256 85:CE", false},
		{"space after the colon", "a=fingerprint: sha-256 85:CE", false},
		{"tab after the colon", "a=fingerprint:\tsha-256 85:CE", false},
		{"tab between", "a=fingerprint:sha-256\t85:CE", false},
		{"no-break space between", "a=fingerprint:sha-256\u00a085:CE", false},
		{"two spaces", "a=fingerprint:sha-256  85:CE", false},
		{"space at the end", "a=fingerprint:sha-256 85:CE ", false},
		{"three words", "a=fingerprint:sha-256 85:CE x", false},
		{"no digits", "a=fingerprint:sha-256 none", false},
		{"odd digits", "a=fingerprint:sha-256 85:C", false},
		{"colon at the end", "a=fingerprint:sha-256 85:CE:", false},
		{"no colons", "a=fingerprint:sha-256 85CEF", false},
		{"another attribute", "a=x-fingerprint:sha-256 85:CE", false},
		{"in a capability", "a=acap:1 fingerprint:sha-256 85:CE", false},
		{"another line", "i=a=fingerprint:sha-256 85:CE", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := parse(t, tt.line+"\nm=audio 9 X\nm=video 9 X\n"+tt.line)
			for i, want := range []bool{tt.want, false, tt.want} {
				if got := d.Sections[i].Fingerprint; got != want {
					t.Errorf("section %d: got %v", i, got)
				}
			}
		})
	}
}

func TestIdentities(t *testing.T) {
	const text = "v=0\r\na=identity:eyJpZHAi\r\nm=audio 9 X\r\na=IDENTITY:QUJD+/== a=b; c\n" + "a=identity:x "
	d := parse(t, text)
	type identity struct {
		line, section int
		whole, value  string
	}
	var got []identity
	for _, id := range d.Identities {
		got = append(got, identity{id.Line, id.Section, id.Whole.Of(text), id.Value.Of(text)})
	}
	want := []identity{
		{2, 0, "a=identity:eyJpZHAi\r\n", "eyJpZHAi"},
		{4, 1, "a=IDENTITY:QUJD+/== a=b; c\n", "QUJD+/=="},
		{5, 1, "a=identity:x ", "x"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestExtensions(t *testing.T) {
	const encrypted = "candidate:1 1 udp 1 0.0.0.0 9 typ host"
	const ciphertext = " ciphertext QUJD cryptoparams keyid 00 csid aes-gcm"
	for _, tt := range []struct{ name, text, addrType, keyID, ufrag, without string }{
		{"none", good, "", "", "", good},
		{"addrtype", good + " addrtype inipv4", " addrtype inipv4", "", "", good},
		{"keyid", good + " keyid 0123456789abcdef", "", " keyid 0123456789abcdef", "", good},
		{"among others", good + " raddr 10.0.0.1 rport 1 AddrType DNSipv6 x y KEYID 00 ufrag a", " AddrType DNSipv6", " KEYID 00", "a", good + " raddr 10.0.0.1 rport 1 x y ufrag a"},
		{"space at the end", good + " addrtype inipv6 ", " addrtype inipv6", "", "", good + " "},
		{"as each other's value", good + " keyid addrtype addrtype keyid", " addrtype keyid", " keyid addrtype", "", good},
		{"as the value of others", good + " x addrtype ufrag keyid", "", "", "keyid", good + " x addrtype ufrag keyid"},
		{"keyid in the ciphertext", encrypted + ciphertext, "", "", "", encrypted + ciphertext},
		{"before the ciphertext", encrypted + " keyid 01 addrtype inipv4" + ciphertext, " addrtype inipv4", " keyid 01", "", encrypted + ciphertext},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "v=0\r\na=" + tt.text + "\r\n"
			d := parse(t, text)
			c := &d.Candidates[0]
			if a, k, u := c.AddrType.Of(text), c.KeyID.Of(text), c.Ufrag.Of(text); a != tt.addrType || k != tt.keyID || u != tt.ufrag {
				t.Errorf("got addrtype %q, keyid %q, ufrag %q", a, k, u)
			}
			without := strings.Replace(tt.text, c.AddrType.Of(text), "", 1)
			without = strings.Replace(without, c.KeyID.Of(text), "", 1)
			if without != tt.without {
				t.Errorf("got %q without them, want %q", without, tt.without)
			}
			checkSpans(t, text, d)
		})
	}
}

// TestManyBundled: with time in the third power of the size, as it once took, this one takes minutes.
func TestManyBundled(t *testing.T) {
	members, others := strings.Repeat("m=a 9 b\na=mid:x\n", 3000), strings.Repeat("m=a 9 b\na=mid:z\na=fingerprint:a 00\n", 2000)
	text := "v=0\na=group:BUNDLE " + strings.Repeat("y ", 30000) + "x\n" + members + others
	d := parse(t, text)
	if got := d.Unprotected(text); got != 3 {
		t.Errorf("line %d is not protected, want 3", got)
	}
	text += "m=a 9 b\na=mid:x\na=fingerprint:a 00\n"
	d = parse(t, text)
	if got := d.Unprotected(text); got != 0 {
		t.Errorf("line %d is not protected, want none", got)
	}
}
