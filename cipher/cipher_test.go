package cipher

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// A vector comes from an independent implementation of the formats.
type vector struct{ Suite, Key, IcePwd, Origin, Address, Name string }

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(raw, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) == 0 {
		t.Fatal("no vectors")
	}
	return vs
}

func (v vector) key(t testing.TB) *Key {
	t.Helper()
	suite, err := ParseSuite(v.Suite)
	if err != nil {
		t.Fatal(err)
	}
	return mustKey(t, suite, v.Key)
}

func mustKey(t testing.TB, suite Suite, hexKey string) *Key {
	t.Helper()
	material, err := hex.DecodeString(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKey(suite, material)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newKey(t testing.TB, suite Suite) *Key {
	t.Helper()
	k, err := GenerateKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const pwd = "MpiyNBrY/PGEqhMFOPRVzGsf"

func TestVectors(t *testing.T) {
	seen := map[string]int{}
	for i, v := range vectors(t) {
		seen[v.Suite]++
		t.Run(fmt.Sprintf("%s/%d", v.Suite, i), func(t *testing.T) {
			k := v.key(t)
			addr := netip.MustParseAddr(v.Address)
			labels := strings.TrimSuffix(v.Name, ".local")
			got, err := k.Encrypt(addr, v.IcePwd, []byte(v.Origin))
			if err != nil || got.String() != labels {
				t.Errorf("Encrypt = %v, %v, want %s", got, err, labels)
			}
			for _, text := range []string{labels, strings.ToUpper(labels)} {
				n, err := ParseName(text)
				if err != nil {
					t.Fatalf("ParseName(%s): %v", text, err)
				}
				if opened, err := k.Open(n, v.IcePwd); err != nil || opened != addr {
					t.Errorf("Open(%s) = %v, %v, want %v", text, opened, err, addr)
				}
				if n.String() != labels {
					t.Errorf("%s re-encodes to %s", text, n)
				}
			}
			if k.Suite().NeedsPassword() {
				n, _ := ParseName(labels)
				if _, err := k.Open(n, ""); !errors.Is(err, ErrPasswordNeeded) {
					t.Errorf("Open without ice-pwd: %v, want ErrPasswordNeeded", err)
				}
				if _, err := k.Open(n, "x"+v.IcePwd); !errors.Is(err, ErrNotOpened) {
					t.Errorf("Open with another ice-pwd: %v, want ErrNotOpened", err)
				}
			}
		})
	}
	for _, s := range Suites() {
		if seen[s.String()] == 0 {
			t.Errorf("no vectors for %v", s)
		}
	}
}

// The examples of RFC 4493, section 4 (AES-128), and NIST SP 800-38B, appendix D.3 (AES-256).
func TestCMACPublished(t *testing.T) {
	const msg = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
	for _, tt := range []struct {
		name, key string
		octets    int
		want      string
	}{
		{"aes-128 empty", "2b7e151628aed2a6abf7158809cf4f3c", 0, "bb1d6929e95937287fa37d129b756746"},
		{"aes-128 one block", "2b7e151628aed2a6abf7158809cf4f3c", 16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{"aes-128 broken block", "2b7e151628aed2a6abf7158809cf4f3c", 40, "dfa66747de9ae63030ca32611497c827"},
		{"aes-128 four blocks", "2b7e151628aed2a6abf7158809cf4f3c", 64, "51f0bebf7e3b9d92fc49741779363cfe"},
		{"aes-256 empty", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 0, "028962f61b7bf89efc6b551f4667d983"},
		{"aes-256 one block", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 16, "28a7023f452e8f82bd4bf28d8c37c35c"},
		{"aes-256 broken block", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 40, "aaf3d8f1de5640c232f5b169b9c911e6"},
		{"aes-256 four blocks", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 64, "e1992190549f6ed5696a2c056c315410"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, _ := hex.DecodeString(tt.key)
			m, _ := hex.DecodeString(msg)
			var got [16]byte
			newCMAC(newAES(key)).sum(&got, m[:tt.octets])
			if hex.EncodeToString(got[:]) != tt.want {
				t.Errorf("got %x, want %s", got, tt.want)
			}
		})
	}
}

// Test cases 2 and 14 of the GCM specification (McGrew and Viega), which are of our one block.
func TestGCMPublished(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		want string
	}{
		{"case 2", 16, "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
		{"case 14", 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGCMSealer(make([]byte, tt.size))
			c := g.seal([16]byte{}, make([]byte, gcmIV))
			if hex.EncodeToString(c) != tt.want {
				t.Errorf("got %x, want %s", c, tt.want)
			}
			if p, ok := g.open(c, make([]byte, gcmIV)); !ok || p != [16]byte{} {
				t.Errorf("does not open: %x, %v", p, ok)
			}
		})
	}
}

// The flaw of the draft, shown: one ice-pwd is one IV, so under GCM (and CTR) the XOR of two
// ciphertexts is the XOR of the two addresses. The guard that refuses the second address is the
// gateway's, which sees the sessions.
func TestDraftFlaw(t *testing.T) {
	for _, suite := range []Suite{AESGCM, AESCTRHMAC} {
		t.Run(suite.String(), func(t *testing.T) {
			k := newKey(t, suite)
			a, b := netip.MustParseAddr("2001:db8:77:1::2"), netip.MustParseAddr("fd12:3456:789a:1::2")
			na, errA := k.Encrypt(a, pwd, nil)
			nb, errB := k.Encrypt(b, pwd, nil)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			pa, pb := a.As16(), b.As16()
			for i := range pa {
				if na.octets[i]^nb.octets[i] != pa[i]^pb[i] {
					t.Fatalf("octet %d: the XOR of the ciphertexts is not that of the addresses", i)
				}
			}
		})
	}
}

func TestOriginDecidesTheName(t *testing.T) {
	k := newKey(t, AESUUID)
	for _, addr := range []string{"10.1.2.3", "fd12::3"} {
		a := netip.MustParseAddr(addr)
		one, _ := k.Encrypt(a, pwd, []byte("x.local"))
		again, _ := k.Encrypt(a, pwd, []byte("x.local"))
		other, _ := k.Encrypt(a, pwd, []byte("y.local"))
		if one != again || one == other {
			t.Errorf("%s: names %v, %v (same origin), %v (another)", addr, one, again, other)
		}
		if again, _ := k.Encrypt(a, pwd+"x", []byte("x.local")); one == again {
			t.Errorf("%s: the ice-pwd does not change the name", addr)
		}
	}
}

func TestEncryptRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, addr, pwd string
		suite           Suite
		want            error
	}{
		{"short ice-pwd", "10.0.0.1", strings.Repeat("a", 21), AESUUID, ErrPasswordLength},
		{"short ice-pwd, draft", "10.0.0.1", strings.Repeat("a", 21), AESGCM, ErrPasswordLength},
		{"long ice-pwd", "10.0.0.1", strings.Repeat("a", 257), AESUUID, ErrPasswordLength},
		{"zone", "fe80::1%eth0", pwd, AESUUID, ErrAddress},
		{"mapped", "::ffff:10.0.0.1", pwd, AESUUID, ErrAddress},
		{"no address", "", pwd, AESUUID, ErrAddress},
		{"inside 64:ff9b::/96", "64:ff9b::a00:1", pwd, AESCBCHMAC, ErrAddress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr, _ := netip.ParseAddr(tt.addr)
			if n, err := newKey(t, tt.suite).Encrypt(addr, tt.pwd, nil); !errors.Is(err, tt.want) || n != (Name{}) {
				t.Errorf("got %v, %v, want %v", n, err, tt.want)
			}
		})
	}
	if n, err := newKey(t, AESUUID).Encrypt(netip.MustParseAddr("64:ff9b::a00:1"), pwd, nil); err != nil {
		t.Errorf("aes-uuid has no such prefix: %v, %v", n, err)
	}
}

func TestNewKeyRefuses(t *testing.T) {
	for _, s := range Suites() {
		for size := range 100 {
			_, err := NewKey(s, make([]byte, size))
			ok := map[Suite]bool{AESUUID: size == 32, AESGCM: size == 16 || size == 32, AESCTRHMAC: size == 48, AESCBCHMAC: size == 48}[s]
			if ok != (err == nil) || !ok && !errors.Is(err, ErrKeySize) {
				t.Errorf("%v, %d octets: %v", s, size, err)
			}
		}
	}
	if _, err := NewKey(Suite(9), make([]byte, 32)); !errors.Is(err, ErrUnknownSuite) {
		t.Errorf("unknown suite: %v", err)
	}
}

// A name of one key opens under no other, whatever the suites.
func TestForeignKeys(t *testing.T) {
	for _, mine := range Suites() {
		for _, addr := range []string{"10.9.8.7", "2001:db8::7"} {
			n, err := newKey(t, mine).Encrypt(netip.MustParseAddr(addr), pwd, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, theirs := range Suites() {
				if a, err := newKey(t, theirs).Open(n, pwd); !errors.Is(err, ErrNotOpened) {
					t.Errorf("%v name under a key of %v: %v, %v", mine, theirs, a, err)
				}
			}
		}
	}
}

// Every single changed bit of every form is noticed.
func TestChangedBit(t *testing.T) {
	for _, suite := range Suites() {
		for _, addr := range []string{"10.9.8.7", "2001:db8::7"} {
			k := newKey(t, suite)
			n, err := k.Encrypt(netip.MustParseAddr(addr), pwd, nil)
			if err != nil {
				t.Fatal(err)
			}
			for bit := range int(n.n) * 8 {
				changed := n
				changed.octets[bit/8] ^= 1 << (bit % 8)
				if a, err := k.Open(changed, pwd); err == nil {
					t.Errorf("%v, %s: bit %d changed, and it opens as %v", suite, addr, bit, a)
				}
			}
		}
	}
}

// All 48 bits of redundancy of an IPv4 name are looked at.
func TestRedundancy(t *testing.T) {
	k := newKey(t, AESUUID)
	for bit := -1; bit < 48; bit++ {
		plain := [16]byte{10, 9, 8, 7, 1, 2, 3, 4, 5, 6}
		if bit >= 0 {
			plain[zeroAt+bit/8] |= 1 << (bit % 8)
		}
		n := Name{n: v4Octets}
		k.secret.Load().uuid.ipv4.Encrypt(n.octets[:v4Octets], plain[:])
		if _, err := k.Open(n, ""); (err == nil) != (bit < 0) {
			t.Errorf("bit %d of the redundancy set: %v", bit, err)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	const uuid = "092332d2-e335-4f13-bb51-3ab3019aacd6"
	for name, s := range map[string]string{
		"empty":               "",
		"suffix":              uuid + ".local",
		"final dot":           uuid + ".",
		"no hyphens":          strings.ReplaceAll(uuid, "-", "0"),
		"hyphen out of place": "092332d-2e335-4f13-bb51-3ab3019aacd6",
		"version 1":           "092332d2-e335-1f13-bb51-3ab3019aacd6",
		"variant 0":           "092332d2-e335-4f13-7b51-3ab3019aacd6",
		"not hexadecimal":     "092332d2-e335-4f13-bb51-3ab3019aacdg",
		"a digit short":       uuid[:35],
		"long, not hex":       uuid + "7f0f38e7d8a14a1ac9898f716z",
		"one label of 32":     strings.Repeat("a", 32),
		"labels run together": strings.Repeat("a", 65),
		"four labels":         strings.Repeat(strings.Repeat("a", 32)+".", 4)[:131],
		"three, last short":   strings.Repeat(strings.Repeat("a", 32)+".", 3)[:97],
	} {
		t.Run(name, func(t *testing.T) {
			if n, err := ParseName(s); !errors.Is(err, ErrNotAName) || n != (Name{}) {
				t.Errorf("%q: %v, %v", s, n, err)
			}
			var o Opener
			if ReadName(&o, s) || o.Name().n != 0 {
				t.Errorf("ReadName(%q) left %v", s, o.Name())
			}
		})
	}
}

// unhex against the obvious way, for every octet in every place.
func TestUnhexEveryOctet(t *testing.T) {
	for at := range 22 {
		for c := range 256 {
			s := []byte("0123456789abcdefABCDEF")
			s[at] = byte(c)
			var got [11]byte
			ok := unhex(got[:], s)
			want, err := hex.DecodeString(string(s))
			if ok != (err == nil) || ok && !bytes.Equal(got[:], want) {
				t.Errorf("%q: got %x, %v, want %x, %v", s, got, ok, want, err)
			}
		}
	}
}

// The same for the digits and hyphens of a UUID.
func TestParseUUIDEveryOctet(t *testing.T) {
	const uuid = "01234567-89ab-4def-abcd-ef0123456789"
	for at := range len(uuid) {
		for c := range 256 {
			s := []byte(uuid)
			s[at] = byte(c)
			n, err := ParseName(s)
			_, hexErr := hex.DecodeString(strings.ReplaceAll(string(s), "-", ""))
			hyphens := s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && bytes.Count(s, []byte("-")) == 4
			valid := hyphens && hexErr == nil && s[14] == '4' && strings.ContainsRune("89abAB", rune(s[19]))
			if valid != (err == nil) || valid && n.String() != strings.ToLower(string(s)) {
				t.Errorf("%q: got %v, %v", s, n, err)
			}
		}
	}
}

func TestExtension(t *testing.T) {
	for _, v := range vectors(t) {
		k := v.key(t)
		if !k.Suite().NeedsPassword() {
			continue
		}
		n, err := ParseName(strings.TrimSuffix(v.Name, ".local"))
		if err != nil {
			t.Fatal(err)
		}
		e := Extension{n, k.ID(), k.Suite()}
		text := string(e.AppendText(nil))
		words := strings.Fields(text)
		shouted := strings.ToUpper(words[0]) + " " + words[1] + " " + strings.ToUpper(strings.Join(words[2:], " "))
		for _, s := range []string{text, shouted} {
			if got, err := ParseExtension(s); err != nil || got != e {
				t.Errorf("ParseExtension(%q) = %+v, %v", s, got, err)
			}
		}
	}
}

func TestParseExtensionRefuses(t *testing.T) {
	b64 := func(n int) string { return strings.Repeat("AAAA", n/3) + map[int]string{0: "", 2: "AAA="}[n%3] }
	const id = "0123456789abcdef"
	for name, s := range map[string]string{
		"empty":            "",
		"a word short":     "ciphertext " + b64(32) + " cryptoparams keyid " + id + " csid",
		"two spaces":       "ciphertext  " + b64(32) + " cryptoparams keyid " + id + " csid aes-gcm",
		"wrong keyword":    "cyphertext " + b64(32) + " cryptoparams keyid " + id + " csid aes-gcm",
		"short key id":     "ciphertext " + b64(32) + " cryptoparams keyid 0123 csid aes-gcm",
		"unknown suite":    "ciphertext " + b64(32) + " cryptoparams keyid " + id + " csid rot13",
		"aes-uuid":         "ciphertext  cryptoparams keyid " + id + " csid aes-uuid",
		"another's length": "ciphertext " + b64(48) + " cryptoparams keyid " + id + " csid aes-gcm",
		"no padding":       "ciphertext " + strings.TrimRight(b64(32), "=") + " cryptoparams keyid " + id + " csid aes-gcm",
		"bits in padding":  "ciphertext " + strings.Replace(b64(32), "A=", "B=", 1) + " cryptoparams keyid " + id + " csid aes-gcm",
		"a line break":     "ciphertext " + b64(30) + "\nAAA= cryptoparams keyid " + id + " csid aes-gcm",
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := ParseExtension(s); !errors.Is(err, ErrExtension) {
				t.Errorf("%q: %+v, %v", s, e, err)
			}
		})
	}
}

// However a key is printed, its material does not show.
func TestKeyIsRedacted(t *testing.T) {
	k := newKey(t, AESUUID)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", k, "keys", []*Key{k})
	marshalled, err := json.Marshal(map[string]any{"key": k, "keys": []*Key{k}})
	if err != nil {
		t.Fatal(err)
	}
	// A bare Key, which vet keeps everybody from printing, under every verb there is: nothing that looks
	// like more octets than the eight of an id.
	list, run := regexp.MustCompile(`(\d+ +){8}\d|(0x\w+, ){8}0x`), regexp.MustCompile(`[0-9a-fA-F]{32}`)
	for verb := '!'; verb <= 'z'; verb++ {
		for _, suite := range Suites() {
			bare := reflect.ValueOf(newKey(t, suite)).Elem()
			for _, flags := range []string{"", "+", "#", " "} {
				if s := fmt.Sprintf("%"+flags+string(verb), bare); list.MatchString(s) || verb != 'b' && run.MatchString(s) { // %b of a pointer is a long run
					t.Errorf("%%%s%c of a bare key of %v shows its inside: %s", flags, verb, suite, s)
				}
			}
		}
	}
	material := k.Material()
	for _, s := range []string{
		log.String(), string(marshalled),
		fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s %x %d %q", k, k, k, k, k, k, k), fmt.Sprintf("%+v %#v", []*Key{k}, struct{ K *Key }{k}),
	} {
		if !strings.Contains(s, k.ID().String()) && !strings.Contains(s, "0x") {
			t.Errorf("%q does not show the id", s)
		}
		for _, form := range []string{string(material), hex.EncodeToString(material), fmt.Sprint(material)} {
			if strings.Contains(s, form[:8]) {
				t.Errorf("%q shows the key", s)
			}
		}
	}
}

func TestMaterialIsACopy(t *testing.T) {
	in := bytes.Repeat([]byte{7}, 48)
	k, err := NewKey(AESCTRHMAC, in)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := k.Encrypt(netip.MustParseAddr("10.0.0.1"), pwd, nil)
	clear(in)
	clear(k.Material())
	if a, err := k.Open(n, pwd); err != nil || a != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("the key changed with its caller's slice: %v, %v", a, err)
	}
}

func TestFoundation(t *testing.T) {
	k := newKey(t, AESUUID)
	base := k.Foundation(pwd, []byte("o"), "1")
	if base != k.Foundation(pwd, []byte("o"), "1") {
		t.Error("equal foundations became unequal")
	}
	for name, other := range map[string]string{
		"foundation":         k.Foundation(pwd, []byte("o"), "2"),
		"origin":             k.Foundation(pwd, []byte("p"), "1"),
		"ice-pwd":            k.Foundation(pwd+"x", []byte("o"), "1"),
		"key":                newKey(t, AESUUID).Foundation(pwd, []byte("o"), "1"),
		"border of fields":   k.Foundation(pwd, []byte("1o"), ""),
		"border of password": k.Foundation(pwd[:23], []byte("o"), "f1"),
	} {
		if other == base {
			t.Errorf("another %s gives the same foundation", name)
		}
	}
	if len(base) != 16 { // RFC 8839, section 5.1: 1 to 32 ice-chars
		t.Errorf("foundation %q", base)
	}
}

// A foundation depends on what it is made of alone, however long, and on all of it: docs/names.md.
func TestFoundationOfAnyLength(t *testing.T) {
	k := newKey(t, AESUUID)
	seen := map[string]int{}
	for n := range 200 {
		origin := make([]byte, n) // zeros, which padding must not be taken for
		got := k.Foundation(pwd, origin, "1")
		if m, ok := seen[got]; ok {
			t.Errorf("origins of %d and %d zeros give the same foundation", m, n)
		}
		seen[got] = n
		k.Foundation(strings.Repeat("p", 256), nil, "2")
		msg := append([]byte("\x00\x18"+pwd+"\x00\x011"), origin...)
		var tag [16]byte
		newCMAC(newAES(derive(k.Material(), "candgw/v1 foundation cmac"))).sum(&tag, msg)
		if want := hex.EncodeToString(tag[:8]); got != want || k.Foundation(pwd, origin, "1") != want {
			t.Errorf("%d octets of origin: got %s, want %s", n, got, want)
		}
	}
	var dst [16]byte
	if allocs := testing.AllocsPerRun(100, func() { k.AppendFoundation(dst[:0], pwd, nil, "1") }); allocs != 0 {
		t.Errorf("it allocates %v times", allocs)
	}
}

func TestOpenAllocatesNothing(t *testing.T) {
	k, foreign := newKey(t, AESUUID), newKey(t, AESUUID)
	for _, addr := range []string{"10.9.8.7", "2001:db8::7"} {
		n, _ := k.Encrypt(netip.MustParseAddr(addr), pwd, nil)
		text := n.AppendText(nil)
		var o Opener
		if allocs := testing.AllocsPerRun(100, func() {
			ReadName(&o, text)
			o.Open(foreign, "")
			o.Open(k, "")
		}); allocs != 0 {
			t.Errorf("%s: opening allocates %v times", addr, allocs)
		}
	}
}

// A name is equal to itself whatever its opener has read before.
func TestOpenerName(t *testing.T) {
	var names []Name
	for _, suite := range Suites() {
		k, err := GenerateKey(suite)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{"10.1.2.3", "2001:db8::1"} {
			n, err := k.Encrypt(netip.MustParseAddr(a), "a-password-of-22-letters", nil)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, n)
		}
	}
	for _, before := range names {
		for _, n := range names {
			var o Opener
			if !ReadName(&o, before.String()) || !ReadName(&o, n.String()) || o.Name() != n {
				t.Errorf("%v after %v: got %v", n, before, o.Name())
			}
		}
	}
}
