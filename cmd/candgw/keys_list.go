package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

// A keyJSON is one element of 'keys list --json'. Times that are not known or do not apply are null.
type keyJSON struct {
	ID          cipher.KeyID  `json:"id"`
	Suite       cipher.Suite  `json:"suite"`
	State       keyring.State `json:"state"`
	Created     time.Time     `json:"created"`
	ActiveSince *time.Time    `json:"active_since"`
	AcceptUntil *time.Time    `json:"accept_until"`
	// LastOpened is the minute in which a node last opened a name with it.
	LastOpened *time.Time `json:"last_opened"`
	// NextRotation is when an active key is to be replaced by the clock.
	NextRotation *time.Time `json:"next_rotation"`
}

func (a *app) keysList(args []string) error {
	fs := a.flags("keys list")
	asJSON := fs.Bool("json", false, "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	store := a.store()
	r, err := store.Load()
	if err != nil {
		return err
	}
	status, err := store.Status()
	if err != nil {
		fmt.Fprintln(a.stderr, "candgw:", err)
	}
	list := []keyJSON{}
	for e := range r.Entries() {
		k := keyJSON{
			ID: e.Key.ID(), Suite: e.Key.Suite(), State: e.State, Created: e.Created,
			ActiveSince: orNull(e.ActiveSince), AcceptUntil: orNull(e.AcceptUntil), LastOpened: orNull(status.LastOpened[e.Key.ID()]),
		}
		if e.State == keyring.Active {
			k.NextRotation = orNull(status.NextRotation[e.Key.Suite()])
		}
		list = append(list, k)
	}
	if *asJSON {
		return json.NewEncoder(a.stdout).Encode(list)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSUITE\tSTATE\tCREATED\tACTIVE SINCE\tACCEPT UNTIL\tLAST OPENED\tNEXT ROTATION")
	for _, k := range list {
		fmt.Fprintf(w, "%v\t%v\t%v\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Suite, k.State,
			orDash(&k.Created), orDash(k.ActiveSince), orDash(k.AcceptUntil), orDash(k.LastOpened), orDash(k.NextRotation))
	}
	return w.Flush()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orDash(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}
