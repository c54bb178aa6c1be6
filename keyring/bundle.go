package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/candgw/candgw/cipher"
)

// ErrBundle says that a text is no bundle of keys.
var ErrBundle = errors.New("not a bundle of keys")

// A bundle is what an endpoint needs that holds the keys of a suite itself. It holds secrets.
type bundleJSON struct {
	Suite cipher.Suite    `json:"suite"`
	Keys  []bundleKeyJSON `json:"keys"`
}

type bundleKeyJSON struct {
	ID    cipher.KeyID `json:"id"`
	State State        `json:"state"`
	// Key is the material, in base64.
	Key         []byte    `json:"key"`
	Created     time.Time `json:"created"`
	ActiveSince time.Time `json:"active_since,omitzero"`
	// AcceptUntil is when a retired key stops to open names.
	AcceptUntil time.Time `json:"accept_until,omitzero"`
}

// Bundle returns the keys of a suite that decrypt, the active one first, as JSON in one line. It is for
// endpoints that hold them, and for [ParseBundle]. The error is [ErrNoActiveKey].
func (r *Ring) Bundle(suite cipher.Suite, now time.Time) ([]byte, error) {
	if _, err := r.Active(suite); err != nil {
		return nil, err
	}
	out := bundleJSON{Suite: suite}
	for _, e := range r.entries {
		if e.Key.Suite() == suite && e.decrypts(now) {
			out.Keys = append(out.Keys, bundleKeyJSON{e.Key.ID(), e.State, e.Key.Material(), e.Created, e.ActiveSince, e.AcceptUntil})
		}
	}
	defer func() {
		for _, k := range out.Keys {
			clear(k.Key)
		}
	}()
	return json.Marshal(out)
}

// ParseBundle reads what [Ring.Bundle] returns. The error is [ErrBundle]; it tells nothing of the text.
func ParseBundle(text []byte) ([]Entry, error) {
	var in bundleJSON
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, fmt.Errorf("%w: it is not the JSON that 'candgw keys export --format json' writes", ErrBundle)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows it", ErrBundle)
	}
	var out []Entry
	for i, k := range in.Keys {
		key, err := cipher.NewKey(in.Suite, k.Key)
		clear(k.Key)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: key %d: %w", ErrBundle, i+1, err)
		case key.ID() != k.ID:
			return nil, fmt.Errorf("%w: key %d has not the id %v", ErrBundle, i+1, k.ID)
		}
		out = append(out, Entry{Key: key, State: k.State, Created: k.Created, ActiveSince: k.ActiveSince, AcceptUntil: k.AcceptUntil})
	}
	if _, err := newRing(0, out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return out, nil
}

// Import puts in the keys of a bundle that the ring does not have. Its active key becomes active, unless the
// ring has it revoked, and another one of the suite is retired for [DefaultGrace].
func (e *Editor) Import(bundle []Entry) {
	for _, x := range bundle {
		if has := e.find(x.Key.ID()); has != nil {
			if x.State == Active && has.State != Revoked {
				e.Activate(x.Key.ID(), DefaultGrace) // which cannot fail
			}
			continue
		}
		if old := activeOf(e.entries, x.Key.Suite()); x.State == Active && old != nil {
			old.State, old.AcceptUntil = Retired, e.soon.Add(DefaultGrace)
		}
		e.entries = append(e.entries, x)
	}
}
