package main

import (
	"context"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

const (
	rotateEvery = time.Second
	// statusEvery is how often a node tells the others which keys it has used.
	statusEvery = 5 * time.Second
)

// rotateByTheClock does what the configuration's block rotate says, while it says anything, and tells the
// status of the keys.
func (s *server) rotateByTheClock(ctx context.Context) {
	schedule := keyring.Schedule{Store: s.store}
	tick := time.NewTicker(rotateEvery)
	defer tick.Stop()
	var told time.Time
	failed, untold, scheduled := "", "", false
	for {
		ring := s.live.Load()
		r := s.rotate.Load()
		gone := r == nil && scheduled // so that nothing stale is told
		scheduled = r != nil
		var next map[cipher.Suite]time.Time
		if scheduled || gone {
			next = map[cipher.Suite]time.Time{}
		}
		if r != nil {
			schedule.Suite, schedule.Every, schedule.Settle, schedule.Grace = r.Suite, r.Every, r.Settle, r.Grace
			changed, err := schedule.Tick(ring)
			for _, e := range changed {
				s.log.Info("the key ring was changed by the clock", "key", e.Key, "state", e.State)
			}
			if err != nil && err.Error() != failed {
				s.log.Error("the key ring is not changed by the clock", "error", err)
			}
			if failed = ""; err != nil {
				failed = err.Error()
				s.metrics.RotationFailed()
			}
			for _, suite := range cipher.Suites() {
				if at, ok := schedule.Next(ring, suite); ok {
					next[suite] = at
				}
			}
		}
		s.metrics.NextRotations(next)
		if now := time.Now(); now.Sub(told) >= statusEvery || gone {
			told = now
			err := s.store.TellStatus(ring, &s.used, next)
			if err != nil && err.Error() != untold {
				s.log.Warn("the status of the keys is not told", "error", err)
			}
			if untold = ""; err != nil {
				untold = err.Error()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
