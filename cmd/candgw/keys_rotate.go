package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

// defaultSettle is much longer than any node takes to load a ring from a folder that it shares.
const defaultSettle = 10 * time.Second

// keysRotate replaces the active key of a suite. Interrupted, and run again, it goes on from where it
// stood.
func (a *app) keysRotate(args []string) error {
	fs := a.flags("keys rotate")
	r := keyring.Rotation{Suite: cipher.AESUUID}
	fs.TextVar(&r.Suite, "suite", r.Suite, "")
	fs.DurationVar(&r.Settle, "settle", defaultSettle, "")
	fs.DurationVar(&r.Grace, "grace", keyring.DefaultGrace, "")
	now, asJSON := fs.Bool("now", false, ""), fs.Bool("json", false, "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	switch {
	case r.Settle < 0 || r.Grace < 0:
		return usageError("--settle and --grace are times from now on")
	case *now:
		r.Settle = 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var entries []keyring.Entry
	err := a.store().Rotate(ctx, r, func(e keyring.Entry, wait time.Duration) {
		entries = append(entries, e)
		if !*asJSON {
			fmt.Fprintln(a.stdout, progress(e, wait))
		}
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: the new key stays on standby; run the command again to go on")
	}
	if err != nil || !*asJSON {
		return err
	}
	return json.NewEncoder(a.stdout).Encode(rotationJSON(entries))
}

// progress tells what became of a key.
func progress(e keyring.Entry, wait time.Duration) string {
	switch {
	case e.State == keyring.Retired:
		return fmt.Sprintf("%v: retired, opens names until %s", e.Key, e.AcceptUntil.Format(time.RFC3339))
	case wait > 0:
		return fmt.Sprintf("%v: %v; every node has %v to load it", e.Key, e.State, wait.Round(time.Second))
	}
	return fmt.Sprintf("%v: %v", e.Key, e.State)
}

// rotatedJSON is what 'keys rotate --json' prints.
type rotatedJSON struct {
	Suite  cipher.Suite `json:"suite"`
	Active cipher.KeyID `json:"active"`
	Since  time.Time    `json:"active_since"`
	// Retired is the key before, and AcceptUntil when it stops to open names; null if there was none, or
	// if another process did this step.
	Retired     *cipher.KeyID `json:"retired"`
	AcceptUntil *time.Time    `json:"accept_until"`
}

func rotationJSON(entries []keyring.Entry) rotatedJSON {
	var out rotatedJSON
	for _, e := range entries {
		id := e.Key.ID()
		switch e.State {
		case keyring.Active:
			out.Suite, out.Active, out.Since = e.Key.Suite(), id, e.ActiveSince
		case keyring.Retired:
			out.Retired, out.AcceptUntil = &id, &e.AcceptUntil
		}
	}
	return out
}
