// Package bounded holds tables of bounded size, whose entries expire.
package bounded

import "time"

// A Table holds up to a number of entries; to take one more it forgets the one not used for longest. Its memory
// grows with the entries up to that number, and where neither keys nor values hold pointers, the garbage
// collector does not look into it. It is not safe for concurrent use.
type Table[K comparable, V any] struct {
	size  int
	ttl   time.Duration
	index map[K]uint32
	// Entries are numbered from 1, and stand in chunks, so that growth copies none. Those in use are linked in
	// the order of their last use; number 0 is none.
	chunks         [][]entry[K, V]
	used           uint32 // entries that were ever in use
	free           uint32 // the first of those that were deleted; the next is its older one
	newest, oldest uint32
}

type entry[K comparable, V any] struct {
	key          K
	value        V
	expires      int64 // nanoseconds since 1970
	newer, older uint32
}

const chunkSize = 256 // entries

// New returns an empty table for size entries, at least 1, each of which expires ttl after it was last put.
func New[K comparable, V any](size int, ttl time.Duration) *Table[K, V] {
	return &Table[K, V]{size: size, ttl: ttl, index: map[K]uint32{}}
}

func (t *Table[K, V]) entry(n uint32) *entry[K, V] {
	return &t.chunks[(n-1)/chunkSize][(n-1)%chunkSize]
}

// Len returns the number of entries, expired ones among them.
func (t *Table[K, V]) Len() int { return len(t.index) }

// Get returns the value of a key, nil if there is none or it expired, and counts as a use of it. It may be changed
// in place until the table is changed.
func (t *Table[K, V]) Get(key K, now time.Time) *V {
	n := t.index[key]
	if n == 0 {
		return nil
	}
	e := t.entry(n)
	if now.UnixNano() >= e.expires {
		return nil
	}
	t.use(n)
	return &e.value
}

// Peek returns the value of a key, even if it expired, nil if there is none. It does not count as a use of it.
func (t *Table[K, V]) Peek(key K) *V {
	if n := t.index[key]; n != 0 {
		return &t.entry(n).value
	}
	return nil
}

// Renew begins the time of a key anew, and reports whether there is such a key.
func (t *Table[K, V]) Renew(key K, now time.Time) bool {
	n := t.index[key]
	if n != 0 {
		t.use(n)
		t.entry(n).expires = now.Add(t.ttl).UnixNano()
	}
	return n != 0
}

// Put sets the value of a key, and begins its time anew. It returns where the value is, as Get does.
func (t *Table[K, V]) Put(key K, value V, now time.Time) *V {
	n := t.index[key]
	if n == 0 {
		n = t.take()
		t.index[key] = n
		t.link(n)
	} else {
		t.use(n)
	}
	e := t.entry(n)
	e.key, e.value, e.expires = key, value, now.Add(t.ttl).UnixNano()
	return &e.value
}

// Full reports whether the next new key takes the place of an entry that did not expire.
func (t *Table[K, V]) Full(now time.Time) bool {
	return len(t.index) == t.size && now.UnixNano() < t.entry(t.oldest).expires
}

// Delete forgets a key.
func (t *Table[K, V]) Delete(key K) {
	n := t.index[key]
	if n == 0 {
		return
	}
	delete(t.index, key)
	t.unlink(n)
	*t.entry(n) = entry[K, V]{older: t.free}
	t.free = n
}

// take returns an entry that is not in use.
func (t *Table[K, V]) take() uint32 {
	if len(t.index) == t.size {
		t.Delete(t.entry(t.oldest).key)
	}
	if n := t.free; n != 0 {
		t.free = t.entry(n).older
		return n
	}
	if t.used%chunkSize == 0 {
		t.chunks = append(t.chunks, make([]entry[K, V], min(chunkSize, t.size-int(t.used))))
	}
	t.used++
	return t.used
}

// use makes an entry the newest.
func (t *Table[K, V]) use(n uint32) {
	if n != t.newest {
		t.unlink(n)
		t.link(n)
	}
}

func (t *Table[K, V]) link(n uint32) {
	e := t.entry(n)
	e.newer, e.older = 0, t.newest
	if t.newest != 0 {
		t.entry(t.newest).newer = n
	} else {
		t.oldest = n
	}
	t.newest = n
}

func (t *Table[K, V]) unlink(n uint32) {
	e := t.entry(n)
	if e.newer != 0 {
		t.entry(e.newer).older = e.older
	} else {
		t.newest = e.older
	}
	if e.older != 0 {
		t.entry(e.older).newer = e.newer
	} else {
		t.oldest = e.newer
	}
}
