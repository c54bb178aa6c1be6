//go:build linux

package e2e

import "testing"

// testSubnets has calls between all three subnets while the routers are firewalls that let nothing but UDP through
// between the sites. The server of the application stays within reach of both.
func (c *callTest) testSubnets(t *testing.T, chromiumA, chromiumB, firefoxA, firefoxB *callBrowser) {
	c.allowOnlyUDP(t)
	chromiumC := &callBrowser{"Chromium C", c.startChromium(t, c.c), c.c}

	t.Run("without candgw", func(t *testing.T) {
		direct := openCallers(t, directMeet, chromiumA, chromiumB, firefoxA, firefoxB, chromiumC)
		t.Run("A and B, A and C", func(t *testing.T) {
			checkNoCalls(t, [2]*caller{direct[0], direct[1]}, [2]*caller{direct[2], direct[4]})
		})
		t.Run("B and C", func(t *testing.T) { checkNoCalls(t, [2]*caller{direct[3], direct[4]}) })
	})
	for name, media := range map[string]string{meet: "data", talk: "send"} {
		callers := openCallers(t, name, chromiumA, firefoxB, chromiumC)
		for _, pair := range [][2]int{{0, 1}, {0, 2}, {2, 1}} {
			from, to := callers[pair[0]], callers[pair[1]]
			t.Run(from.title+" to "+to.title+", "+media, func(t *testing.T) { c.testCall(t, from, to, media, media) })
		}
	}
}
