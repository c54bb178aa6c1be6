package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

func (a *app) keys(args []string) error {
	verbs := map[string]func([]string) error{
		"init": a.keysInit, "generate": a.keysGenerate, "import": a.keysImport, "list": a.keysList,
		"activate": a.keysActivate, "retire": a.keysRetire, "revoke": a.keysRevoke, "remove": a.keysRemove,
		"rotate": a.keysRotate, "export": a.keysExport, "rekey": a.keysRekey, "restore": a.keysRestore,
	}
	args, err := a.parse(a.flags("keys"), args, false)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usageError("keys wants init, generate, import, list, activate, retire, revoke, remove, rotate, export, rekey or restore")
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

// maxKeyText is longer than any key in any form, and than a bundle of a thousand.
const maxKeyText = 1 << 20

func (a *app) keysImport(args []string) error {
	fs := a.flags("keys import")
	suiteName, stateName := fs.String("suite", "", ""), fs.String("state", "", "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(a.stdin, maxKeyText))
	if err != nil {
		return err
	}
	defer clear(text)
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if *suiteName != "" || *stateName != "" {
			return usageError("a bundle tells suite and state of its keys: leave --suite and --state out")
		}
		return a.importBundle(text)
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

// importBundle puts in what 'keys export --format json' printed.
func (a *app) importBundle(text []byte) error {
	bundle, err := keyring.ParseBundle(text)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if _, err := a.store().Update(func(e *keyring.Editor) error { e.Import(bundle); return nil }); err != nil {
		return err
	}
	for _, e := range bundle {
		fmt.Fprintln(a.stdout, e.Key.ID())
	}
	return nil
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
