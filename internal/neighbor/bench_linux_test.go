package neighbor

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// BenchmarkManyNeighbors looks at two hosts on a link that has 10,000.
func BenchmarkManyNeighbors(b *testing.B) {
	newNamespace(b)
	ip(b, "link add one type veth peer name peer-one")
	ip(b, "link set peer-one up")
	ip(b, "link set one up")
	ip(b, "addr add 10.77.0.1/16 dev one")
	var batch strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&batch, "neigh replace 10.77.%d.%d dev one nud permanent lladdr 02:00:00:00:%02x:%02x\n", 1+i/200, 1+i%200, i>>8, i&0xff)
	}
	add := exec.Command("ip", "-batch", "-")
	add.Stdin = strings.NewReader(batch.String())
	if output, err := add.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, output)
	}
	known, other := netip.MustParseAddr("10.77.1.1"), netip.MustParseAddr("10.77.50.200")
	for b.Loop() {
		if SameHost(context.Background(), known, other, never) {
			b.Fatal("they are two")
		}
	}
}
