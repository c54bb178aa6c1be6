package keyring

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

// A modelKey is what the model knows of a key: no more than docs/keys.md says.
type modelKey struct {
	suite cipher.Suite
	state State
	until time.Time
}

// A model is the life of keys, told as simply as can be.
type model map[cipher.KeyID]modelKey

func (m model) active(suite cipher.Suite) (cipher.KeyID, bool) {
	for id, k := range m {
		if k.state == Active && k.suite == suite {
			return id, true
		}
	}
	return cipher.KeyID{}, false
}

// do does a verb, and returns the error that it ends with.
func (m model) do(verb string, id cipher.KeyID, now time.Time, grace time.Duration, force bool) error {
	k, ok := m[id]
	if !ok {
		return ErrNotFound
	}
	switch verb {
	case "activate":
		if k.state == Revoked {
			return ErrRevoked
		}
		if k.state == Active {
			return nil
		}
		if old, ok := m.active(k.suite); ok {
			m[old] = modelKey{k.suite, Retired, now.Add(grace)}
		}
		m[id] = modelKey{k.suite, Active, time.Time{}}
	case "retire":
		if k.state == Active {
			return ErrInUse
		}
		if k.state == Revoked {
			return ErrRevoked
		}
		m[id] = modelKey{k.suite, Retired, now.Add(grace)}
	case "revoke":
		if k.state == Active && !force {
			return ErrInUse
		}
		m[id] = modelKey{k.suite, Revoked, time.Time{}}
	case "remove":
		if !force && (k.state == Active || k.state == Retired && now.Before(k.until)) {
			return ErrInUse
		}
		delete(m, id)
	}
	return nil
}

// TestModel drives random verbs against the model, at random times of a clock that goes on, and compares
// the whole ring, and what it opens, after each.
func TestModel(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 0))
		now := t0
		ring, want := &Ring{}, model{}
		names := map[cipher.KeyID]*cipher.Opener{} // of every key that ever was
		for step := range 300 {
			now = now.Add(time.Duration(random.IntN(3600)) * time.Second)
			var ids []cipher.KeyID
			for id := range names {
				ids = append(ids, id)
			}
			e := ring.Edit(now)
			verb := []string{"generate", "generate active", "activate", "retire", "revoke", "remove", "rotate"}[random.IntN(7)]
			grace, force := time.Duration(random.IntN(10))*time.Hour, random.IntN(4) == 0
			var id cipher.KeyID
			var got, wrong error
			switch {
			case verb == "rotate":
				suite := cipher.Suites()[random.IntN(2)]
				next, err := e.addNext(Rotation{Suite: suite})
				if err != nil {
					t.Fatal(err)
				}
				id = next.Key.ID()
				if _, ok := want[id]; !ok {
					names[id], want[id] = opener(t, next.Key), modelKey{suite, Standby, time.Time{}}
				}
				if random.IntN(2) == 0 {
					got, wrong = e.Activate(id, grace), want.do("activate", id, now, grace, force)
				}
			case verb[0] == 'g' || len(ids) == 0:
				k := newKey(t, cipher.Suites()[random.IntN(2)])
				id = k.ID()
				names[id], want[id] = opener(t, k), modelKey{k.Suite(), Standby, time.Time{}}
				if verb == "generate active" {
					got, wrong = e.Add(k, Active), want.do("activate", id, now, DefaultGrace, force)
				} else {
					got = e.Add(k, Standby)
				}
			default:
				id = ids[random.IntN(len(ids))]
				wrong = want.do(verb, id, now, grace, force)
				switch verb {
				case "activate":
					got = e.Activate(id, grace)
				case "retire":
					got = e.Retire(id, grace)
				case "revoke":
					got = e.Revoke(id, force)
				case "remove":
					got = e.Remove(id, force)
				}
			}
			what := fmt.Sprintf("seed %d, step %d: %s %v, grace %v, force %v", seed, step, verb, id, grace, force)
			if !errors.Is(got, wrong) {
				t.Fatalf("%s: got %v, want %v", what, got, wrong)
			}
			next, err := e.Ring()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if next.Revision() != ring.Revision()+1 {
				t.Fatalf("%s: revision %d after %d", what, next.Revision(), ring.Revision())
			}
			ring = next
			compareWithModel(t, what, ring, want, names, now)
		}
	}
}

func compareWithModel(t *testing.T, what string, ring *Ring, want model, names map[cipher.KeyID]*cipher.Opener, now time.Time) {
	t.Helper()
	if len(ring.entries) != len(want) {
		t.Fatalf("%s: %d keys, want %d", what, len(ring.entries), len(want))
	}
	for _, e := range ring.entries {
		w, ok := want[e.Key.ID()]
		if !ok || e.State != w.state || !e.AcceptUntil.Equal(w.until) || e.State == Active && e.ActiveSince.IsZero() {
			t.Fatalf("%s: %+v, want %+v", what, e, w)
		}
	}
	for _, suite := range cipher.Suites()[:2] {
		id, ok := want.active(suite)
		k, err := ring.Active(suite)
		if ok != (err == nil) || ok && k.ID() != id {
			t.Fatalf("%s: %v is active, %v; want %v", what, k, err, id)
		}
	}
	for id, o := range names {
		var opens error
		switch w, ok := want[id]; {
		case ok && w.state == Revoked:
			opens = ErrRevoked
		case !ok, w.state == Retired && !now.Before(w.until):
			opens = cipher.ErrNotOpened
		}
		if _, err := ring.Open(o, pwd, now); !errors.Is(err, opens) {
			t.Fatalf("%s: a name of %v: %v, want %v", what, id, err, opens)
		}
	}
}
