//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// twoPolicies are for the two hosts of the network: those behind 10.77.2.1 are guests.
const twoPolicies = `
policy "guests" {
  clients = ["10.77.2.0/24", "fd77:0:0:2::/64"]
  candidate "host" {
    action = "%s"
  }
  resolve {
    addresses = %s
  }
}

policy "staff" {
  clients = ["10.77.1.0/24", "fd77:0:0:1::/64"]
  candidate "host" {
    addresses = ["10.77.1.0/24"]
  }
  resolve {
    addresses = ["10.77.1.0/24"]
    ttl       = "30s"
    rate      = 1
    burst     = 2
  }
}
`

// TestPolicies serves policies of an administrator, asked by DNS and Multicast DNS from two subnets,
// and changes them meanwhile.
func TestPolicies(t *testing.T) {
	require(t, "dig")
	n := newNetwork(t)
	folder := t.TempDir()
	write := func(action, addresses string) {
		t.Helper()
		text := fmt.Sprintf(twoPolicies, action, addresses)
		if err := os.WriteFile(filepath.Join(folder, "site.hcl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("drop", "[]")
	g := startGateway(t, n.router, "--policy", folder, "--dns", "10.77.1.1:5300")
	name := g.newName(t, n.a, n.a.v4)
	offer := g.encryptDescription(t, n.a, fmt.Sprintf(sampleOffer, n.a.v6))
	if strings.Contains(offer, "a=candidate:") {
		t.Errorf("an address that is not among the policy's passes: %s", offer)
	}
	guestOffer := fmt.Sprintf(sampleOffer, n.b.v4)
	if got := g.encryptDescription(t, n.b, guestOffer); strings.Contains(got, "a=candidate:") {
		t.Errorf("a guest's host passes: %s", got)
	}

	guest := newAsker(t, n.b, any4)
	guest.send(t, group4, question(name, dns.TypeA, dns.ClassINET))
	guest.checkQuiet(t, 500*time.Millisecond)
	if got := n.b.dig(t, "-p", "5300", "@10.77.1.1", name, "A"); !strings.Contains(got, "status: REFUSED") {
		t.Errorf("a guest is answered:\n%s", got)
	}

	staff := newAsker(t, n.a, any4)
	staff.send(t, group4, question(name, dns.TypeA, dns.ClassINET))
	want := "id 0; " + strings.ReplaceAll(positive4, " 120 ", " 30 ")
	checkAnswer(t, staff.next(t), name, want, netip.MustParseAddrPort(group4).Addr())
	if got := n.a.dig(t, "-p", "5300", "@10.77.1.1", name, "A"); !strings.Contains(got, name+". 30 IN A 10.77.1.2\n") {
		t.Errorf("staff is not answered:\n%s", got)
	}
	// That was a burst of two; the third comes too early.
	if got := n.a.dig(t, "-p", "5300", "@10.77.1.1", name, "A"); !strings.Contains(got, "status: REFUSED") {
		t.Errorf("staff may ask without end:\n%s", got)
	}

	write("encrypt", `["10.77.1.0/24"]`)
	for deadline := time.Now().Add(patience); ; {
		if got := g.encryptDescription(t, n.b, guestOffer); strings.Contains(got, ".local") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the change of the policies is not taken into use")
		}
		time.Sleep(50 * time.Millisecond)
	}
	guest.send(t, group4, question(name, dns.TypeA, dns.ClassINET))
	checkAnswer(t, guest.next(t), name, "id 0; "+positive4, netip.MustParseAddrPort(group4).Addr())
}
