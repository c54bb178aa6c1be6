package keyring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

// tick has a schedule tick with the ring on disk, and returns what it changed.
func tick(t *testing.T, s *Schedule) []Entry {
	t.Helper()
	changed, err := s.Tick(loadRing(t, s.Store))
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// A key settles by the clock of the node that activates it, not by that of the node that made it.
func TestScheduleAndSkew(t *testing.T) {
	s, now := newStoreAt(t)
	ahead := NewFileStore(s.dir, "")
	ahead.now = func() time.Time { return now.Add(time.Hour) }
	a := &Schedule{Store: s, Every: 24 * time.Hour, Settle: time.Minute, Grace: time.Hour}
	b := &Schedule{Store: ahead, Every: 24 * time.Hour, Settle: time.Minute, Grace: time.Hour}
	*now = now.Add(24 * time.Hour)
	if got := tick(t, a); len(got) != 1 || got[0].State != Standby {
		t.Fatalf("got %+v", got)
	}
	for range 3 {
		if got := tick(t, b); len(got) != 0 {
			t.Fatalf("the node whose clock is ahead did %+v at once", got)
		}
		*now = now.Add(15 * time.Second)
	}
	*now = now.Add(15 * time.Second)
	if got := tick(t, b); len(got) != 1 || got[0].State != Active {
		t.Errorf("got %+v a minute later", got)
	}
}

// A node whose clock is ahead removes no key that others still open names with.
func TestScheduleRemovesNothingEarly(t *testing.T) {
	s, now := newStoreAt(t)
	ahead := NewFileStore(s.dir, "")
	ahead.now = func() time.Time { return now.Add(25 * time.Hour) }
	r := Rotation{cipher.AESUUID, 0, 24 * time.Hour}
	if err := s.Rotate(context.Background(), r, func(Entry, time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	b := &Schedule{Store: ahead, Every: 8000 * time.Hour, Grace: 24 * time.Hour}
	for range 23 {
		tick(t, b)
		*now = now.Add(time.Hour)
	}
	if got := states(loadRing(t, s)); got[Retired] != 1 {
		t.Errorf("keys %v, an hour before the end", got)
	}
}

// With a ring of a moment ago nothing is done twice.
func TestScheduleWithOldRing(t *testing.T) {
	s, now := newStoreAt(t)
	a := &Schedule{Store: s, Every: time.Hour, Settle: time.Minute, Grace: 2 * time.Hour}
	old := loadRing(t, s)
	*now = now.Add(time.Hour)
	if err := s.Rotate(context.Background(), Rotation{cipher.AESUUID, 0, time.Hour}, func(Entry, time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	if changed, err := a.Tick(old); err != nil || len(changed) != 0 || states(loadRing(t, s))[Standby] != 0 {
		t.Errorf("%+v, %v, keys %v", changed, err, states(loadRing(t, s)))
	}
}

// A rotation that was begun by hand keeps its own times.
func TestScheduleAndRotationByHand(t *testing.T) {
	s, now := newStoreAt(t)
	a := &Schedule{Store: s, Every: 24 * time.Hour, Settle: time.Minute, Grace: time.Minute}
	if _, _, err := s.BeginRotation(Rotation{cipher.AESUUID, 10 * time.Minute, 168 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if got := tick(t, a); len(got) != 0 {
			t.Fatalf("the clock did %+v", got)
		}
		*now = now.Add(time.Minute)
	}
	*now = now.Add(time.Minute)
	if got := tick(t, a); len(got) != 1 || got[0].State != Active || got[0].Settle != 0 {
		t.Fatalf("got %+v", got)
	}
	for e := range loadRing(t, s).Entries() {
		if e.State == Retired && !e.AcceptUntil.Equal(now.Add(168*time.Hour)) {
			t.Errorf("accepted until %v, it is %v", e.AcceptUntil, now)
		}
	}
}

// Without an active key a rotation that has begun is finished all the same.
func TestScheduleWithoutActiveKey(t *testing.T) {
	s, now := newStoreAt(t)
	a := &Schedule{Store: s, Every: time.Hour, Settle: time.Minute, Grace: 2 * time.Hour}
	*now = now.Add(time.Hour)
	tick(t, a)
	k, err := loadRing(t, s).Active(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(func(e *Editor) error { return e.Revoke(k.ID(), true) }); err != nil {
		t.Fatal(err)
	}
	tick(t, a)
	*now = now.Add(time.Minute)
	tick(t, a)
	if _, err := loadRing(t, s).Active(cipher.AESUUID); err != nil {
		t.Error(err)
	}
}

// Retire ends a key when the clock says so, even if the ring was changed by a clock that was ahead.
func TestRetireAfterClockAhead(t *testing.T) {
	s, now := newStoreAt(t)
	right := *now
	*now = right.Add(365 * 24 * time.Hour)
	k := newKey(t, cipher.AESUUID)
	if _, err := s.Update(func(e *Editor) error { return e.Add(k, Standby) }); err != nil {
		t.Fatal(err)
	}
	*now = right
	if _, err := s.Update(func(e *Editor) error { return e.Retire(k.ID(), time.Minute) }); err != nil {
		t.Fatal(err)
	}
	if e, err := loadRing(t, s).Lookup(k.ID()); err != nil || !e.AcceptUntil.Equal(right.Add(time.Minute)) {
		t.Errorf("%+v, %v", e, err)
	}
}

// A bundle of after a rotation activates the key that one of before it put on standby.
func TestImportAfterRotation(t *testing.T) {
	a, _ := newStoreAt(t)
	b := NewFileStore(t.TempDir(), "")
	give := func() {
		t.Helper()
		text, err := loadRing(t, a).Bundle(cipher.AESUUID, t0)
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := ParseBundle(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Update(func(e *Editor) error { e.Import(bundle); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	give()
	r := Rotation{cipher.AESUUID, time.Minute, time.Hour}
	next, _, err := a.BeginRotation(r)
	if err != nil {
		t.Fatal(err)
	}
	give()
	if _, _, err := a.FinishRotation(r, next.Key.ID()); err != nil {
		t.Fatal(err)
	}
	give()
	if k, err := loadRing(t, b).Active(cipher.AESUUID); err != nil || k.ID() != next.Key.ID() {
		t.Errorf("active is %v, %v, want %v", k, err, next.Key)
	}
}

// The name that rekey uses itself is not that of the key to seal under: it would be removed.
func TestRekeyToItsOwnFile(t *testing.T) {
	s, _ := newStore(t)
	path := filepath.Join(s.dir, kekNextFile)
	if err := os.WriteFile(path, []byte(strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RekeyToFile(path); err == nil || !strings.Contains(err.Error(), "rename the file") {
		t.Errorf("got %v", err)
	}
	loadRing(t, s)
}

// What a passphrase was derived to is not printed with the store.
func TestStoreShowsNoDerivedKey(t *testing.T) {
	s := NewFileStore(t.TempDir(), "")
	s.cost.memory, s.cost.time = 64, 1
	passphrase := func() ([]byte, error) { return []byte("correct horse"), nil }
	s.Passphrase = passphrase
	if _, err := s.Init(); err != nil {
		t.Fatal(err)
	}
	secret, _ := passphrase()
	if _, err := s.RekeyToPassphrase(secret); err != nil {
		t.Fatal(err)
	}
	if len(s.derived) == 0 {
		t.Fatal("nothing was derived")
	}
	for _, key := range s.derived {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
			shown := fmt.Sprintf(verb, s)
			if strings.Contains(shown, fmt.Sprintf("%x", key)) || strings.Contains(shown, strings.Trim(fmt.Sprint(key), "[]")) || !strings.Contains(shown, s.dir) {
				t.Errorf("%s: %s", verb, shown)
			}
		}
	}
}
