//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var costSamples = flag.Int("samples", 40, "how often TestExtensionCost gathers with and without the extension, each")

// gathering is what a page is told of its candidates.
type gathering struct {
	Candidates   []string
	Milliseconds float64
}

func gather(t *testing.T, p page) gathering {
	t.Helper()
	var g gathering
	if err := p.evaluate(t.Context(), "Watch.gathering()", &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// linkTest is two browsers with the extension in one subnet. The router has the gateway and an application, which is at two
// sites: the extension leaves out one of them.
type linkTest struct {
	*segment
	authority *authority
	server    *callServer
	chromium  *callBrowser
	firefox   *callBrowser
}

// plain is the name of the application where the extension does nothing.
const plain = "plain.example"

func newLinkTest(t *testing.T, n *segment, budget int, ports ...string) *linkTest {
	t.Helper()
	l := &linkTest{segment: n, authority: newAuthority(t), server: newCallServer()}
	l.server.serve(t, n.router, l.authority.issue(t, meet, plain))
	var gateways []string
	for _, port := range ports {
		gateways = append(gateways, "https://"+extensionGateway+":"+port)
	}
	for _, h := range []host{n.a, n.b} {
		h.etc(t, "hosts", fmt.Sprintf("%s %s %s %s\n", h.router, meet, plain, extensionGateway))
	}
	e := extended{folder: extensionFolder(t), authority: l.authority, managed: map[string]any{
		"gateways": gateways, "excludedSites": []string{"https://" + plain + "/*"}, "budget": budget,
	}}
	l.chromium = &callBrowser{"Chromium", startExtendedChromium(t, n.a.namespace, e), n.a}
	l.firefox = &callBrowser{"Firefox", startExtendedFirefox(t, n.b.namespace, e, ""), n.b}
	return l
}

// startNode starts candgw on the router, for browsers at a port.
func (l *linkTest) startNode(t *testing.T, port string) *gateway {
	t.Helper()
	certificate := l.authority.issue(t, extensionGateway)
	return startGateway(t, l.router, "--config", writeFile(t, t.TempDir(), "candgw.hcl", fmt.Sprintf(`
browsers {
  listen     = ":%s"
  extensions = [%q, "moz-extension://*"]
  tls {
    certificate_file = %q
    key_file         = %q
  }
}
`, port, l.chromium.browser.(*extendedBrowser).origin, certificate.certificateFile, certificate.keyFile)))
}

// TestExtensionCost prints what the extension costs: the time from setLocalDescription to the last candidate, with and
// without it, in turns. The hosts have IPv4 alone.
func TestExtensionCost(t *testing.T) {
	require(t)
	n := newSegment(t)
	for _, h := range []host{n.a, n.b} {
		h.sysctl(t, "ipv6/conf/eth0/disable_ipv6", "1")
	}
	l := newLinkTest(t, n, 5000, "8443")
	g := l.startNode(t, "8443")
	for _, b := range []*callBrowser{l.chromium, l.firefox} {
		t.Run(b.title, func(t *testing.T) {
			with := openGatheringPage(t, b.browser, "https://"+meet+"/")
			without := openGatheringPage(t, b.browser, "https://"+plain+"/")
			var times [2][]time.Duration
			for range *costSamples {
				for i, p := range []page{without, with} {
					gathered := gather(t, p)
					times[i] = append(times[i], time.Duration(gathered.Milliseconds*float64(time.Millisecond)))
					if encrypted := g.opensAll(t, gathered.Candidates); encrypted != (i == 1) {
						t.Fatalf("the page has the candidates %q, want encrypted ones: %t", gathered.Candidates, i == 1)
					}
				}
			}
			medians := [2]time.Duration{median(times[0]), median(times[1])}
			t.Logf("%d times each: median without %.1f ms, with %.1f ms, %.1f ms more, ratio %.2f; slowest %.1f ms and %.1f ms",
				*costSamples, ms(medians[0]), ms(medians[1]), ms(medians[1]-medians[0]), float64(medians[1])/float64(medians[0]),
				ms(slices.Max(times[0])), ms(slices.Max(times[1])))
		})
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// opensAll tells whether the ring opens the names of all candidates, of which there have to be some.
func (g *gateway) opensAll(t *testing.T, candidates []string) bool {
	t.Helper()
	found := names(candidates)
	slices.Sort(found)
	found = slices.Compact(found)
	for _, name := range found {
		if !g.opens(t, name).IsValid() {
			return false
		}
	}
	if len(found) == 0 || !strings.HasSuffix(found[0], ".local") {
		t.Fatalf("the candidates are %q, want names", candidates)
	}
	return true
}
