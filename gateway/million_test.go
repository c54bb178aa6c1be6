package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// octetsASession and octetsALongSession bound what the sessions take that docs/architecture.md states.
const (
	octetsASession     = 128
	octetsALongSession = 384
)

// TestMillionSessions fills the table, and looks at the memory that it takes.
func TestMillionSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("needs some memory")
	}
	for _, tt := range []struct {
		name string
		pwd  string
		size int
		most int // octets a session
	}{
		{"as browsers make them", strings.Repeat("p", usualPwd), maxSessions, octetsASession},
		{"the longest", strings.Repeat("p", 256), maxLongSessions, octetsALongSession},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := heap()
			s := newSessions(maxSessions, maxLongSessions, time.Now)
			var addr [4]byte
			key := func(i int) sessionKey {
				binary.BigEndian.PutUint32(addr[:], uint32(i))
				return sessionKey{netip.AddrFrom4(addr), fmt.Sprintf("%08x", i)}
			}
			start := time.Now()
			for i := range tt.size + tt.size/4 { // and a quarter of them make room
				s.start(s.id(key(i)), tt.pwd, true)
			}
			took := time.Since(start)
			grown := heap() - before
			start = time.Now()
			runtime.GC()
			t.Logf("%d sessions: %d MiB, %d octets each; a start took %v, a garbage collection %v",
				s.len(), grown>>20, grown/tt.size, took/time.Duration(tt.size), time.Since(start))
			if s.len() != tt.size || grown/tt.size > tt.most {
				t.Errorf("%d sessions of %d octets, want %d of at most %d", s.len(), grown/tt.size, tt.size, tt.most)
			}
			for _, i := range []int{tt.size/4 - 1, tt.size / 4, tt.size} {
				if got := string(s.appendPwd(nil, s.id(key(i)))); (got == tt.pwd) != (i >= tt.size/4) {
					t.Errorf("session %d is %q", i, got)
				}
			}
			runtime.KeepAlive(s)
		})
	}
}

// TestSessionsAllocateNothing: neither finding a session nor counting in it does.
func TestSessionsAllocateNothing(t *testing.T) {
	s := newSessions(10, 10, time.Now)
	for _, pwd := range []string{pwd, strings.Repeat("p", 256)} {
		k := sessionKey{client, strings.Repeat("u", 256)}
		s.start(s.id(k), pwd, true)
		dst := make([]byte, 0, 256)
		if n := testing.AllocsPerRun(100, func() {
			dst = s.appendPwd(dst[:0], s.id(k))
			s.count(s.id(k), allSeen, 1)
			s.start(s.id(k), pwd, false)
		}); n != 0 || string(dst) != pwd {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkSessions(b *testing.B) {
	s := newSessions(maxSessions, maxLongSessions, time.Now)
	keys := make([]sessionKey, 1<<16)
	for i := range keys {
		keys[i] = sessionKey{client, fmt.Sprintf("%08x", i)}
		s.start(s.id(keys[i]), pwd, true)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		dst := make([]byte, 0, 256)
		for i := 0; p.Next(); i++ {
			k := keys[i*40503%len(keys)]
			dst = s.appendPwd(dst[:0], s.id(k))
			s.count(s.id(k), allSeen, 1)
		}
	})
}
