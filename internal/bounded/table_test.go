package bounded

import (
	"math/rand/v2"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestOldestMakesRoom: what is used, by Get or Put, stays longer.
func TestOldestMakesRoom(t *testing.T) {
	table := New[int, string](3, time.Hour)
	for i := range 3 {
		table.Put(i, "x", t0)
	}
	table.Get(0, t0)
	table.Put(1, "y", t0)
	table.Put(3, "x", t0)
	for i, want := range []bool{true, true, false, true} {
		if got := table.Get(i, t0) != nil; got != want {
			t.Errorf("%d is there: %v", i, got)
		}
	}
	if table.Len() != 3 {
		t.Errorf("%d entries", table.Len())
	}
}

func TestExpires(t *testing.T) {
	table := New[int, string](1, time.Hour)
	table.Put(1, "x", t0)
	last := t0.Add(time.Hour - 1)
	if table.Get(1, last) == nil || !table.Full(last) {
		t.Error("expired too early")
	}
	if end := t0.Add(time.Hour); table.Get(1, end) != nil || table.Full(end) {
		t.Error("did not expire")
	}
	table.Put(1, "x", last)
	if table.Get(1, t0.Add(time.Hour)) == nil {
		t.Error("putting it did not begin its time anew")
	}
}

// TestModel compares with the plainest table there is, over many random steps.
func TestModel(t *testing.T) {
	type model struct {
		key, value int
		expires    time.Time
	}
	for size := range 5 {
		size = size*size*40 + 1 // up to more than one chunk
		r := rand.New(rand.NewPCG(1, uint64(size)))
		table := New[int, int](size, time.Hour)
		var entries []model // the newest last
		now := t0
		find := func(key int) int {
			for i, e := range entries {
				if e.key == key {
					return i
				}
			}
			return -1
		}
		toEnd := func(i int) {
			e := entries[i]
			entries = append(append(entries[:i:i], entries[i+1:]...), e)
		}
		for step := range 20_000 {
			now = now.Add(time.Duration(r.Int64N(int64(time.Hour) / int64(size))))
			key := r.IntN(2*size + 1)
			i := find(key)
			switch r.IntN(4) {
			case 0:
				if table.Delete(key); i >= 0 {
					entries = append(entries[:i:i], entries[i+1:]...)
				}
			case 1:
				got := table.Get(key, now)
				there := i >= 0 && now.Before(entries[i].expires)
				if there != (got != nil) || there && *got != entries[i].value {
					t.Fatalf("size %d, step %d: got %v", size, step, got)
				}
				if there {
					toEnd(i)
				}
			default:
				if i < 0 && len(entries) == size {
					if full := now.Before(entries[0].expires); table.Full(now) != full {
						t.Fatalf("size %d, step %d: full: %v", size, step, !full)
					}
					entries = entries[1:]
				}
				if i >= 0 {
					entries = append(entries[:i:i], entries[i+1:]...)
				}
				entries = append(entries, model{key, step, now.Add(time.Hour)})
				if got := table.Put(key, step, now); *got != step {
					t.Fatalf("size %d, step %d: put %d", size, step, *got)
				}
			}
			if table.Len() != len(entries) {
				t.Fatalf("size %d, step %d: %d entries, want %d", size, step, table.Len(), len(entries))
			}
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	table := New[[16]byte, [32]byte](100, time.Hour)
	fill := func(i byte) {
		for j := range 150 {
			table.Put([16]byte{i, byte(j)}, [32]byte{}, t0)
		}
	}
	fill(0)
	i := byte(0)
	if n := testing.AllocsPerRun(100, func() {
		table.Get([16]byte{i, 149}, t0)
		table.Put([16]byte{i, 149}, [32]byte{1}, t0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
