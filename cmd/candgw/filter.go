package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
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
	client, report := fs.String("client", "", ""), fs.String("report", "", "")
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
	if *client != "" {
		if request.Client, err = netip.ParseAddr(*client); err != nil {
			return usageError("--client %q is not an IP address", *client)
		}
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
	set, err := defaultPolicy()
	if err != nil {
		return err
	}
	// One octet more than is allowed, so that the gateway sees that it is too long.
	if request.Body, err = io.ReadAll(io.LimitReader(a.stdin, gateway.MaxBody+1)); err != nil {
		return err
	}
	request.Format = formatOf(request.Body)
	config := gateway.Config{
		Ring:   func() *keyring.Ring { return ring },
		Policy: func() *policy.Set { return set },
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
			where := fmt.Sprintf("line %d", c.Line)
			if c.Item > 0 {
				where = fmt.Sprintf("item %d of the JSON, %s", c.Item, where)
			}
			fmt.Fprintf(a.stderr, "candgw: %s: %s: the candidate is dropped: %s\n", name, where, c.Reason)
		}
	}
	return errSilent
}

// formatOf guesses the kind of a body: what is neither JSON nor begins like a fragment is a
// description, and an error if it is none.
func formatOf(body []byte) gateway.Format {
	switch trimmed := bytes.TrimLeft(body, " \t\r\n"); {
	case len(trimmed) == 0:
		return gateway.SDP
	case bytes.IndexByte([]byte(`{["`), trimmed[0]) >= 0, string(bytes.TrimSpace(trimmed)) == "null":
		return gateway.JSON
	case bytes.HasPrefix(trimmed, []byte("a=")), bytes.HasPrefix(trimmed, []byte("m=")):
		return gateway.Fragment
	}
	return gateway.SDP
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

func (a *app) policy(args []string) error {
	args, err := a.parse(a.flags("policy"), args, false)
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] != "check" {
		return usageError("policy wants check")
	}
	files, err := a.parse(a.flags("policy check"), args[1:], true)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return usageError("policy check wants files")
	}
	_, err = policy.LoadFiles(files...)
	return err
}

func defaultPolicy() (*policy.Set, error) {
	return policy.Load(policy.Source{Name: "default.hcl", Text: policies.Default})
}

// splitList splits at commas and spaces; it returns nil for an empty text.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
