package gateway

import (
	"context"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/sdp/v3"
)

// benchOffer is an offer of 6 KB with audio, video and data: the one that Chromium made, but for a few
// profiles of H.264, and for half of its addresses. Each section has the four candidates of a host with an IPv4
// interface and an IPv6 one: UDP and TCP for each.
func benchOffer(t testing.TB) string { return benchOfferOf(t, "10.77.3.2", "fd12:3456:789a:1::2") }

// benchOfferOfFour is such an offer in the midst of gathering: of four addresses the first section has the
// eight candidates, the second those for UDP, and the third none. There is more to encrypt in it.
func benchOfferOfFour(t testing.TB) string {
	t.Helper()
	sections := strings.SplitAfter(benchOfferOf(t, hostAddrs...), "\r\nm=")
	sections[2] = regexp.MustCompile(`(?m)^a=candidate:\d+ 1 tcp .*\n`).ReplaceAllString(sections[2], "")
	sections[3] = regexp.MustCompile(`(?m)^a=candidate:.*\n`).ReplaceAllString(sections[3], "")
	return checkBenchOffer(t, strings.Join(sections, ""))
}

// benchOfferOf leaves the candidates of some addresses in the recorded offer.
func benchOfferOf(t testing.TB, addrs ...string) string {
	t.Helper()
	text := recorded(t, "chromium-raw.sdp")
	profiles := regexp.MustCompile(`(?m)^a=(rtpmap|rtcp-fb|fmtp):(114|115|116|117|39|40) .*\n`)
	text = strings.Replace(profiles.ReplaceAllString(text, ""), " 114 115 116 117 39 40", "", 1)
	for _, addr := range hostAddrs {
		if !slices.Contains(addrs, addr) {
			of := regexp.MustCompile(`(?m)^a=candidate:.* ` + regexp.QuoteMeta(addr) + ` .*\n`)
			text = of.ReplaceAllString(text, "")
		}
	}
	if len(addrs) == len(hostAddrs) {
		return text
	}
	return checkBenchOffer(t, strings.ReplaceAll(text, "c=IN IP4 10.77.1.2", "c=IN IP4 "+addrs[0]))
}

func checkBenchOffer(t testing.TB, text string) string {
	t.Helper()
	if n := strings.Count(text, "a=candidate:"); n != 12 || len(text) < 6000 || len(text) > 6500 {
		t.Fatalf("%d candidates, %d octets", n, len(text))
	}
	return text
}

// inMemory is a NameResolver that knows its answers at once.
type inMemory map[string]netip.Addr

func (m inMemory) ResolveName(_ context.Context, name string, _ netip.Addr) (netip.Addr, error) {
	if addr, ok := m[name]; ok {
		return addr, nil
	}
	return netip.Addr{}, ErrNoLink
}

// benchNames gives the addresses of benchOffer names as browsers do.
var benchNames = inMemory{
	"884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local": netip.MustParseAddr("10.77.1.2"),
	"a1c54d05-3211-4810-aab6-143803fa4c9d.local": netip.MustParseAddr("2001:db8:77:1::2"),
	"0ac81c8a-8a8c-4f62-8144-b6bed5e0cdfa.local": netip.MustParseAddr("10.77.3.2"),
	"edc0c956-2771-47ad-bc18-b3a4d1a49d6a.local": netip.MustParseAddr("fd12:3456:789a:1::2"),
}

// benchNamesOffer is benchOffer with names in place of its candidates' addresses, and no address elsewhere.
func benchNamesOffer(t testing.TB) string {
	t.Helper()
	text := strings.ReplaceAll(benchOffer(t), "c=IN IP4 10.77.3.2", "c=IN IP4 0.0.0.0")
	for name, addr := range benchNames {
		text = strings.ReplaceAll(text, " "+addr.String()+" ", " "+name+" ")
	}
	return text
}

func benchRequests(t testing.TB) map[string]Request {
	t.Helper()
	raw, named := benchOffer(t), benchNamesOffer(t)
	return map[string]Request{
		"addresses":         {Body: []byte(raw), Format: SDP, Client: client},
		"four addresses":    {Body: []byte(benchOfferOfFour(t)), Format: SDP, Client: client},
		"names":             {Body: []byte(named), Format: SDP, Client: client},
		"addresses in JSON": {Body: []byte(description(raw)), Format: JSON, Client: client},
		"names in JSON":     {Body: []byte(description(named)), Format: JSON, Client: client},
	}
}

// BenchmarkBesidePion rewrites a description, under the default policy, and has pion/sdp do no more than
// unmarshal and marshal the same one, in turn, so that the machine's drift hits both alike. The
// bound that the project sets itself is a ratio of 0.5. In JSON pion/sdp gets the description without it.
func BenchmarkBesidePion(b *testing.B) {
	for name, r := range benchRequests(b) {
		b.Run(name, func(b *testing.B) {
			s := newGateway(b, "")
			s.config.Names = benchNames
			text := r.Body
			if r.Format == JSON {
				text = []byte(benchOffer(b))
			}
			ours := func() {
				result, err := s.Encrypt(context.Background(), r)
				if err != nil || result.Report.Encrypted != 12 {
					b.Fatalf("%v, %+v", err, result)
				}
			}
			theirs := func() {
				var d pion.SessionDescription
				if err := d.Unmarshal(text); err != nil {
					b.Fatal(err)
				}
				if _, err := d.Marshal(); err != nil {
					b.Fatal(err)
				}
			}
			const batch = 256
			timed := func(f func()) float64 {
				runtime.GC() // so that nobody pays for what the other left
				start := time.Now()
				for range batch {
					f()
				}
				return float64(time.Since(start)) / batch
			}
			var a, p, ratios []float64
			for b.Loop() {
				a, p = append(a, timed(ours)), append(p, timed(theirs))
				ratios = append(ratios, a[len(a)-1]/p[len(p)-1])
			}
			b.ReportMetric(0, "ns/op") // of a batch of both
			b.ReportMetric(median(a), "ns/encrypt")
			b.ReportMetric(median(p), "ns/pion")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(testing.AllocsPerRun(100, ours), "allocs/encrypt")
		})
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
