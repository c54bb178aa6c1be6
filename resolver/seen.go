package resolver

import (
	"sync"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/bounded"
)

const (
	maxSeen     = 100_000
	seenExpires = 24 * time.Hour
)

// seenNames holds the ice-pwd of names of the draft's suites, which do not carry their IV. The name
// not used for longest makes room.
type seenNames struct {
	now   func() time.Time
	mu    sync.Mutex
	table *bounded.Table[cipher.Name, string]
}

func newSeenNames(now func() time.Time) *seenNames {
	return &seenNames{now: now, table: bounded.New[cipher.Name, string](maxSeen, seenExpires)}
}

func (s *seenNames) add(n cipher.Name, pwd string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Put(n, pwd, s.now())
}

// pwd returns the ice-pwd of a name, empty if it is not known.
func (s *seenNames) pwd(n cipher.Name) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pwd := s.table.Get(n, s.now()); pwd != nil {
		return *pwd
	}
	return ""
}
