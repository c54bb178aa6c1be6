package cipher

import (
	"crypto/aes"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// These benchmarks run one raw AES-256 block beside our own work, in turn, and print the ratio
// ("blocks"): the machine's drift then hits both alike. The bounds that the project sets itself are
// 4 blocks for opening a name, 3 times that for a foreign name under four keys, and 120 blocks for
// encrypting one address.

var benchPwd = "MpiyNBrY/PGEqhMFOPRVzGsf"

// besideBlock runs f and one raw block in alternating batches and reports f's cost in blocks.
func besideBlock(b *testing.B, f func()) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	x := make([]byte, aes.BlockSize)
	const batch = 2048
	var ours, raw time.Duration
	var rawBlocks int
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		n := min(batch, b.N-done)
		start := time.Now()
		for range n {
			f()
		}
		mid := time.Now()
		for range batch {
			block.Decrypt(x, x)
		}
		ours, raw = ours+mid.Sub(start), raw+time.Since(mid)
		rawBlocks += batch
	}
	perOp := float64(ours) / float64(b.N)
	perBlock := float64(raw) / float64(rawBlocks)
	b.ReportMetric(perOp, "ns/op")
	b.ReportMetric(perBlock, "ns/block")
	b.ReportMetric(perOp/perBlock, "blocks/op")
}

func benchKeys(b *testing.B, n int) []*Key {
	keys := make([]*Key, n)
	for i := range keys {
		k, err := GenerateKey(AESUUID)
		if err != nil {
			b.Fatal(err)
		}
		keys[i] = k
	}
	return keys
}

func BenchmarkOpen(b *testing.B) {
	for _, addr := range []string{"10.20.30.40", "2001:db8::1"} {
		for _, keys := range []int{1, 4} {
			// One key: the name is its own. Four keys: the name is of a fifth, and every one is tried.
			b.Run(fmt.Sprintf("addr=%s/keys=%d", addr, keys), func(b *testing.B) {
				ring := benchKeys(b, keys)
				maker := ring[0]
				if keys > 1 {
					maker = benchKeys(b, 1)[0]
				}
				n, err := maker.Encrypt(netip.MustParseAddr(addr), benchPwd, []byte("origin"))
				if err != nil {
					b.Fatal(err)
				}
				text := n.AppendText(nil)
				var o Opener
				besideBlock(b, func() {
					if !ReadName(&o, text) {
						b.Fatal("not a name")
					}
					for _, k := range ring {
						if _, err := o.Open(k, ""); (err == nil) != (keys == 1) {
							b.Fatal("opened by the wrong key, or not by the right one")
						}
					}
				})
			})
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	for _, addr := range []string{"10.20.30.40", "2001:db8::1"} {
		b.Run("addr="+addr, func(b *testing.B) {
			k := benchKeys(b, 1)[0]
			a := netip.MustParseAddr(addr)
			var origin [16]byte
			text := make([]byte, 0, MaxNameText)
			besideBlock(b, func() {
				// Another origin each time: the tries for a version 4 UUID are 64 on average only.
				for i := range origin {
					if origin[i]++; origin[i] != 0 {
						break
					}
				}
				n, err := k.Encrypt(a, benchPwd, origin[:])
				if err != nil {
					b.Fatal(err)
				}
				text = n.AppendText(text[:0])
			})
		})
	}
}
