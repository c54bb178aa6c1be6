package gateway

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A page wants to know what its browser's name stands for. It knows the network, 10.77.0.0/16, so that there are
// 65,536 guesses, and it can send what it likes under the session's own ufrag and ice-pwd.
const (
	victimName = "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local"
	victim     = "10.77.1.2" // browserNames has it
	// nobody answers for it.
	nobody     = "00000000-e28c-4b96-a9b8-90941f7bc52c.local"
	victimLine = "a=candidate:1871425143 1 udp 2113937151 " + victimName + " 51001 typ host generation 0 network-cost 999"
)

func guesses() []netip.Addr {
	out := make([]netip.Addr, 0, 1<<16)
	for i := range 1 << 16 {
		out = append(out, netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}))
	}
	return out
}

// A forgery is what a page makes of a guess: lines that stand beside the victim's candidate.
type forgery struct {
	name  string
	lines func(guess string) []string
}

var forgeries = []forgery{
	{"a host candidate, all but the address as the browser's own", func(g string) []string {
		return []string{strings.Replace(victimLine, victimName, g, 1)}
	}},
	{"a host candidate with the foundation that pion would give it", func(g string) []string {
		sum := crc32.ChecksumIEEE([]byte("host" + g + "udp"))
		return []string{fmt.Sprintf("a=candidate:%d 1 udp 2113937151 %s 51001 typ host", sum, g)}
	}},
	{"a host candidate over TCP", func(g string) []string {
		return []string{"a=candidate:9 1 tcp 1518280447 " + g + " 9 typ host tcptype active"}
	}},
	{"a server-reflexive candidate with the address", func(g string) []string {
		return []string{"a=candidate:9 1 udp 1677729535 " + g + " 51001 typ srflx raddr 0.0.0.0 rport 0"}
	}},
	{"a server-reflexive candidate related to it, of the same foundation", func(g string) []string {
		return []string{"a=candidate:1871425143 1 udp 1677729535 203.0.113.7 51001 typ srflx raddr " + g + " rport 51001"}
	}},
	{"a relayed candidate with the address", func(g string) []string {
		return []string{"a=candidate:9 1 udp 41885439 " + g + " 51001 typ relay raddr 0.0.0.0 rport 0"}
	}},
	{"the address in fields and free text", func(g string) []string {
		return []string{"a=rtcp:51001 IN IP4 " + g, "a=remote-candidates:1 " + g + " 51001", "a=note:" + g + " and " + g + ":51001"}
	}},
	{"the address in an IPv4-mapped one", func(g string) []string {
		return []string{"a=candidate:9 1 udp 2113937151 ::ffff:" + g + " 51001 typ host"}
	}},
	{"a browser's name that is another one, and the address", func(g string) []string {
		return []string{strings.Replace(victimLine, victimName, nobody, 1), host(g)}
	}},
}

// TestGuesses plays the attack: for each way to forge, it sends all guesses, and looks for anything by which the
// one right answer differs from the 65,535 wrong ones: on requests of their own, and, with the first, on one
// connection, where the names of raw addresses repeat.
func TestGuesses(t *testing.T) {
	for i, f := range forgeries {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			secrets := []string{""}
			if i == 0 {
				secrets = append(secrets, "the secret of one connection")
			}
			for _, secret := range secrets {
				s := newGateway(t, "")
				seen := map[string]bool{}
				shapes := map[string]int{}
				for i, guess := range guesses() {
					if raceEnabled && i%64 != 0 && guess.String() != victim { // which takes too long
						continue
					}
					lines := f.lines(guess.String())
					r := Request{Format: SDP, Body: []byte(offer(append([]string{victimLine}, lines...)...)), Client: client, Secret: []byte(secret)}
					result, err := s.Encrypt(t.Context(), r)
					if err != nil {
						t.Fatalf("%v: %v", guess, err)
					}
					s.names.asked = nil
					out := strings.Split(string(result.Body), "\r\n")
					own, ownFoundation := "", ""
					for _, line := range out {
						words := strings.Fields(line)
						if !strings.HasPrefix(line, "a=candidate:") || words[4] == nobody {
							continue
						}
						if own == "" {
							own, ownFoundation = words[4], words[0]
							continue
						}
						if words[4] == own {
							t.Fatalf("%v has the name of the browser's own", guess)
						}
						if !strings.Contains(f.name, "same foundation") && !strings.Contains(f.name, "all but the address") && words[0] == ownFoundation {
							t.Fatalf("%v has the foundation of the browser's own", guess)
						}
						if strings.HasSuffix(words[4], ".local") && seen[words[4]] {
							t.Fatalf("%v has the name of another guess", guess)
						}
						seen[words[4]] = true
					}
					shapes[shape(result, guess.String())]++
				}
				// One shape for all: what was dropped, reported and redacted, how long every word is.
				if len(shapes) != 1 {
					t.Errorf("the answers are of %d kinds: %v", len(shapes), shapes)
				}
			}
		})
	}
}

// shape returns all of an answer that a page could compare, but for what is fresh each time.
func shape(result *Result, guess string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(string(result.Body), "\r\n") {
		for i, word := range strings.Fields(line) {
			switch {
			case strings.HasSuffix(word, ".local"):
				word = fmt.Sprintf("name of %d", len(word))
			case i == 0 && strings.HasPrefix(word, "a=candidate:"):
				word = fmt.Sprintf("foundation of %d", len(word))
			}
			out.WriteString(strings.ReplaceAll(word, guess, "GUESS") + " ")
		}
		out.WriteString("\n")
	}
	report := result.Report
	fmt.Fprintf(&out, "%+v", report)
	return out.String()
}

// TestGuessesByFoundation has a page trickle the guesses one by one, each with the same foundations as its
// browser's candidate, and compares the foundations that come back: equal ones would tell equal bases, RFC 8445,
// section 5.1.1.3.
func TestGuessesByFoundation(t *testing.T) {
	s := newGateway(t, "")
	first, _ := s.encrypt(t, SDP, offer(victimLine))
	own := field(t, first, 0, 0)
	lengths := map[int]bool{len(own): true}
	for i, guess := range guesses() {
		if raceEnabled && i%64 != 0 && guess.String() != victim {
			continue
		}
		for _, foundation := range []string{"1871425143", fmt.Sprint(crc32.ChecksumIEEE([]byte("host" + guess.String() + "udp")))} {
			line := fmt.Sprintf("a=candidate:%s 1 udp 2113937151 %s 51001 typ host", foundation, guess)
			got, _ := s.encrypt(t, SDP, offer(line))
			f := field(t, got, 0, 0)
			if f == own {
				t.Fatalf("%v has the foundation of the browser's own", guess)
			}
			lengths[len(f)] = true
		}
	}
	if len(lengths) != 1 {
		t.Errorf("foundations of %d lengths", len(lengths))
	}
}

// TestGuessesByTime compares how long the right guess takes with how long wrong ones do, by Welch's t, as
// constant-time code is tested. The search for a name of the right shape takes a time that is random, and of
// nobody's address. A difference that is there is there each time: it is to be seen in three runs.
func TestGuessesByTime(t *testing.T) {
	const samples, bound, runs = 4000, 5.0, 3
	var got []float64
	for range runs {
		s := newGateway(t, "")
		var right, wrong sample
		for range samples {
			guess, to := victim, &right
			if rand.IntN(2) == 0 {
				guess, to = fmt.Sprintf("10.77.%d.%d", rand.IntN(256), 3+rand.IntN(250)), &wrong
			}
			// As long in octets, so that their number tells nothing: the page could pad as well.
			pad := "a=pad:" + strings.Repeat("x", 15-len(guess))
			body := []byte(offer(victimLine, strings.Replace(victimLine, victimName, guess, 1), pad))
			start := time.Now()
			if _, err := s.Encrypt(t.Context(), Request{Format: SDP, Body: body, Client: client}); err != nil {
				t.Fatal(err)
			}
			to.add(time.Since(start))
			s.names.asked = nil
		}
		value := welch(&right, &wrong)
		t.Logf("right %.1f µs, wrong %.1f µs, t = %.2f", right.mean/1e3, wrong.mean/1e3, value)
		if math.Abs(value) < bound {
			return
		}
		got = append(got, value)
	}
	t.Errorf("the right guess takes another time than wrong ones: t = %.1f in %d runs", got, runs)
}

// A sample is durations in nanoseconds. Those that are far off the others are left out: of the scheduler's.
type sample struct{ n, mean, squares float64 }

func (s *sample) add(d time.Duration) {
	x := min(float64(d), 200e3)
	s.n++
	delta := x - s.mean
	s.mean += delta / s.n
	s.squares += delta * (x - s.mean)
}

func welch(a, b *sample) float64 {
	return (a.mean - b.mean) / math.Sqrt(a.squares/(a.n-1)/a.n+b.squares/(b.n-1)/b.n)
}
