package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/candgw/candgw/internal/sdp"
)

// TestAllocations: beside what it gives back, which is the body, the result and the reports in it, encrypting
// allocates only to ask for names: a context with a deadline and a channel, a copy of each name, and a goroutine for
// each but one.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory that is kept dropped at random")
	}
	const output, asking, copies, goroutines = 3, 6, 2, 1
	for name, want := range map[string]float64{"addresses": output, "four addresses": output, "names": output + asking + copies + goroutines} {
		s := newGateway(t, "")
		s.config.Names = benchNames
		r := benchRequests(t)[name]
		for _, r.Secret = range [][]byte{nil, []byte("0123456789abcdef0123")} {
			if got := s.allocations(t, r); got != want {
				t.Errorf("%s, with a secret of %d octets: %v allocations, want %v", name, len(r.Secret), got, want)
			}
		}
	}
}

// allocations is the least of several tries, because the memory that is kept may go at any time.
func (s *setup) allocations(t *testing.T, r Request) float64 {
	t.Helper()
	least := math.Inf(1)
	for range 50 {
		least = min(least, testing.AllocsPerRun(1, func() {
			if result, err := s.Encrypt(context.Background(), r); err != nil || result.Report.Encrypted != 12 {
				t.Fatalf("%v, %+v", err, result)
			}
		}))
	}
	return least
}

// TestMemoryIsNotShared has many requests at once, some of which fail, and wants in each result what a gateway
// that serves nobody else gives, and in no later one.
func TestMemoryIsNotShared(t *testing.T) {
	s := newGateway(t, "")
	s.config.Names = quiet(browserNames)
	var mu sync.Mutex
	var kept []struct{ body, copied []byte }
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 60 {
				own := fmt.Sprintf("10.%d.%d.7", worker+1, i+1)
				ufrag, secret := fmt.Sprintf("u%d-%d", worker, i), fmt.Sprintf("%02d%02d%s", worker, i, pwd)[:24]
				text := offer(host(own)+" ufrag x", host("fd00::"+fmt.Sprint(i+1)), tcp(host(own)), "a=x:"+own)
				text = strings.NewReplacer("a=ice-ufrag:XHiM", "a=ice-ufrag:"+ufrag, "a=ice-pwd:"+pwd, "a=ice-pwd:"+secret).Replace(text)
				r := Request{Body: []byte(text), Format: SDP, Client: client}
				switch i % 4 {
				case 1:
					r.Body, r.Format = []byte(description(text)), JSON
				case 2:
					r.Body = append(r.Body, "a=candidate:broken"...)
				case 3:
					r.Body = []byte(recorded(t, "chromium-mdns.sdp"))
				}
				before := bytes.Clone(r.Body)
				result, err := s.Encrypt(context.Background(), r)
				if !bytes.Equal(r.Body, before) {
					t.Error("the request's body has changed")
				}
				if i%4 == 2 {
					if !errors.Is(err, ErrMalformed) {
						t.Errorf("got %v", err)
					}
					continue
				}
				if err != nil {
					t.Error(err)
					continue
				}
				s.checkOwn(t, string(result.Body), i%4 == 3, own, secret)
				mu.Lock()
				kept = append(kept, struct{ body, copied []byte }{result.Body, bytes.Clone(result.Body)})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, k := range kept {
		if !bytes.Equal(k.body, k.copied) {
			t.Fatal("a result has changed since it was given")
		}
	}
}

// checkOwn opens the names in a body, and wants the addresses of its own request alone.
func (s *setup) checkOwn(t *testing.T, body string, recorded bool, own, secret string) {
	for _, c := range candidatesOf(strings.ReplaceAll(body, `\r\n`, "\r\n")) {
		if recorded {
			secret = "Rq+GXMmKSzPzyc671SjUgx7w"
		}
		got := s.open(t, c.addr, secret)
		addr := netip.MustParseAddr(got)
		if !recorded && got != own && !strings.HasPrefix(got, "fd00::") || recorded && addr.Is4() && got != browserNames["884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local"] {
			t.Errorf("%s is in the result for %s", got, own)
		}
	}
	if strings.Contains(body, own) {
		t.Errorf("%s is still there", own)
	}
}

// TestDoneForgets: nothing of a request is left in what its call leaves.
func TestDoneForgets(t *testing.T) {
	for name, r := range recordedBodies(t) {
		s := newGateway(t, "")
		c, err := s.begin(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.encryptBody(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.result(); err != nil && !errors.Is(err, ErrNothingLeft) {
			t.Fatal(err)
		}
		c.done()
		c.random, c.randomness, c.made = nil, [len(c.randomness)]byte{}, bytes.Trim(c.made[:cap(c.made)], "\x00")
		left := ""
		for _, text := range c.doc.kept {
			left += fmt.Sprintf("%+v", text.edits[:cap(text.edits)])
			d := text.desc
			if d == nil {
				continue
			}
			for _, cand := range d.Candidates[:cap(d.Candidates)] {
				if cand != (sdp.Candidate{}) {
					t.Errorf("%s: %+v is left", name, cand)
				}
			}
		}
		left += fmt.Sprintf("%+v %q %+v %+v", c.made, c.seed[:cap(c.seed)], c.sealed[:cap(c.sealed)], c.hidden[:cap(c.hidden)])
		left += fmt.Sprintf("%q %+v %+v", c.doc.unescaped[:cap(c.doc.unescaped)], c.edits[:cap(c.edits)], c.request)
		left += fmt.Sprint(c.names, c.raw, c.foundations, c.concealed, c.told, c.counted, c.heads.all)
		for _, word := range []string{"10.77", "fd12", "2001", "local", "XHiM", pwd, "candidate"} {
			if strings.Contains(left, word) {
				t.Errorf("%s: %s is left in %s", name, word, left)
			}
		}
	}
}
