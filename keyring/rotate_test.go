package keyring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

// newStore returns a store with a ring of one active key, and its clock.
func newStoreAt(t *testing.T) (*FileStore, *time.Time) {
	t.Helper()
	now := t0
	s := NewFileStore(t.TempDir(), "")
	s.now = func() time.Time { return now }
	if _, err := s.Init(); err != nil {
		t.Fatal(err)
	}
	return s, &now
}

func loadRing(t *testing.T, s *FileStore) *Ring {
	t.Helper()
	r, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// states returns how many keys of each state a ring has.
func states(r *Ring) map[State]int {
	out := map[State]int{}
	for e := range r.Entries() {
		out[e.State]++
	}
	return out
}

func TestRotate(t *testing.T) {
	s := NewFileStore(t.TempDir(), "")
	first, err := s.Init()
	if err != nil {
		t.Fatal(err)
	}
	before, _ := first.Active(cipher.AESUUID)
	var told []Entry
	var waits []time.Duration
	r := Rotation{cipher.AESUUID, 50 * time.Millisecond, time.Hour}
	began := time.Now()
	if err := s.Rotate(context.Background(), r, func(e Entry, wait time.Duration) { told, waits = append(told, e), append(waits, wait) }); err != nil {
		t.Fatal(err)
	}
	if time.Since(began) < r.Settle || waits[0] != r.Settle {
		t.Errorf("it did not settle: %v", waits)
	}
	if len(told) != 3 || told[0].State != Standby || !told[0].Next || told[1].State != Active || told[2].State != Retired || told[2].Key.ID() != before.ID() {
		t.Errorf("told %+v", told)
	}
	ring := loadRing(t, s)
	if k, err := ring.Active(cipher.AESUUID); err != nil || k.ID() != told[0].Key.ID() || ring.Revision() != 3 {
		t.Errorf("active is %v, %v, revision %d", k, err, ring.Revision())
	}
}

// A rotation that was interrupted goes on with the key that it made, and waits no longer than is left.
func TestRotateGoesOn(t *testing.T) {
	s, now := newStoreAt(t)
	r := Rotation{cipher.AESUUID, time.Minute, time.Hour}
	next, wait, err := s.BeginRotation(r)
	if err != nil || wait != time.Minute {
		t.Fatal(wait, err)
	}
	for _, tt := range []struct {
		name  string
		after time.Duration
		want  time.Duration
	}{
		{"at once", 0, time.Minute}, // times are cut to the second
		{"half way", 30 * time.Second, 31 * time.Second},
		{"after it", time.Hour, 0},
		{"the clock went back", -24 * time.Hour, time.Minute},
	} {
		*now = t0.Add(tt.after)
		again, wait, err := s.BeginRotation(r)
		if err != nil || again.Key.ID() != next.Key.ID() || wait != tt.want {
			t.Errorf("%s: %v, waits %v, want %v", tt.name, err, wait, tt.want)
		}
	}
	*now = t0.Add(2 * time.Minute)
	active, old, err := s.FinishRotation(r, next.Key.ID())
	if err != nil || active.Key.ID() != next.Key.ID() || old.State != Retired || !old.AcceptUntil.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v, %+v, %v", active, old, err)
	}
	revision := loadRing(t, s).Revision()
	if active, old, err = s.FinishRotation(r, next.Key.ID()); err != nil || active.State != Active || old.Key != nil {
		t.Errorf("finished a second time: %+v, %+v, %v", active, old, err)
	}
	if loadRing(t, s).Revision() != revision {
		t.Error("nothing changed, and it is another revision")
	}
}

// A key that was dealt with by hand meanwhile is not activated.
func TestRotateGivesWay(t *testing.T) {
	r := Rotation{cipher.AESUUID, 0, time.Hour}
	for name, do := range map[string]func(*Editor, cipher.KeyID) error{
		"removed": func(e *Editor, id cipher.KeyID) error { return e.Remove(id, false) },
		"revoked": func(e *Editor, id cipher.KeyID) error { return e.Revoke(id, false) },
		"retired": func(e *Editor, id cipher.KeyID) error { return e.Retire(id, time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newStoreAt(t)
			next, _, err := s.BeginRotation(r)
			if err != nil {
				t.Fatal(err)
			}
			id := next.Key.ID()
			if _, err := s.Update(func(e *Editor) error { return do(e, id) }); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.FinishRotation(r, id); !errors.Is(err, ErrGaveWay) {
				t.Errorf("got %v", err)
			}
			if again, _, err := s.BeginRotation(r); err != nil || again.Key.ID() == id {
				t.Errorf("a new rotation takes %v, %v", again.Key, err)
			}
		})
	}
}

// Many that rotate at once rotate once.
func TestRotateTogether(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewFileStore(dir, "").Init(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := Rotation{cipher.AESUUID, 300 * time.Millisecond, time.Hour}
			if err := NewFileStore(dir, "").Rotate(context.Background(), r, func(Entry, time.Duration) {}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := states(loadRing(t, NewFileStore(dir, ""))); got[Active] != 1 || got[Retired] != 1 || got[Standby] != 0 {
		t.Errorf("keys %v", got)
	}
}

func TestRotateInterrupted(t *testing.T) {
	s, _ := newStoreAt(t)
	ctx, cancel := context.WithCancel(context.Background())
	err := s.Rotate(ctx, Rotation{cipher.AESUUID, time.Hour, time.Hour}, func(Entry, time.Duration) { cancel() })
	if got := states(loadRing(t, s)); !errors.Is(err, context.Canceled) || got[Standby] != 1 || got[Active] != 1 {
		t.Errorf("%v, keys %v", err, got)
	}
	if err := NewFileStore(t.TempDir(), "").Rotate(context.Background(), Rotation{Suite: cipher.AESUUID}, nil); !errors.Is(err, ErrNoRing) {
		t.Errorf("without a ring: %v", err)
	}
}

// TestSchedule runs three nodes by one clock for some days.
func TestSchedule(t *testing.T) {
	s, now := newStoreAt(t)
	if _, err := s.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESGCM), Active) }); err != nil {
		t.Fatal(err)
	}
	nodes := make([]*Schedule, 3)
	for i := range nodes {
		other := NewFileStore(s.dir, "")
		other.now = s.now
		nodes[i] = &Schedule{Store: other, Suite: cipher.AESUUID, Every: 24 * time.Hour, Settle: time.Minute, Grace: 36 * time.Hour}
	}
	activations, removals := 0, 0
	gcm, _ := loadRing(t, s).Active(cipher.AESGCM)
	for end := t0.Add(10 * 24 * time.Hour); now.Before(end); *now = now.Add(20 * time.Second) {
		ring := loadRing(t, s)
		for _, n := range nodes { // each with the ring of a moment ago
			changed, err := n.Tick(ring)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range changed {
				switch e.State {
				case Active:
					activations++
				case Retired:
					removals++
				}
			}
		}
		for e := range loadRing(t, s).Entries() {
			if e.State == Standby && now.Sub(e.Created) > 2*time.Minute {
				t.Fatalf("at %v: %+v waits for ever", now, e)
			}
			if e.State == Active && e.Key.Suite() == cipher.AESUUID && now.Sub(e.ActiveSince) > 24*time.Hour+3*time.Minute {
				t.Fatalf("at %v: %+v is not replaced", now, e)
			}
			if e.State == Retired && now.Sub(e.AcceptUntil) > 36*time.Hour+10*time.Minute {
				t.Fatalf("at %v: %+v is not removed", now, e)
			}
		}
		if now.Sub(t0)%time.Hour != 0 {
			*now = now.Add(4 * time.Minute) // nothing happens most of the time
		}
	}
	if activations < 9 || activations > 2*11 || removals == 0 {
		t.Errorf("%d activations and %d removals by three nodes in ten days", activations, removals)
	}
	got := states(loadRing(t, s))
	if k, err := loadRing(t, s).Active(cipher.AESGCM); err != nil || k.ID() != gcm.ID() || got[Active] != 2 || got[Retired] > 4 {
		t.Errorf("keys %v; of the other suite %v", got, k)
	}
	if at, ok := nodes[0].Next(loadRing(t, s), cipher.AESUUID); !ok || at.Before(*now) || at.After(now.Add(24*time.Hour)) {
		t.Errorf("next at %v, it is %v", at, now)
	}
	if _, ok := nodes[0].Next(loadRing(t, s), cipher.AESGCM); ok {
		t.Error("the other suite has a time as well")
	}
}

// A clock that jumps ahead and is set right again removes no key that still opens names.
func TestScheduleAndWrongClock(t *testing.T) {
	s, now := newStoreAt(t)
	r := Rotation{cipher.AESUUID, 0, 12 * time.Hour}
	next, _, err := s.BeginRotation(r)
	if err == nil {
		_, _, err = s.FinishRotation(r, next.Key.ID())
	}
	if err != nil {
		t.Fatal(err)
	}
	schedule := &Schedule{Store: s, Every: 365 * 24 * time.Hour, Grace: 12 * time.Hour}
	tick := func(wantRetired int) {
		t.Helper()
		if _, err := schedule.Tick(loadRing(t, s)); err != nil {
			t.Fatal(err)
		}
		if got := states(loadRing(t, s)); got[Retired] != wantRetired {
			t.Errorf("at %v: %d retired keys, want %d", now, got[Retired], wantRetired)
		}
	}
	*now = t0.Add(30 * 24 * time.Hour)
	tick(1)
	*now = now.Add(6 * time.Hour)
	tick(1)
	*now = t0.Add(time.Hour)
	tick(1)
	*now = t0.Add(13 * time.Hour)
	tick(1)
	*now = now.Add(12*time.Hour - time.Second)
	tick(1)
	*now = now.Add(time.Second)
	tick(0)
}

// What is accepted for a time is so, even if the clock went back before it was decided.
func TestEditWithClockThatWentBack(t *testing.T) {
	s, now := newStoreAt(t)
	*now = t0.Add(-48 * time.Hour)
	if _, err := s.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESUUID), Active) }); err != nil {
		t.Fatal(err)
	}
	for e := range loadRing(t, s).Entries() {
		if e.State == Retired && e.AcceptUntil.Before(t0.Add(DefaultGrace)) {
			t.Errorf("accepted until %v, though it was active at %v", e.AcceptUntil, t0)
		}
	}
}

func TestBundle(t *testing.T) {
	s, now := newStoreAt(t)
	for range 2 {
		if _, err := s.Update(func(e *Editor) error { return e.Add(newKey(t, cipher.AESGCM), Active) }); err != nil {
			t.Fatal(err)
		}
	}
	text, err := loadRing(t, s).Bundle(cipher.AESGCM, *now)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := ParseBundle(text)
	if err != nil || len(bundle) != 2 || bundle[0].State != Active || bundle[1].State != Retired {
		t.Fatalf("%+v, %v", bundle, err)
	}
	other, _ := newStoreAt(t)
	for range 2 { // a second time changes nothing
		if _, err := other.Update(func(e *Editor) error { e.Import(bundle); return nil }); err != nil {
			t.Fatal(err)
		}
		if again, err := loadRing(t, other).Bundle(cipher.AESGCM, *now); err != nil || string(again) != string(text) {
			t.Errorf("got %s, %v", again, err)
		}
	}
	if text, _ := loadRing(t, s).Bundle(cipher.AESGCM, now.Add(2*DefaultGrace)); len(text) == 0 {
		t.Error("no bundle once the key before decrypts no more")
	} else if bundle, _ := ParseBundle(text); len(bundle) != 1 {
		t.Errorf("%d keys once one decrypts no more", len(bundle))
	}
	for name, text := range map[string]string{
		"nothing": "", "not JSON": "secret", "unknown member": `{"suite":"aes-gcm","keys":[],"x":1}`, "something after it": `{"suite":"aes-gcm","keys":[]}1`,
		"another id":  `{"suite":"aes-gcm","keys":[{"id":"0000000000000000","state":"active","key":"MDEyMzQ1Njc4OWFiY2RlZg==","created":"2026-01-02T03:04:05Z"}]}`,
		"a short key": `{"suite":"aes-gcm","keys":[{"id":"0000000000000000","state":"active","key":"c2VjcmV0","created":"2026-01-02T03:04:05Z"}]}`,
	} {
		if _, err := ParseBundle([]byte(text)); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatus(t *testing.T) {
	s, now := newStoreAt(t)
	ring := loadRing(t, s)
	k, err := ring.Active(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := s.Status(); err != nil || status.LastOpened != nil {
		t.Errorf("before anything was told: %+v, %v", status, err)
	}
	other := newKey(t, cipher.AESUUID) // of which the ring knows nothing any more
	next := map[cipher.Suite]time.Time{cipher.AESUUID: now.Add(time.Hour)}
	var first, second Usage
	first.Opened(k, now.Add(90*time.Second))
	first.Opened(k, *now) // a clock that went back
	first.Opened(other, *now)
	second.Opened(k, now.Add(10*time.Second))
	for _, u := range []*Usage{&first, &second, {}} { // of three nodes
		if err := s.TellStatus(ring, u, next); err != nil {
			t.Fatal(err)
		}
	}
	status, err := s.Status()
	if err != nil || len(status.LastOpened) != 1 || !status.LastOpened[k.ID()].Equal(now.Add(90*time.Second).Truncate(time.Minute)) ||
		!status.NextRotation[cipher.AESUUID].Equal(now.Add(time.Hour)) {
		t.Errorf("got %+v, %v", status, err)
	}
	path := filepath.Join(s.dir, statusFile)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Status(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken file: %v", err)
	}
	if err := s.TellStatus(ring, &first, next); err != nil {
		t.Error(err)
	}
	if _, err := s.Status(); err != nil {
		t.Errorf("a broken file is not made again: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { first.Opened(k, *now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
