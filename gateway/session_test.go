package gateway

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

func TestSessionsAreBounded(t *testing.T) {
	now := t0
	s := newSessions(3, 3, func() time.Time { return now })
	key := func(i int) sessionKey { return sessionKey{client, fmt.Sprint(i)} }
	for i := range 3 {
		s.start(s.id(key(i)), pwd, true)
	}
	s.appendPwd(nil, s.id(key(0))) // used last, so 1 makes room
	s.start(s.id(key(3)), pwd, true)
	for i, want := range []bool{true, false, true, true} {
		if got := len(s.appendPwd(nil, s.id(key(i)))) > 0; got != want {
			t.Errorf("session %d is known: %v", i, got)
		}
	}
	if s.len() != 3 {
		t.Errorf("%d sessions", s.len())
	}
}

func TestSessionsExpire(t *testing.T) {
	now := t0
	s := newSessions(3, 3, func() time.Time { return now })
	k := sessionKey{client, "XHiM"}
	s.start(s.id(k), pwd, true)
	now = now.Add(sessionExpires - 1)
	if string(s.appendPwd(nil, s.id(k))) != pwd {
		t.Error("expired too early")
	}
	now = now.Add(1)
	if _, ok := s.count(s.id(k), allSeen, 1); ok || len(s.appendPwd(nil, s.id(k))) > 0 {
		t.Error("did not expire")
	}
	if len(s.appendPwd(nil, s.id(k))) > 0 {
		t.Error("counting brought it back")
	}
}

func TestSessionCounts(t *testing.T) {
	s := newSessions(3, 3, time.Now)
	k := sessionKey{client, "XHiM"}
	s.start(s.id(k), pwd, true)
	s.count(s.id(k), allSeen, 1)
	s.start(s.id(k), pwd, false)
	if n, ok := s.count(s.id(k), allSeen, 1); n != 2 || !ok {
		t.Errorf("a fragment of the same session: %d", n)
	}
	s.start(s.id(k), pwd+"x", false)
	if n, _ := s.count(s.id(k), allSeen, 1); n != 1 {
		t.Errorf("a fragment with another password: %d", n)
	}
	s.start(s.id(k), pwd+"x", true)
	if n, _ := s.count(s.id(k), allSeen, 1); n != 1 {
		t.Errorf("a whole description: %d", n)
	}
}

// TestSessionsKeepNoBody: what is remembered of a body must not be a part of it, or all of it stays.
func TestSessionsKeepNoBody(t *testing.T) {
	if testing.Short() {
		t.Skip("needs some memory")
	}
	s := newGateway(t, "")
	before := heap()
	const bodies = 200
	for i := range bodies {
		p := fmt.Sprintf("%08d", i) + pwd
		name := fmt.Sprintf("%08d-e28c-4b96-a9b8-90941f7bc52c.local", i)
		s.names.addrs = map[string]string{name: "10.77.1.2"}
		body := strings.NewReplacer(pwd, p, "XHiM", p[:8]).Replace(offer(host(name), "a=x:"+strings.Repeat("x", 200<<10)))
		if _, report := s.encryptUnder(t, cipher.AESGCM, SDP, body); report.Encrypted != 1 {
			t.Fatalf("report %+v", report)
		}
		s.names.asked = nil
	}
	if grown := heap() - before; grown > bodies*(200<<10)/4 {
		t.Errorf("%d sessions hold %d octets", bodies, grown)
	}
	if s.sessions.len() != bodies || s.guard.table.Len() != bodies || len(s.seen) != bodies {
		t.Errorf("%d sessions, %d guarded", s.sessions.len(), s.guard.table.Len())
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestConcurrentCalls has many clients at once, each with the same ice-pwd under a suite that may
// encrypt one address of it: however the calls fall, there is one.
func TestConcurrentCalls(t *testing.T) {
	s := newGateway(t, "")
	var mu sync.Mutex
	encrypted := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				addr := fmt.Sprintf("10.77.%d.%d", i, j+1)
				r, err := s.Encrypt(context.Background(), Request{Body: []byte(offer(host(addr))), Format: SDP, Client: client, Suite: cipher.AESCTRHMAC})
				if err != nil {
					t.Error(err)
					return
				}
				if r.Report.Encrypted == 1 {
					mu.Lock()
					encrypted[addr] = true
					mu.Unlock()
				}
				for name, body := range map[string]string{"mdns": recorded(t, "firefox-mdns.sdp"), "raw": recorded(t, "chromium-raw.sdp")} {
					r, err := s.Encrypt(context.Background(), Request{Body: []byte(body), Format: SDP, Client: client})
					if err != nil {
						t.Error(name, err)
						return
					}
					if _, err = s.Decrypt(context.Background(), Request{Body: r.Body, Format: SDP, Client: client}); err != nil {
						t.Error(name, err)
						return
					}
				}
				// The others have the same ufrag, so this one may be beyond their 64.
				_, err = s.Encrypt(context.Background(), Request{Body: []byte(candidateInit(addr)), Format: JSON, Client: client})
				if err != nil && !errors.Is(err, ErrNothingLeft) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(encrypted) != 1 {
		t.Errorf("%d addresses were encrypted under one ice-pwd", len(encrypted))
	}
}
