// Candgw conceals the addresses in WebRTC signaling and answers for the names that it puts in their
// place.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/keyring"
)

const usage = `Candgw encrypts the host addresses in WebRTC signaling into .local names, and
answers DNS and mDNS lookups of these names inside the enterprise.

Usage:

    candgw serve [--policy PATH] [--dns ADDR] [--api ADDR] [--api-token-file FILE]
                 [--mdns-interface IF,...] [--zone ZONE,...]
    candgw encrypt [--policy PATH] [--client ADDR] [--origin URL] [--suite S]
                   [--report json] [--mdns-interface IF,...] < offer.sdp
    candgw decrypt [--policy PATH] [--client ADDR] [--origin URL]
                   [--report json] < offer.sdp
    candgw resolve NAME [--ice-pwd PWD]
    candgw keys init
    candgw keys generate [--suite S] [--state standby|active]
    candgw keys import --suite S --state standby|active < key
    candgw keys import < bundle.json
    candgw keys list [--json]
    candgw keys rotate [--suite S] [--settle 10s] [--grace 24h] [--now] [--json]
    candgw keys activate ID [--grace 24h]
    candgw keys retire ID [--grace 24h]
    candgw keys revoke ID [--force]
    candgw keys remove ID [--force]
    candgw keys export ID --reveal
    candgw keys export --for SUITE [--format json|env] --reveal
    candgw keys rekey --kek-file FILE | --passphrase | --passphrase-file FILE | --new
    candgw keys restore FILE
    candgw policy check PATH... [--json]
    candgw policy explain [--policy PATH] [--client ADDR] [--origin URL] < offer.sdp
    candgw policy explain [--policy PATH] --lookup ADDR --from ADDR [--on-link]
    candgw policy fmt [--check] [--diff] PATH...
    candgw policy test PATH... [-v]
    candgw config check FILE...
    candgw extension policy --gateway URL... [--browser chrome|chromium|edge|firefox]
                 [--id ID] [--update-url URL | --install-url URL]
                 [--site PATTERN...] [--exclude PATTERN...] [--budget 300ms]
    candgw doctor [--peer ADDR[:PORT]] [--json] [FLAG OF SERVE...]
    candgw version

Every command takes --config FILE, which says all that the flags of serve say and
when keys are rotated; a flag goes before the file.

Every command takes --data-dir DIR, the folder that holds the key ring; else it
is that of the file, $CANDGW_DATA_DIR, or %s.
$CANDGW_KEK_FILE names the file of the key that the ring is sealed with; else it
is the systemd credential candgw-kek, or the file kek in the data folder. Where a
passphrase makes that key, $CANDGW_PASSPHRASE_FILE names the file that holds it.

Policies are a file, or a folder of files *.hcl and *.hcl.json; without --policy
they are built in. With --allow-env they may read the environment.

The interface "none" switches Multicast DNS off; by default it is spoken on all.

Encrypt and decrypt read a description, a fragment or JSON. Keys come in by
standard input, as hexadecimal digits or base64. Suites are aes-uuid (the
default), aes-gcm, aes-ctr-hmac and aes-cbc-hmac.

Exit status: 0 done, 1 refused or not found, 2 wrong use.
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func printUsage(w io.Writer) { fmt.Fprintf(w, usage, defaultDataDir()) }

// An app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	dataDir        string
	dataDirSet     bool // by a flag
	configFile     string
	config         *config.Config // nil without a file
	fileStore      *keyring.FileStore
}

// errUsage marks errors of whoever typed the command.
var errUsage = errors.New("wrong use")

// errSilent ends with status 1 and says nothing more.
var errSilent = errors.New("refused")

func usageError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUsage, fmt.Errorf(format, args...))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, dataDir: defaultDataDir()}
	err := a.dispatch(args)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errSilent):
		return 1
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "candgw: %s\nRun 'candgw help' for how it is used.\n", strings.TrimPrefix(err.Error(), errUsage.Error()+": "))
		return 2
	}
	fmt.Fprintf(stderr, "candgw: %v\n", err)
	return 1
}

func (a *app) dispatch(args []string) error {
	global := a.flags("candgw")
	rest, err := a.parse(global, args, false)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		printUsage(a.stderr)
		return usageError("no command given")
	}
	verb, rest := rest[0], rest[1:]
	switch verb {
	case "serve":
		return a.serve(rest)
	case "encrypt":
		return a.encrypt(rest)
	case "decrypt":
		return a.decrypt(rest)
	case "resolve":
		return a.resolve(rest)
	case "keys":
		return a.keys(rest)
	case "policy":
		return a.policy(rest)
	case "config":
		return a.configCommand(rest)
	case "doctor":
		return a.doctor(rest)
	case "extension":
		return a.extension(rest)
	case "version":
		return a.version(rest)
	case "help":
		printUsage(a.stdout)
		return nil
	}
	return usageError("there is no command %q", verb)
}

// flags returns a flag set with the flags that every command has.
func (a *app) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&a.dataDir, "data-dir", a.dataDir, "")
	fs.StringVar(&a.configFile, "config", a.configFile, "")
	return fs
}

// parse parses flags and returns what else there is. If they may be interspersed, flags stand after
// arguments too; else parsing ends at the first argument, which is a command with flags of its own.
func (a *app) parse(fs *flag.FlagSet, args []string, interspersed bool) ([]string, error) {
	var rest []string
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			printUsage(a.stdout)
			return nil, err
		} else if err != nil {
			return nil, usageError("%s: %w", fs.Name(), err)
		}
		if err := a.readConfig(fs); err != nil {
			return nil, err
		}
		if !interspersed {
			return fs.Args(), nil
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
}

// arguments is parse for a command that takes exactly the arguments that are named.
func (a *app) arguments(fs *flag.FlagSet, args []string, names ...string) ([]string, error) {
	rest, err := a.parse(fs, args, true)
	if err != nil {
		return nil, err
	}
	if len(rest) != len(names) {
		if len(names) == 0 {
			return nil, usageError("%s takes no arguments, got %q", fs.Name(), rest[0])
		}
		return nil, usageError("%s takes %d arguments (%s), got %d", fs.Name(), len(names), strings.Join(names, " "), len(rest))
	}
	return rest, nil
}

// store returns the store of the key ring, which asks for a passphrase at most once.
func (a *app) store() *keyring.FileStore {
	if a.fileStore != nil {
		return a.fileStore
	}
	kek, passphrase := os.Getenv("CANDGW_KEK_FILE"), os.Getenv("CANDGW_PASSPHRASE_FILE")
	if c := a.config; c != nil {
		kek, passphrase = cmp.Or(c.Keyring.KEKFile, kek), cmp.Or(c.Keyring.PassphraseFile, passphrase)
	}
	a.fileStore = keyring.NewFileStore(a.dataDir, kek)
	a.fileStore.Passphrase = askPassphrase(passphrase)
	return a.fileStore
}

func defaultDataDir() string {
	if dir := os.Getenv("CANDGW_DATA_DIR"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/candgw"
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "candgw-data"
	}
	return filepath.Join(dir, "candgw")
}

func (a *app) version(args []string) error {
	if _, err := a.arguments(a.flags("version"), args); err != nil {
		return err
	}
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version + " " + info.GoVersion
	}
	fmt.Fprintln(a.stdout, "candgw", version)
	return nil
}
