package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"github.com/candgw/candgw/keyring"
)

// keysRekey seals the key ring under another key-encryption key.
func (a *app) keysRekey(args []string) error {
	fs := a.flags("keys rekey")
	file, random := fs.String("kek-file", "", ""), fs.Bool("new", false, "")
	passphrase, passphraseFile := fs.Bool("passphrase", false, ""), fs.String("passphrase-file", "", "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	byPassphrase := *passphrase || *passphraseFile != ""
	ways := 0
	for _, way := range []bool{*file != "", *random, byPassphrase} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return usageError("keys rekey wants one of --kek-file FILE, --passphrase and --new")
	}
	store := a.store()
	_, err := store.Load() // asks for the passphrase now in use before it asks for a new one
	if err != nil {
		return err
	}
	switch {
	case *random:
		_, err = store.RekeyToNew()
	case byPassphrase:
		var secret []byte
		if secret, err = newPassphrase(*passphraseFile); err == nil {
			defer clear(secret)
			_, err = store.RekeyToPassphrase(secret)
		}
	default:
		_, err = store.RekeyToFile(*file)
	}
	if err != nil {
		return err
	}
	if err := a.tellRekey(store.KEKFile(), *file); err != nil {
		return err
	}
	if byPassphrase {
		fmt.Fprintln(a.stdout, "Who opens it is asked for the passphrase; without a terminal it is read from the file that $CANDGW_PASSPHRASE_FILE names.")
	}
	return nil
}

// tellRekey says where the key is now, and what to do about a different place before. File is the one that
// was named, "" for the folder's own.
func (a *app) tellRekey(before, file string) error {
	after := file
	if after == "" {
		after = filepath.Join(a.dataDir, "kek")
	}
	after, err := filepath.Abs(after)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "The key ring is sealed under the key in", after)
	if before, err = filepath.Abs(before); err != nil || before == after {
		return err
	}
	switch {
	case file != "":
		fmt.Fprintf(a.stdout, "Now set CANDGW_KEK_FILE=%s for every candgw that uses this folder, or kek_file in its configuration, and start serve again.\n", after)
	case os.Getenv("CREDENTIALS_DIRECTORY") != "" && filepath.Dir(before) == filepath.Clean(os.Getenv("CREDENTIALS_DIRECTORY")):
		fmt.Fprintln(a.stdout, "Now take candgw-kek out of the credentials of the service, and start it again.")
	default:
		fmt.Fprintln(a.stdout, "Now unset CANDGW_KEK_FILE for every candgw that uses this folder, and kek_file in its configuration, and start serve again.")
	}
	return nil
}

// keysRestore makes a backup of the key ring the current one.
func (a *app) keysRestore(args []string) error {
	args, err := a.arguments(a.flags("keys restore"), args, "FILE")
	if err != nil {
		return err
	}
	r, err := a.store().Restore(args[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "The keys of %s are revision %d of the key ring.\n", args[0], r.Revision())
	return nil
}

// askPassphrase returns the function that gets the passphrase of a key ring: from a file, or, if path is
// empty, once, from whoever is at the terminal.
func askPassphrase(path string) func() ([]byte, error) {
	asked := false
	return func() ([]byte, error) {
		if path != "" {
			return readPassphrase(path)
		}
		if asked {
			return nil, errors.New("it is another one than at the start: start this process again, or name a file that holds it in $CANDGW_PASSPHRASE_FILE")
		}
		asked = true
		passphrase, err := promptPassphrase("Passphrase of the key ring: ")
		if errors.Is(err, errNoTerminal) {
			err = fmt.Errorf("%w: name a file that holds it in $CANDGW_PASSPHRASE_FILE", err)
		}
		return passphrase, err
	}
}

func readPassphrase(path string) ([]byte, error) {
	raw, err := keyring.ReadSecret(path)
	return bytes.TrimSuffix(raw, []byte("\n")), err
}

// newPassphrase reads a passphrase that is to be used from now on.
func newPassphrase(path string) ([]byte, error) {
	if path != "" {
		return readPassphrase(path)
	}
	first, err := promptPassphrase("New passphrase: ")
	if errors.Is(err, errNoTerminal) {
		return nil, fmt.Errorf("%w for a new passphrase: give one with --passphrase-file FILE", err)
	} else if err != nil {
		return nil, err
	}
	again, err := promptPassphrase("The same again: ")
	defer clear(again)
	if err == nil && !bytes.Equal(first, again) {
		err = errors.New("the two passphrases differ: nothing is changed")
	}
	if err != nil {
		clear(first)
		return nil, err
	}
	return first, nil
}

var errNoTerminal = errors.New("there is no terminal to ask on")

// promptPassphrase asks at the terminal, whatever standard input is.
func promptPassphrase(prompt string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	defer tty.Close()
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return nil, errNoTerminal
	}
	// Whoever interrupts it is not to be left with a terminal that shows nothing.
	stop, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	defer close(done)
	go func() {
		select {
		case <-stop:
			term.Restore(int(tty.Fd()), before)
			os.Exit(1)
		case <-done:
		}
	}()
	fmt.Fprint(tty, prompt)
	defer fmt.Fprintln(tty)
	return term.ReadPassword(int(tty.Fd()))
}
