package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/candgw/candgw/cipher"
)

const (
	maxSeen     = 100_000
	seenExpires = 24 * time.Hour
)

// seenNames holds the ice-pwd of names of the draft's suites, which do not carry their IV. The name
// not used for longest makes room.
type seenNames struct {
	mu  sync.Mutex
	lru *simplelru.LRU[cipher.Name, seenName]
	now func() time.Time
}

type seenName struct {
	pwd     string
	expires time.Time
}

func newSeenNames(now func() time.Time) *seenNames {
	lru, err := simplelru.NewLRU[cipher.Name, seenName](maxSeen, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &seenNames{lru: lru, now: now}
}

func (s *seenNames) add(n cipher.Name, pwd string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Add(n, seenName{pwd, s.now().Add(seenExpires)})
}

// pwd returns the ice-pwd of a name, empty if it is not known.
func (s *seenNames) pwd(n cipher.Name) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.lru.Get(n)
	if !ok || !s.now().Before(v.expires) {
		return ""
	}
	return v.pwd
}
