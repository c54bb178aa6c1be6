package main

import (
	"fmt"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

// keysExport prints secrets: one key, or, with --for, what an endpoint needs that holds the keys of a suite
// itself.
func (a *app) keysExport(args []string) error {
	fs := a.flags("keys export")
	reveal := fs.Bool("reveal", false, "")
	suiteName, format := fs.String("for", "", ""), fs.String("format", "", "")
	rest, err := a.parse(fs, args, true)
	if err != nil {
		return err
	}
	one := *suiteName == ""
	switch {
	case one && len(rest) != 1:
		return usageError("keys export takes the ID of a key, or --for SUITE")
	case !one && len(rest) != 0:
		return usageError("keys export takes the ID of a key or --for SUITE, not both")
	case one && *format != "":
		return usageError("--format is for --for SUITE; one key is printed in hexadecimal")
	case !*reveal:
		return usageError("keys export prints secret keys: say --reveal if that is what you want")
	}
	if one {
		return a.exportKey(rest)
	}
	suite, err := cipher.ParseSuite(*suiteName)
	if err != nil {
		return usageError("--for: %w", err)
	}
	r, err := a.store().Load()
	if err != nil {
		return err
	}
	switch *format {
	case "", "json":
		text, err := r.Bundle(suite, time.Now())
		if err != nil {
			return err
		}
		defer clear(text)
		fmt.Fprintf(a.stdout, "%s\n", text)
	case "env":
		return a.exportEnv(r, suite)
	default:
		return usageError("--format knows json and env, not %q", *format)
	}
	return nil
}

func (a *app) exportKey(args []string) error {
	id, err := a.keyID(args, nil)
	if err != nil {
		return err
	}
	r, err := a.store().Load()
	if err != nil {
		return err
	}
	e, err := r.Lookup(id)
	if err != nil {
		return err
	}
	material := e.Key.Material()
	defer clear(material)
	fmt.Fprintf(a.stdout, "%x\n", material)
	return nil
}

// exportEnv prints the active key as variables of an environment.
func (a *app) exportEnv(r *keyring.Ring, suite cipher.Suite) error {
	k, err := r.Active(suite)
	if err != nil {
		return err
	}
	material := k.Material()
	defer clear(material)
	fmt.Fprintf(a.stdout, "CANDGW_KEY_ID=%v\nCANDGW_KEY_SUITE=%v\nCANDGW_KEY=%x\n", k.ID(), suite, material)
	return nil
}
