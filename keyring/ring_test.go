package keyring

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

const pwd = "MpiyNBrY/PGEqhMFOPRVzGsf"

var (
	addr = netip.MustParseAddr("10.77.1.2")
	t0   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func newKey(t testing.TB, suite cipher.Suite) *cipher.Key {
	t.Helper()
	k, err := cipher.GenerateKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ringOf makes a ring of one entry a state, all of the default suite.
func ringOf(t testing.TB, entries ...Entry) *Ring {
	t.Helper()
	r, err := newRing(1, entries)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func opener(t testing.TB, k *cipher.Key) *cipher.Opener {
	t.Helper()
	n, err := k.Encrypt(addr, pwd, nil)
	if err != nil {
		t.Fatal(err)
	}
	var o cipher.Opener
	if !cipher.ReadName(&o, n.String()) {
		t.Fatalf("%v is no name", n)
	}
	return &o
}

func TestOpenByState(t *testing.T) {
	until := t0.Add(time.Hour)
	for _, tt := range []struct {
		name  string
		state State
		until time.Time
		now   time.Time
		want  error
	}{
		{"standby", Standby, time.Time{}, t0, nil},
		{"active", Active, time.Time{}, t0, nil},
		{"retired, inside its window", Retired, until, until.Add(-1), nil},
		{"retired, at the end of its window", Retired, until, until, cipher.ErrNotOpened},
		{"revoked", Revoked, time.Time{}, t0, ErrRevoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKey(t, cipher.AESUUID)
			r := ringOf(t, Entry{Key: newKey(t, cipher.AESUUID), State: Standby, Created: t0}, Entry{Key: k, State: tt.state, Created: t0, AcceptUntil: tt.until})
			got, err := r.Open(opener(t, k), "", tt.now)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err == nil && (got.Addr != addr || got.Key != k || !got.Until.Equal(tt.until)) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestOpenDraftSuites(t *testing.T) {
	for _, suite := range cipher.Suites()[1:] {
		k := newKey(t, suite)
		r := ringOf(t, Entry{Key: k, State: Active, Created: t0}, Entry{Key: newKey(t, cipher.AESUUID), State: Active, Created: t0})
		if got, err := r.Open(opener(t, k), pwd, t0); err != nil || got.Addr != addr {
			t.Errorf("%v: %+v, %v", suite, got, err)
		}
		if _, err := r.Open(opener(t, k), "", t0); !errors.Is(err, cipher.ErrPasswordNeeded) {
			t.Errorf("%v without ice-pwd: %v", suite, err)
		}
	}
}

func TestOpenAllocatesNothing(t *testing.T) {
	k := newKey(t, cipher.AESUUID)
	r := ringOf(t, Entry{Key: newKey(t, cipher.AESUUID), State: Active, Created: t0}, Entry{Key: k, State: Retired, Created: t0, AcceptUntil: t0.Add(time.Hour)})
	for name, o := range map[string]*cipher.Opener{"ours": opener(t, k), "foreign": opener(t, newKey(t, cipher.AESUUID))} {
		if n := testing.AllocsPerRun(100, func() { r.Open(o, "", t0) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestInvariants(t *testing.T) {
	k, k2 := newKey(t, cipher.AESUUID), newKey(t, cipher.AESUUID)
	for name, entries := range map[string][]Entry{
		"no key":                    {{Key: nil, State: Active, Created: t0}},
		"no state":                  {{Key: k, State: 0, Created: t0}},
		"unknown state":             {{Key: k, State: 9, Created: t0}},
		"no time":                   {{Key: k, State: Active, Created: time.Time{}}},
		"twice":                     {{Key: k, State: Active, Created: t0}, {Key: k, State: Standby, Created: t0}},
		"two active":                {{Key: k, State: Active, Created: t0}, {Key: k2, State: Active, Created: t0}},
		"retired for ever":          {{Key: k, State: Retired, Created: t0}},
		"active for a while":        {{Key: k, State: Active, Created: t0, AcceptUntil: t0}},
		"standby accepted until t0": {{Key: k, State: Standby, Created: t0, AcceptUntil: t0}},
	} {
		if _, err := newRing(1, entries); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEditor(t *testing.T) {
	first, second, gcm := newKey(t, cipher.AESUUID), newKey(t, cipher.AESUUID), newKey(t, cipher.AESGCM)
	base := ringOf(t, Entry{Key: first, State: Active, Created: t0})
	e := base.Edit(t0)
	for _, step := range []struct {
		name string
		err  error
		want error
	}{
		{"add standby", e.Add(second, Standby), nil},
		{"add active of another suite", e.Add(gcm, Active), nil},
		{"add again", e.Add(second, Standby), ErrDuplicate},
		{"add retired", e.Add(newKey(t, cipher.AESUUID), Retired), ErrInvalid},
		{"activate", e.Activate(second.ID(), DefaultGrace), nil},
		{"activate again", e.Activate(second.ID(), DefaultGrace), nil},
		{"activate nothing", e.Activate(cipher.KeyID{1}, DefaultGrace), ErrNotFound},
	} {
		if !errors.Is(step.err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, step.err, step.want)
		}
	}
	r, err := e.Ring()
	if err != nil || r.Revision() != base.Revision()+1 {
		t.Fatal(r, err)
	}
	if k, err := r.Active(cipher.AESUUID); err != nil || k != second {
		t.Errorf("active: %v, %v", k, err)
	}
	if k, err := r.Active(cipher.AESGCM); err != nil || k != gcm {
		t.Errorf("active gcm: %v, %v", k, err)
	}
	if _, err := r.Active(cipher.AESCBCHMAC); !errors.Is(err, ErrNoActiveKey) {
		t.Errorf("no key of aes-cbc-hmac: %v", err)
	}
	if old, err := r.Lookup(first.ID()); err != nil || old.State != Retired || !old.AcceptUntil.Equal(t0.Add(DefaultGrace)) {
		t.Errorf("the key before: %+v, %v", old, err)
	}
	// The snapshot that was edited is as it was.
	if k, err := base.Active(cipher.AESUUID); err != nil || k != first {
		t.Errorf("the old ring changed: %v, %v", k, err)
	}
	// Back again: the retired key is active, and has no end any more.
	e = r.Edit(t0)
	if err := e.Activate(first.ID(), DefaultGrace); err != nil {
		t.Fatal(err)
	}
	if r, err = e.Ring(); err != nil {
		t.Fatal(err)
	}
	if old, _ := r.Lookup(first.ID()); old.State != Active || !old.AcceptUntil.IsZero() {
		t.Errorf("reactivated: %+v", old)
	}
	// A revoked key never comes back.
	revoked := ringOf(t, Entry{Key: first, State: Revoked, Created: t0})
	if err := revoked.Edit(t0).Activate(first.ID(), DefaultGrace); !errors.Is(err, ErrRevoked) {
		t.Errorf("activating a revoked key: %v", err)
	}
}

func TestLiveStartsEmpty(t *testing.T) {
	var l Live
	if r := l.Load(); r == nil || r.Revision() != 0 {
		t.Errorf("got %v", r)
	}
	if _, err := l.Load().Active(cipher.AESUUID); !errors.Is(err, ErrNoActiveKey) {
		t.Error(err)
	}
}
