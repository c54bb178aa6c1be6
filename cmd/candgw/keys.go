package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

func (a *app) keys(args []string) error {
	verbs := map[string]func([]string) error{
		"init": a.keysInit, "generate": a.keysGenerate, "import": a.keysImport,
		"list": a.keysList, "activate": a.keysActivate, "export": a.keysExport,
	}
	args, err := a.parse(a.flags("keys"), args, false)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usageError("keys wants init, generate, import, list, activate or export")
	}
	verb, ok := verbs[args[0]]
	if !ok {
		return usageError("there is no command 'keys %s'", args[0])
	}
	return verb(args[1:])
}

func (a *app) keysInit(args []string) error {
	if _, err := a.arguments(a.flags("keys init"), args); err != nil {
		return err
	}
	r, err := a.store().Init()
	if err != nil {
		return err
	}
	for e := range r.Entries() {
		fmt.Fprintln(a.stdout, e.Key.ID())
	}
	return nil
}

func (a *app) keysGenerate(args []string) error {
	fs := a.flags("keys generate")
	suite, state := cipher.AESUUID, keyring.Standby
	fs.TextVar(&suite, "suite", suite, "")
	fs.TextVar(&state, "state", state, "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	k, err := cipher.GenerateKey(suite)
	if err != nil {
		return err
	}
	return a.addKey(k, state)
}

// maxKeyText is longer than any key in any form.
const maxKeyText = 1 << 10

func (a *app) keysImport(args []string) error {
	fs := a.flags("keys import")
	suiteName, stateName := fs.String("suite", "", ""), fs.String("state", "", "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	if *suiteName == "" || *stateName == "" {
		return usageError("keys import wants --suite and --state, and the key on standard input")
	}
	suite, err := cipher.ParseSuite(*suiteName)
	if err != nil {
		return usageError("%w", err)
	}
	state, err := keyring.ParseState(*stateName)
	if err != nil {
		return usageError("%w", err)
	}
	text, err := io.ReadAll(io.LimitReader(a.stdin, maxKeyText))
	if err != nil {
		return err
	}
	defer clear(text)
	material, err := keyring.ParseMaterial(text)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	defer clear(material)
	k, err := cipher.NewKey(suite, material)
	if err != nil {
		return err
	}
	return a.addKey(k, state)
}

func (a *app) addKey(k *cipher.Key, state keyring.State) error {
	if state != keyring.Standby && state != keyring.Active {
		return usageError("a new key is standby or active, not %v", state)
	}
	if _, err := a.store().Update(func(e *keyring.Editor) error { return e.Add(k, state) }); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, k.ID())
	return nil
}

// A keyJSON is one element of 'keys list --json'.
type keyJSON struct {
	ID          cipher.KeyID  `json:"id"`
	Suite       cipher.Suite  `json:"suite"`
	State       keyring.State `json:"state"`
	Created     time.Time     `json:"created"`
	AcceptUntil *time.Time    `json:"accept_until"` // null but for retired keys
}

func (a *app) keysList(args []string) error {
	fs := a.flags("keys list")
	asJSON := fs.Bool("json", false, "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	r, err := a.store().Load()
	if err != nil {
		return err
	}
	list := []keyJSON{}
	for e := range r.Entries() {
		k := keyJSON{e.Key.ID(), e.Key.Suite(), e.State, e.Created, nil}
		if !e.AcceptUntil.IsZero() {
			k.AcceptUntil = &e.AcceptUntil
		}
		list = append(list, k)
	}
	if *asJSON {
		return json.NewEncoder(a.stdout).Encode(list)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSUITE\tSTATE\tCREATED\tACCEPT UNTIL")
	for _, k := range list {
		until := "-"
		if k.AcceptUntil != nil {
			until = k.AcceptUntil.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%v\t%v\t%v\t%s\t%s\n", k.ID, k.Suite, k.State, k.Created.Format(time.RFC3339), until)
	}
	return w.Flush()
}

func (a *app) keysActivate(args []string) error {
	id, err := a.keyID(a.arguments(a.flags("keys activate"), args, "ID"))
	if err != nil {
		return err
	}
	store := a.store()
	if _, err := store.Load(); err != nil { // Update would begin a ring in a folder without one
		return err
	}
	_, err = store.Update(func(e *keyring.Editor) error { return e.Activate(id) })
	return err
}

func (a *app) keysExport(args []string) error {
	fs := a.flags("keys export")
	reveal := fs.Bool("reveal", false, "")
	id, err := a.keyID(a.arguments(fs, args, "ID"))
	if err != nil {
		return err
	}
	if !*reveal {
		return usageError("keys export prints the secret key: say --reveal if that is what you want")
	}
	r, err := a.store().Load()
	if err != nil {
		return err
	}
	e, err := r.Lookup(id)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, hex.EncodeToString(e.Key.Material()))
	return nil
}

// keyID parses the only argument of a command.
func (a *app) keyID(args []string, err error) (cipher.KeyID, error) {
	if err != nil {
		return cipher.KeyID{}, err
	}
	id, err := cipher.ParseKeyID(args[0])
	if err != nil {
		return cipher.KeyID{}, usageError("%w", err)
	}
	return id, nil
}
