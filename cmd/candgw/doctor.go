package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/internal/doctor"
)

// doctor examines this node, and fails if something keeps calls from going direct.
func (a *app) doctor(args []string) error {
	fs := a.flags("doctor")
	merge := a.serveFlags(fs)
	peer, asJSON := fs.String("peer", "", ""), fs.Bool("json", false, "")
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	n := doctor.Node{Config: cmp.Or(a.config, config.Defaults()), Root: "/", Now: time.Now}
	err := merge(n.Config)
	if err != nil {
		return err
	}
	if n.Peer, err = peerFlag(*peer, n.Config.DNS.Listen); err != nil {
		return err
	}
	store := a.store()
	if n.Ring, n.RingError = store.Load(); n.RingError == nil {
		n.KEKBeside = filepath.Dir(store.KEKFile()) == filepath.Clean(a.dataDir)
		if n.Told, err = store.Status(); err != nil {
			return err
		}
	}
	policies := policyFlags{path: n.Config.PolicyDir, allowEnv: n.Config.AllowEnv}
	current, _, err := policies.open()
	if err != nil {
		n.PolicyError = err
	} else {
		n.Policy = current()
	}
	n.Certificates = certificateFiles(n.Config)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	findings := doctor.Examine(ctx, &n)
	if *asJSON {
		if err := json.NewEncoder(a.stdout).Encode(findings); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			fmt.Fprintf(a.stdout, "%-4s  %s: %s\n", f.Status, f.Check, f.What)
			if f.Do != "" {
				fmt.Fprintf(a.stdout, "      %s\n", f.Do)
			}
		}
	}
	for _, f := range findings {
		if f.Status == doctor.Fail {
			return errSilent
		}
	}
	return nil
}

// certificateFiles returns the files of the certificates that a configuration has shown, each once.
func certificateFiles(c *config.Config) (out []string) {
	if t := c.DNS.TLS; t != nil {
		out = append(out, t.CertificateFile)
	}
	if t := c.API.TLS; t != nil {
		out = append(out, t.CertificateFile)
	}
	if b := c.Browsers; b != nil && b.TLS != nil {
		out = append(out, b.TLS.CertificateFile)
	}
	for _, s := range c.Signaling {
		if s.TLS != nil {
			out = append(out, s.TLS.CertificateFile)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// peerFlag reads an address and perhaps a port; without one it is that at which this node answers DNS.
func peerFlag(value, listen string) (netip.AddrPort, error) {
	if value == "" {
		return netip.AddrPort{}, nil
	}
	if peer, err := netip.ParseAddrPort(value); err == nil {
		return peer, nil
	}
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return netip.AddrPort{}, usageError("--peer %q is neither an IP address nor one with a port", value)
	}
	_, port, _ := net.SplitHostPort(listen)
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return netip.AddrPort{}, usageError("--peer %s wants a port: ADDRESS:PORT", value)
	}
	return netip.AddrPortFrom(addr, uint16(number)), nil
}
