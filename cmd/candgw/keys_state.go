package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

func (a *app) keysActivate(args []string) error {
	return a.withGrace("keys activate", args, (*keyring.Editor).Activate)
}

func (a *app) keysRetire(args []string) error {
	return a.withGrace("keys retire", args, (*keyring.Editor).Retire)
}

func (a *app) keysRevoke(args []string) error {
	return a.withForce("keys revoke", args, (*keyring.Editor).Revoke)
}

func (a *app) keysRemove(args []string) error {
	return a.withForce("keys remove", args, (*keyring.Editor).Remove)
}

// withGrace is for what has a key decrypt for some time yet.
func (a *app) withGrace(name string, args []string, do func(*keyring.Editor, cipher.KeyID, time.Duration) error) error {
	fs := a.flags(name)
	grace := graceFlag(fs)
	id, err := a.keyID(a.arguments(fs, args, "ID"))
	if err != nil {
		return err
	}
	if *grace < 0 {
		return usageError("--grace %v is before now", *grace)
	}
	return a.edit(func(e *keyring.Editor) error { return do(e, id, *grace) })
}

func graceFlag(fs *flag.FlagSet) *time.Duration {
	return fs.Duration("grace", keyring.DefaultGrace, "")
}

// withForce is for what is not done to a key in use without it.
func (a *app) withForce(name string, args []string, do func(*keyring.Editor, cipher.KeyID, bool) error) error {
	fs := a.flags(name)
	force := fs.Bool("force", false, "")
	id, err := a.keyID(a.arguments(fs, args, "ID"))
	if err != nil {
		return err
	}
	err = a.edit(func(e *keyring.Editor) error { return do(e, id, *force) })
	if errors.Is(err, keyring.ErrInUse) {
		return fmt.Errorf("%w (--force)", err)
	}
	return err
}

// edit changes the ring that there is.
func (a *app) edit(change func(*keyring.Editor) error) error {
	store := a.store()
	if _, err := store.Load(); err != nil { // Update would begin a ring in a folder without one
		return err
	}
	_, err := store.Update(change)
	return err
}
