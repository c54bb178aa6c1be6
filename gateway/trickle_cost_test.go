package gateway

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestTrickleAllocations: a candidate in a message of JSON, of a session that is known, allocates no more than it
// gives back.
func TestTrickleAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory that is kept dropped at random")
	}
	const want = 3 // the body, the result, and the report
	s := newGateway(t, "")
	r := trickleRequest(0, "10.77.1.2")
	got := math.Inf(1)
	for range 50 { // the least, because the memory that is kept may go at any time
		s.encrypt(t, Message, description(sessionOf("abcd")))
		got = min(got, testing.AllocsPerRun(1, func() {
			p, err := s.Begin(r)
			if err != nil {
				t.Fatal(err)
			}
			if result, err := p.Encrypt(context.Background()); err != nil || result.Report.Encrypted != 1 {
				t.Fatalf("%v, %+v", err, result)
			}
		}))
	}
	if got != want {
		t.Errorf("%v allocations, want %v", got, want)
	}
}

// BenchmarkTrickle encrypts what trickles over a WebSocket: one candidate in one message of JSON, of a session that
// is known, under a secret of the connection. The candidates differ, as those of an endpoint do.
func BenchmarkTrickle(b *testing.B) {
	const name = "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local"
	for _, kind := range []string{"address", "name"} {
		b.Run(kind, func(b *testing.B) {
			s := newGateway(b, "")
			s.config.Names = benchNames
			var messages []Request
			for i := range 40 {
				host := fmt.Sprintf("10.77.%d.%d", i%4, 2+i)
				if kind == "name" {
					host = name
				}
				messages = append(messages, trickleRequest(i, host))
			}
			begin := messages[0]
			begin.Body = []byte(description(sessionOf("abcd")))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := messages[i%len(messages)]
				if i%len(messages) == 0 { // the count of the session's candidates begins anew
					if _, err := s.Encrypt(context.Background(), begin); err != nil {
						b.Fatal(err)
					}
				}
				result, err := s.Encrypt(context.Background(), r)
				if err != nil || result.Report.Encrypted != 1 {
					b.Fatalf("%v, %+v", err, result)
				}
			}
		})
	}
}

// trickleRequest is one candidate of sessionOf("abcd"), as an application sends it.
func trickleRequest(i int, host string) Request {
	body := fmt.Sprintf(`{"type":"candidate","room":"4711","from":"a83f","candidate":{"candidate":"candidate:%d 1 udp %d %s %d typ host generation 0 ufrag abcd network-id 1","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}`,
		1000+i, 2122129151-i, host, 40000+i)
	return Request{Body: []byte(body), Format: Message, Client: client, Secret: []byte(strings.Repeat("s", 32))}
}

// sessionOf is a description without candidates, which begins a session.
func sessionOf(ufrag string) string {
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" +
		"c=IN IP4 0.0.0.0\r\na=ice-ufrag:" + ufrag + "\r\na=ice-pwd:MpiyNBrY/PGEqhMFOPRVzGsf\r\na=mid:0\r\n"
}
