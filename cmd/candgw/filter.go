package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// noInterface is the value of --mdns-interface that switches Multicast DNS off.
const noInterface = "none"

func (a *app) encrypt(args []string) error {
	return a.filter("encrypt", args, (*gateway.Gateway).Encrypt)
}

func (a *app) decrypt(args []string) error {
	return a.filter("decrypt", args, (*gateway.Gateway).Decrypt)
}

// filter reads a body from standard input and writes what do makes of it to standard output.
func (a *app) filter(name string, args []string, do func(*gateway.Gateway, context.Context, gateway.Request) (*gateway.Result, error)) error {
	fs := a.flags(name)
	client, origin, report := fs.String("client", "", ""), fs.String("origin", "", ""), fs.String("report", "", "")
	policies := a.policyFlags(fs)
	suite, interfaces := new(string), new(string)
	if name == "encrypt" {
		fs.StringVar(suite, "suite", "", "")
		fs.StringVar(interfaces, "mdns-interface", "", "")
	}
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	var request gateway.Request
	var err error
	if request.Client, err = addressFlag("client", *client); err != nil {
		return err
	}
	if request.Origin, err = originFlag(*origin); err != nil {
		return err
	}
	if *suite != "" {
		if request.Suite, err = cipher.ParseSuite(*suite); err != nil {
			return usageError("--suite: %w", err)
		}
	}
	if *report != "" && *report != "json" {
		return usageError("--report knows json, not %q", *report)
	}
	ring, err := a.store().Load()
	if err != nil {
		return err
	}
	current, _, err := policies.open()
	if err != nil {
		return err
	}
	if request.Body, err = readBody(a.stdin); err != nil {
		return err
	}
	request.Format = gateway.FormatOf(request.Body)
	config := gateway.Config{
		Ring:   func() *keyring.Ring { return ring },
		Policy: current,
	}
	if *interfaces != noInterface {
		names := gateway.NewLinkNames(splitList(*interfaces))
		defer names.Close()
		config.Names = names
	}
	result, err := do(gateway.New(config), context.Background(), request)
	if result != nil {
		if *report == "json" && errors.Is(err, gateway.ErrNothingLeft) {
			err = errSilent // the report says it, and is to be all that stands there
		}
		err = errors.Join(err, a.report(name, result, *report == "json"))
		if _, writeErr := a.stdout.Write(result.Body); writeErr != nil {
			return writeErr
		}
	}
	return err
}

// report tells what became of the candidates, and fails if some were refused.
func (a *app) report(name string, result *gateway.Result, asJSON bool) error {
	refused := result.Report.Refused()
	if asJSON {
		if err := json.NewEncoder(a.stderr).Encode(result.Report); err != nil {
			return err
		}
	}
	if len(refused) == 0 {
		return nil
	}
	if !asJSON {
		for _, c := range refused {
			fmt.Fprintf(a.stderr, "candgw: %s: %s: the candidate is dropped: %s\n", name, c.Where(), c.Reason)
		}
	}
	return errSilent
}

func (a *app) resolve(args []string) error {
	fs := a.flags("resolve")
	pwd := fs.String("ice-pwd", "", "")
	rest, err := a.arguments(fs, args, "NAME")
	if err != nil {
		return err
	}
	var o cipher.Opener
	if !readName(&o, strings.TrimSuffix(rest[0], ".")) {
		return fmt.Errorf("%q has not the form of an encrypted name", rest[0])
	}
	ring, err := a.store().Load()
	if err != nil {
		return err
	}
	opened, err := ring.Open(&o, *pwd, time.Now())
	switch {
	case errors.Is(err, cipher.ErrPasswordNeeded):
		return fmt.Errorf("%w: say it with --ice-pwd", err)
	case errors.Is(err, cipher.ErrNotOpened):
		return fmt.Errorf("the name opens under no key of the ring in %s that decrypts", a.dataDir)
	case err != nil:
		return err
	}
	fmt.Fprintln(a.stdout, opened.Addr)
	return nil
}

// readName reads a name under any zone, or under none: labels are cut off its end until it is one.
func readName(o *cipher.Opener, name string) bool {
	for !cipher.ReadName(o, name) {
		at := strings.LastIndexByte(name, '.')
		if at < 0 {
			return false
		}
		name = name[:at]
	}
	return true
}

// addressFlag reads the address in a flag, not valid if that is not given.
func addressFlag(name, value string) (netip.Addr, error) {
	if value == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return addr, usageError("--%s %q is not an IP address", name, value)
	}
	return addr, nil
}

func originFlag(value string) (policy.Origin, error) {
	if value == "" {
		return "", nil
	}
	origin, err := policy.ParseOrigin(value)
	if err != nil {
		return "", usageError("--origin %q is %w", value, err)
	}
	return origin, nil
}

// splitList splits at commas and spaces; it returns nil for an empty text.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// readBody reads one octet more than is allowed, so that the gateway sees a body that is too long.
func readBody(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, gateway.MaxBody+1)) }
