package cipher

import (
	"net/netip"
	"strings"
	"testing"
)

// A name that parses re-encodes to itself, and one that opens is exactly what its key would write.
func FuzzOpen(f *testing.F) {
	vs := vectors(f)
	keys := make([]*Key, len(vs))
	for i, v := range vs {
		keys[i] = v.key(f)
		f.Add(strings.TrimSuffix(v.Name, ".local"), v.IcePwd, uint8(i))
	}
	f.Fuzz(func(t *testing.T, text, pwd string, which uint8) {
		n, err := ParseName(text)
		if err != nil {
			return
		}
		if n.String() != strings.ToLower(text) {
			t.Fatalf("%q re-encodes to %q", text, n)
		}
		k := keys[int(which)%len(keys)]
		addr, err := k.Open(n, pwd)
		if err != nil {
			return
		}
		if addr.Zone() != "" || addr.Is4In6() {
			t.Fatalf("opened to %v", addr)
		}
		if again, ok := reseal(k, n, addr, pwd); !ok || again != n {
			t.Fatalf("%v opens to %v, which encrypts to %v", n, addr, again)
		}
	})
}

// reseal encrypts addr to the name that n would be, given the salt of n where the suite has one.
func reseal(k *Key, n Name, addr netip.Addr, pwd string) (Name, bool) {
	p := k.secret.Load()
	switch {
	case p.draft != nil:
		again, err := sealDraft(p.draft, addr, pwd)
		return again, err == nil
	case addr.Is4():
		var block [16]byte
		p.uuid.ipv4.Decrypt(block[:], n.octets[:v4Octets])
		return p.uuid.seal4(new(sealScratch), addr, block[saltAt:saltAt+saltSize]), true
	default:
		return p.uuid.seal6(new(Opener), addr, n.octets[:sSize]), true
	}
}

// An address comes back from its name, and never from the name with any one bit of its text changed,
// but for the bit that is the case of a letter.
func FuzzEncrypt(f *testing.F) {
	for _, v := range vectors(f) {
		a := netip.MustParseAddr(v.Address).As16()
		f.Add(a[:], v.IcePwd, []byte(v.Origin), uint16(len(v.IcePwd)*7))
	}
	ring := make([]*Key, 0, 4)
	for _, s := range Suites() {
		ring = append(ring, newKey(f, s))
	}
	f.Fuzz(func(t *testing.T, octets []byte, pwd string, origin []byte, bit uint16) {
		addr, ok := netip.AddrFromSlice(octets)
		if !ok {
			return
		}
		addr = addr.Unmap()
		for _, k := range ring {
			n, err := k.Encrypt(addr, pwd, origin)
			if err != nil {
				continue
			}
			text := n.AppendText(nil)
			if parsed, err := ParseName(text); err != nil || parsed != n {
				t.Fatalf("%s parses to %v, %v", text, parsed, err)
			}
			if got, err := k.Open(n, pwd); err != nil || got != addr {
				t.Fatalf("%v opens to %v, %v, want %v", n, got, err, addr)
			}
			changed := append([]byte(nil), text...)
			changed[int(bit/8)%len(text)] ^= 1 << (bit % 8)
			if strings.EqualFold(string(changed), string(text)) {
				continue
			}
			if c, err := ParseName(changed); err == nil {
				if got, err := k.Open(c, pwd); err == nil {
					t.Fatalf("%s, changed from %s, opens to %v", changed, text, got)
				}
			}
		}
	})
}

// An extension that parses re-encodes to itself.
func FuzzParseExtension(f *testing.F) {
	for _, v := range vectors(f) {
		if k := v.key(f); k.Suite().NeedsPassword() {
			n, _ := ParseName(strings.TrimSuffix(v.Name, ".local"))
			f.Add(string(Extension{n, k.ID(), k.Suite()}.AppendText(nil)))
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseExtension(s)
		if err != nil {
			return
		}
		if got := string(e.AppendText(nil)); !strings.EqualFold(got, s) {
			t.Fatalf("%q re-encodes to %q", s, got)
		}
	})
}
