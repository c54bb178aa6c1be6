//go:build unix

package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/candgw/candgw/internal/proxy"
)

// The benchmark runs the proxies in a process of their own, so that their CPU time can be told from that of the
// client and the site. It is this program again, with the upstream in its environment.
const benchUpstream = "CANDGW_PROXY_BENCH_UPSTREAM"

func TestMain(m *testing.M) {
	if upstream := os.Getenv(benchUpstream); upstream != "" {
		testing.Main(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "proxies", F: func(t *testing.T) {
			serveProxies(t, upstream)
		}}}, nil, nil)
		return
	}
	os.Exit(m.Run())
}

// serveProxies runs a proxy that rewrites and one that does not, tells where they are, and for every line that
// comes in how much CPU time was used so far.
func serveProxies(t *testing.T, upstream string) {
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	rewriting := new(setup).start(t, u)
	through := (&setup{config: proxy.Config{Paths: []string{"/nowhere"}}}).start(t, u)
	fmt.Println(rewriting.url)
	fmt.Println(through.url)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var use syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
			t.Fatal(err)
		}
		fmt.Println(use.Utime.Nano() + use.Stime.Nano())
	}
}

// proxies is the other process.
type proxies struct {
	in  io.Writer
	out *bufio.Reader
}

func (p *proxies) line(b *testing.B) string {
	b.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(s)
}

// cpu returns the CPU time that the other process has used.
func (p *proxies) cpu(b *testing.B) (d time.Duration) {
	b.Helper()
	fmt.Fprintln(p.in)
	if _, err := fmt.Sscan(p.line(b), (*int64)(&d)); err != nil {
		b.Fatal(err)
	}
	return d
}

func startProxies(b *testing.B, upstream *url.URL) *proxies {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchUpstream+"="+upstream.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &proxies{in, bufio.NewReader(out)}
}

// messages of a call, as an application sends them.
func candidates(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(`{"type":"candidate","room":"4711","from":"a83f","candidate":{"candidate":"candidate:%d 1 udp %d 10.77.%d.%d %d typ host generation 0 ufrag abcd network-id 1","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}`,
			1000+i, 2122129151-i, i%4, 2+i, 40000+i))
	}
	return out
}

func chats(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(`{"type":"chat","room":"4711","from":"a83f","id":%d,"sent":"2026-11-02T09:30:%02dZ","text":"Shall we look at the figures of the third quarter first, or at those of the plan? I have both here."}`, i, i%60))
	}
	return out
}

// mixed is what a participant sends in the first minutes: an offer, its candidates, and the messages of the
// application.
func mixed() []string {
	out := []string{longOffer()}
	others := chats(30)
	for i, c := range candidates(9) {
		out = append(out, c)
		out = append(out, others[3*i:3*i+3]...)
	}
	return append(out, others[27:]...)
}

// longOffer is one of some 6 KiB, without candidates, which trickle.
func longOffer() string {
	text := offer
	for i := range 60 {
		text += fmt.Sprintf("a=rtpmap:%d VP8/90000\r\na=rtcp-fb:%d nack pli\r\na=fmtp:%d level-asymmetry-allowed=1;packetization-mode=1\r\n", 36+i, 36+i, 36+i)
	}
	body, _ := json.Marshal(map[string]string{"type": "offer", "sdp": text})
	return string(body)
}

// A way is how the client reaches the site.
type way struct {
	name string
	conn *websocket.Conn
	took []time.Duration
	cpu  time.Duration
}

// BenchmarkWebSocket sends messages one by one, in turns, straight to the site, through a proxy that passes
// everything on unread, and through one that rewrites. It tells, for one message, what the median is from sending
// to arriving, and the CPU time of the proxy.
func BenchmarkWebSocket(b *testing.B) {
	for _, load := range []struct {
		name     string
		messages []string
	}{
		{"mixed", mixed()},
		{"candidates", candidates(40)},
		{"chat", chats(40)},
	} {
		b.Run(load.name, func(b *testing.B) {
			type arrival struct {
				at   time.Time
				body []byte
			}
			arrived := make(chan arrival)
			upstream := sockets(b, nil, func(c *websocket.Conn) {
				for {
					_, body, err := c.Read(context.Background())
					if err != nil {
						return
					}
					arrived <- arrival{time.Now(), body}
				}
			})
			p := startProxies(b, upstream)
			site := (&setup{}).start(b, upstream).client
			ways := []*way{{name: "direct"}, {name: "rewriting"}, {name: "through"}}
			for i, at := range []string{upstream.String(), p.line(b), p.line(b)} {
				conn, _, err := websocket.Dial(context.Background(), at+"/ws", &websocket.DialOptions{HTTPClient: site, HTTPHeader: http.Header{"Origin": {page}}})
				if err != nil {
					b.Fatal(err)
				}
				defer conn.CloseNow()
				ways[i].conn = conn
			}
			post := func(w *way, text string) time.Duration {
				begin := time.Now()
				send(b, w.conn, text)
				came := <-arrived
				told := bytes.Contains(came.body, []byte(" 10.77."))
				if named := bytes.Contains(came.body, []byte(".local ")); strings.Contains(text, " 10.77.") && (told == (w.name == "rewriting") || named == told) {
					b.Fatalf("%s: %s came as %s", w.name, text, came.body)
				}
				return came.at.Sub(begin)
			}
			turn := func(w *way) {
				post(w, inJSON(offer)) // begins the session, and its count of candidates, anew
				before := p.cpu(b)
				for _, text := range load.messages {
					w.took = append(w.took, post(w, text))
				}
				w.cpu += p.cpu(b) - before
			}
			b.ResetTimer()
			for range b.N {
				for _, w := range ways {
					turn(w)
				}
				slices.Reverse(ways)
			}
			b.StopTimer()
			n := float64(b.N * len(load.messages))
			medians, cpu := map[string]float64{}, map[string]float64{}
			for _, w := range ways {
				slices.Sort(w.took)
				medians[w.name] = float64(w.took[len(w.took)/2].Nanoseconds()) / 1e3
				cpu[w.name] = float64(w.cpu.Nanoseconds()) / 1e3 / n
			}
			b.ReportMetric(medians["rewriting"]-medians["direct"], "µs-added")
			b.ReportMetric(medians["rewriting"]-medians["through"], "µs-for-rewriting")
			b.ReportMetric(medians["direct"], "µs-direct")
			b.ReportMetric(cpu["rewriting"], "cpu-µs")
			b.ReportMetric(cpu["rewriting"]/cpu["through"], "cpu-ratio")
		})
	}
}
