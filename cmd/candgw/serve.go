package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/internal/metrics"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
	"github.com/candgw/candgw/resolver"
)

const reloadEvery = 200 * time.Millisecond

// A server is what serve runs.
type server struct {
	log      *slog.Logger
	logTo    *logHandler
	metrics  *metrics.Set
	store    *keyring.FileStore
	live     keyring.Live
	used     keyring.Usage
	resolver *resolver.Resolver
	dns      *resolver.DNS
	mdns     *resolver.MDNS
	names    *gateway.LinkNames
	gateway  *gateway.Gateway
	api      apiParts
	browsers browsersParts
	zones    []resolver.Zone

	certificate atomic.Pointer[tls.Certificate] // of DNS over TLS
	signaling   []*signalingProxy

	// What is in use belongs to the goroutine that reloads, once serve runs.
	config     *config.Config
	readConfig func() (*config.Config, error)
	policies   atomic.Pointer[policySource]
	changed    chan struct{} // the policies' path
	rotate     atomic.Pointer[config.Rotate]
	hangup     chan os.Signal // SIGHUP
	lookAgain  chan os.Signal // at the policies

	// What is wrong with what is on disk, "" if nothing is.
	policyTrouble, configTrouble atomic.Value
}

// A policySource is the policies in use, and the files that they come from, nil for those that are built in.
type policySource struct {
	set   func() *policy.Set
	files *policy.Files
}

func (a *app) serve(args []string) error {
	fs := a.flags("serve")
	merge := a.serveFlags(fs)
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	current := config.Defaults()
	if a.config != nil {
		current = a.config
	}
	if err := merge(current); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	s := &server{
		metrics: metrics.New(), store: a.store(), config: current, logTo: newLogHandler(a.stderr, current.Log),
		changed: make(chan struct{}, 1), hangup: make(chan os.Signal, 1), lookAgain: make(chan os.Signal, 1),
	}
	s.log = slog.New(s.logTo)
	s.policyTrouble.Store("")
	s.configTrouble.Store("")
	s.readConfig = func() (*config.Config, error) {
		if a.configFile == "" {
			return s.config, nil
		}
		next, err := config.Load(a.configFile)
		if err != nil {
			return nil, err
		}
		return next, merge(next)
	}
	signal.Notify(s.hangup, syscall.SIGHUP)
	defer signal.Stop(s.hangup)
	if err := s.openRing(a.dataDir); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	a.printHelp(s)
	return s.run(ctx)
}

// serveFlags adds the flags of serve to a set. What it returns writes those that were given into a
// configuration.
func (a *app) serveFlags(fs *flag.FlagSet) (merge func(*config.Config) error) {
	var dns, apiAddr, tokenFile, interfaces, zones, policyPath string
	var allowEnv bool
	fs.StringVar(&dns, "dns", "", "")
	fs.StringVar(&apiAddr, "api", "", "")
	fs.StringVar(&tokenFile, "api-token-file", "", "")
	fs.StringVar(&interfaces, "mdns-interface", "", "")
	fs.StringVar(&zones, "zone", "", "")
	fs.StringVar(&policyPath, "policy", "", "")
	fs.BoolVar(&allowEnv, "allow-env", false, "")
	return func(c *config.Config) error {
		fs.Visit(func(f *flag.Flag) {
			switch f.Name {
			case "dns":
				c.DNS.Listen = dns
			case "api":
				c.API.Listen = apiAddr
			case "api-token-file":
				c.API.TokenFile = tokenFile
			case "mdns-interface":
				c.MDNS = config.MDNS{Enabled: interfaces != noInterface}
				if c.MDNS.Enabled {
					c.MDNS.Interfaces = splitList(interfaces)
				}
			case "zone":
				c.DNS.Zones = splitList(zones)
			case "policy":
				c.PolicyDir = policyPath
			case "allow-env":
				c.AllowEnv = allowEnv
			}
		})
		for _, z := range c.DNS.Zones {
			if wrong := config.WrongZone(z); wrong != "" {
				return usageError("--zone: %s", wrong)
			}
		}
		if err := resolver.CheckZones(zonesOf(c.DNS)); err != nil {
			return usageError("--zone: %w", err)
		}
		return checkAPI(c.API)
	}
}

// openRing loads the key ring, or makes one if there is none.
func (s *server) openRing(dataDir string) error {
	ring, err := s.store.Load()
	if errors.Is(err, keyring.ErrNoRing) {
		if ring, err = s.store.Init(); err == nil {
			s.log.Info("made a new key ring", "folder", dataDir)
		} else if errors.Is(err, keyring.ErrRingExists) { // another process was faster
			ring, err = s.store.Load()
		}
	}
	if err != nil {
		return err
	}
	s.live.Store(ring)
	s.loaded(ring)
	return nil
}

func (s *server) loaded(r *keyring.Ring) {
	s.metrics.RingLoaded(r)
	active := []string{}
	for e := range r.Entries() {
		if e.State == keyring.Active {
			active = append(active, e.Key.String())
		}
	}
	s.log.Info("key ring in use", "revision", r.Revision(), "active", strings.Join(active, ", "))
}

// open opens every socket and puts the parts together.
func (s *server) open() error {
	c := s.config
	s.zones = zonesOf(c.DNS)
	if err := s.openPolicies(c); err != nil {
		return err
	}
	s.rotate.Store(c.Rotate)
	opened := func(k *cipher.Key) { s.used.Opened(k, time.Now()) }
	var err error
	s.resolver, err = resolver.New(resolver.Config{Ring: s.live.Load, Policy: s.policySet, Zones: s.zones, Metrics: s.metrics, Opened: opened})
	if err != nil {
		return err
	}
	config := gateway.Config{Ring: s.live.Load, Policy: s.policySet, Seen: s.resolver.Remember, Opened: opened}
	if c.MDNS.Enabled {
		s.names = gateway.NewLinkNames(c.MDNS.Interfaces)
		config.Names = s.names
		if s.mdns, err = resolver.ListenMDNS(s.resolver, c.MDNS.Interfaces, s.linkFailed); err != nil {
			return fmt.Errorf("opening the port of Multicast DNS (switch it off with --mdns-interface none): %w", err)
		}
	}
	if s.dns, err = resolver.ListenDNS(s.resolver, c.DNS.Listen); err != nil {
		return cannotListen("--dns", err)
	}
	if err := s.openTLS(c.DNS.TLS); err != nil {
		return err
	}
	s.gateway = gateway.New(config)
	if err := s.openAPI(c.API); err != nil {
		return err
	}
	if err := s.openBrowsers(c.Browsers); err != nil {
		return err
	}
	return s.openSignaling(c.Signaling)
}

// policySet returns the policies in use.
func (s *server) policySet() *policy.Set { return s.policies.Load().set() }

// trouble tells what is wrong though the process serves.
func (s *server) trouble() string {
	return strings.TrimPrefix(s.policyTrouble.Load().(string)+"\n"+s.configTrouble.Load().(string), "\n")
}

func (s *server) linkFailed(interfaceName string, err error) {
	s.log.Error("no Multicast DNS on an interface", "interface", interfaceName, "error", err)
}

// ready returns why requests had better go elsewhere: something that the policies ask for cannot be encrypted, or the end
// is near.
func (s *server) ready() error {
	if s.api.web.draining.Load() {
		return errors.New("the process is about to end")
	}
	for _, name := range s.policies.Load().set().Suites() {
		suite, err := cipher.ParseSuite(name)
		if err != nil {
			return err
		}
		if _, err := s.live.Load().Active(suite); err != nil {
			return err
		}
	}
	return nil
}

// run serves until ctx ends or a part of it fails.
func (s *server) run(ctx context.Context) error {
	parts, end := context.WithCancelCause(context.Background())
	defer end(nil)
	var wg sync.WaitGroup
	part := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				end(err)
			}
		})
	}
	part(func() error {
		s.store.Follow(parts, &s.live, reloadEvery, s.loaded, func(err error) {
			s.metrics.RingFailed()
			s.log.Error("the key ring on disk is not taken into use; the last good one stays", "error", err)
		})
		return nil
	})
	for _, f := range []func(context.Context){s.followPolicies, s.followConfig, s.rotateByTheClock} {
		part(func() error {
			f(parts)
			return nil
		})
	}
	part(func() error { return s.dns.Serve(parts) })
	if s.mdns != nil {
		part(func() error { return s.mdns.Serve(parts) })
	}
	for _, p := range s.signaling {
		part(func() error { return p.server.Serve(parts) })
	}
	if s.browsers.web != nil {
		part(s.browsers.web.serve)
	}
	part(s.api.web.serve)
	select {
	case <-ctx.Done():
	case <-parts.Done():
	}
	s.closeWeb(parts.Err() == nil) // the rest goes on meanwhile: requests need it
	end(nil)
	wg.Wait()
	if s.names != nil {
		s.names.Close()
	}
	if err := context.Cause(parts); !errors.Is(err, context.Canceled) {
		return err
	}
	s.log.Info("stopped")
	return nil
}

// closeWeb answers what was asked over HTTP, and ends that. It drains only where the process is to end in good order:
// what looks at the API to see where browsers had better go, sees it in time.
func (s *server) closeWeb(orderly bool) {
	drain := time.Duration(0)
	if orderly {
		drain = time.Duration(s.api.drain.Load())
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.api.web.close(drain) })
	wg.Go(func() { s.closeBrowsers(drain) })
	wg.Wait()
}

// printHelp tells where it serves and how to try it.
func (a *app) printHelp(s *server) {
	mdns := "off"
	if s.mdns != nil {
		mdns = "on no interface yet"
		if names := s.mdns.Interfaces(); len(names) > 0 {
			mdns = "on " + strings.Join(names, ", ")
		}
	}
	overTLS := ""
	if addr := s.dns.TLSAddr(); addr != nil {
		overTLS = fmt.Sprintf(", and over TLS on %s", addr)
	}
	if s.browsers.web != nil {
		scheme := "http"
		if s.config.Browsers.TLS != nil {
			scheme = "https"
		}
		mdns += fmt.Sprintf("\n  browsers     on %s://%s", scheme, s.browsers.web.listener.Addr())
	}
	host, port, _ := net.SplitHostPort(s.dns.Addr().String())
	options, address := s.curl(s.config.API)
	where := address
	if s.config.API.Socket() != "" {
		where = s.config.API.Listen
	}
	fmt.Fprintf(a.stdout, tryIt, where, s.dns.Addr(), overTLS, mdns, options, address, host, port)
}

const tryIt = `candgw serves
  the API      on %s
  DNS          on %s%s
  Multicast DNS %s

Try it, in another terminal. Encrypt the one candidate of a sample offer:

  printf '%%s\r\n' v=0 'o=- 1 1 IN IP4 127.0.0.1' s=- 't=0 0' \
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel' 'c=IN IP4 0.0.0.0' \
    a=ice-ufrag:abcd a=ice-pwd:sample-password-of-a-session \
    'a=candidate:1 1 udp 2122129151 10.77.1.2 41749 typ host' |
  curl -sS%s --data-binary @- -H 'Content-Type: application/sdp' %s/v1/encrypt |
  tee offer.sdp

and ask what the name in it stands for:

  dig +short @%s -p %s "$(grep -o '[^ ]*\.local' offer.sdp)"

`
