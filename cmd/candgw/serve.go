package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/api"
	"github.com/candgw/candgw/internal/metrics"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
	"github.com/candgw/candgw/resolver"
)

const (
	defaultDNS = "127.0.0.1:5354"
	defaultAPI = "127.0.0.1:8480"

	reloadEvery  = 200 * time.Millisecond
	shutdownTime = 5 * time.Second

	// maxConnections bounds those of the API; a further one waits.
	maxConnections = 256
)

// A server is what serve runs.
type server struct {
	log     *slog.Logger
	metrics *metrics.Set
	store   *keyring.FileStore
	live    keyring.Live
	policy  func() *policy.Set
	files   *policy.Files // nil for the policies that are built in
	trouble atomic.Value  // what is wrong with the policies on disk, "" if nothing is
	reload  chan os.Signal
	zones   []string
	dns     *resolver.DNS
	mdns    *resolver.MDNS
	names   *gateway.LinkNames
	api     net.Listener
	handler http.Handler
}

type serveFlags struct {
	dns, api, tokenFile, interfaces, zones string
	policies                               *policyFlags
}

func (a *app) serve(args []string) error {
	fs := a.flags("serve")
	var f serveFlags
	fs.StringVar(&f.dns, "dns", defaultDNS, "")
	fs.StringVar(&f.api, "api", defaultAPI, "")
	fs.StringVar(&f.tokenFile, "api-token-file", "", "")
	fs.StringVar(&f.interfaces, "mdns-interface", "", "")
	fs.StringVar(&f.zones, "zone", "local", "")
	f.policies = a.policyFlags(fs)
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	token, err := apiToken(f)
	if err != nil {
		return err
	}
	for _, z := range splitList(f.zones) {
		if err := resolver.CheckZone(z); err != nil {
			return usageError("--zone: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &server{log: slog.New(slog.NewTextHandler(a.stderr, nil)), metrics: metrics.New(), store: a.store(), reload: make(chan os.Signal, 1)}
	signal.Notify(s.reload, syscall.SIGHUP)
	defer signal.Stop(s.reload)
	if err := s.openRing(a.dataDir); err != nil {
		return err
	}
	if err := s.open(f, token); err != nil {
		return err
	}
	a.printHelp(s)
	return s.run(ctx)
}

// apiToken reads the token of the API, without which it listens on loopback only.
func apiToken(f serveFlags) (string, error) {
	if f.tokenFile == "" {
		host, _, err := net.SplitHostPort(f.api)
		if err != nil {
			return "", usageError("--api: %w", err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "", usageError("--api %s is not on loopback, where everybody could reach it: give it a token with --api-token-file", f.api)
		}
		return "", nil
	}
	raw, err := keyring.ReadSecret(f.tokenFile)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if len(token) < 16 {
		return "", fmt.Errorf("%s: the token has %d characters, want at least 16", f.tokenFile, len(token))
	}
	return token, nil
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
	s.loaded(ring)
	s.live.Store(ring)
	return nil
}

func (s *server) loaded(r *keyring.Ring) {
	s.metrics.RingLoaded(r.Revision())
	active := []string{}
	for e := range r.Entries() {
		if e.State == keyring.Active {
			active = append(active, e.Key.String())
		}
	}
	s.log.Info("key ring in use", "revision", r.Revision(), "active", strings.Join(active, ", "))
}

// open opens every socket and puts the parts together.
func (s *server) open(f serveFlags, token string) error {
	var err error
	if s.policy, s.files, err = f.policies.open(); err != nil {
		return err
	}
	s.zones = splitList(f.zones)
	s.policiesLoaded(s.policy())
	res := resolver.New(resolver.Config{Ring: s.live.Load, Policy: s.policy, Zones: s.zones, Metrics: s.metrics})
	config := gateway.Config{Ring: s.live.Load, Policy: s.policy, Seen: res.Remember}
	if f.interfaces != noInterface {
		s.names = gateway.NewLinkNames(splitList(f.interfaces))
		config.Names = s.names
		if s.mdns, err = resolver.ListenMDNS(res, splitList(f.interfaces), s.linkFailed); err != nil {
			return fmt.Errorf("opening the port of Multicast DNS (switch it off with --mdns-interface none): %w", err)
		}
	}
	if s.dns, err = resolver.ListenDNS(res, f.dns); err != nil {
		return fmt.Errorf("--dns: %w", err)
	}
	if s.api, err = net.Listen("tcp", f.api); err != nil {
		return fmt.Errorf("--api: %w", err)
	}
	s.api = netutil.LimitListener(s.api, maxConnections)
	s.handler = api.Handler(api.Config{
		Gateway: gateway.New(config), Metrics: s.metrics, Ready: s.ready, Trouble: s.lastTrouble, Token: token, Log: s.log,
	})
	return nil
}

func (s *server) policiesLoaded(set *policy.Set) {
	s.metrics.PoliciesLoaded(set.Len())
	s.trouble.Store("")
	for _, w := range set.Warnings() {
		s.log.Warn("a policy looks mistaken; 'candgw policy check' says more", "place", w.Place(), "summary", w.Summary)
	}
	for _, suffix := range set.Suffixes() {
		if !slices.ContainsFunc(s.zones, func(z string) bool { return strings.EqualFold(strings.Trim(z, "."), suffix) }) {
			s.log.Warn("policies write names that this node does not answer for: add the suffix to --zone", "suffix", suffix)
		}
	}
	s.log.Info("policies in use", "policies", set.Len())
}

func (s *server) policiesFailed(err error) {
	s.metrics.PoliciesFailed()
	s.trouble.Store("the policies on disk are not in use, because of a mistake in them: see the log")
	var invalid *policy.Invalid
	if !errors.As(err, &invalid) {
		s.log.Error("the policies on disk are not taken into use; the last good ones stay", "error", err)
		return
	}
	for _, p := range invalid.Problems {
		if p.Severity == "error" {
			s.log.Error("the policies on disk are not taken into use; the last good ones stay", "place", p.Place(), "summary", p.Summary, "detail", p.Detail)
		}
	}
}

func (s *server) lastTrouble() string { return s.trouble.Load().(string) }

func (s *server) linkFailed(interfaceName string, err error) {
	s.log.Error("no Multicast DNS on an interface", "interface", interfaceName, "error", err)
}

// ready returns why something that the policies ask for cannot be encrypted, if so.
func (s *server) ready() error {
	for _, name := range s.policy().Suites() {
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	part := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				cancel(err)
			}
		})
	}
	web := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it would log clients' addresses
	}
	part(func() error {
		s.store.Follow(ctx, &s.live, reloadEvery, s.loaded, func(err error) {
			s.metrics.RingFailed()
			s.log.Error("the key ring on disk is not taken into use; the last good one stays", "error", err)
		})
		return nil
	})
	part(func() error {
		if s.files != nil {
			s.files.Follow(ctx, reloadEvery, s.reload, s.policiesLoaded, s.policiesFailed)
		}
		return nil
	})
	part(func() error { return s.dns.Serve(ctx) })
	if s.mdns != nil {
		part(func() error { return s.mdns.Serve(ctx) })
	}
	part(func() error {
		if err := web.Serve(s.api); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	<-ctx.Done()
	grace, done := context.WithTimeout(context.Background(), shutdownTime)
	defer done()
	web.Shutdown(grace)
	wg.Wait()
	if s.names != nil {
		s.names.Close()
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	s.log.Info("stopped")
	return nil
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
	host, port, _ := net.SplitHostPort(s.dns.Addr().String())
	fmt.Fprintf(a.stdout, tryIt, s.api.Addr(), s.dns.Addr(), mdns, s.api.Addr(), host, port)
}

const tryIt = `candgw serves
  the API      on http://%s
  DNS          on %s
  Multicast DNS %s

Try it, in another terminal. Encrypt the one candidate of a sample offer:

  printf '%%s\r\n' v=0 'o=- 1 1 IN IP4 127.0.0.1' s=- 't=0 0' \
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel' 'c=IN IP4 0.0.0.0' \
    a=ice-ufrag:abcd a=ice-pwd:sample-password-of-a-session \
    'a=candidate:1 1 udp 2122129151 10.77.1.2 41749 typ host' |
  curl -s --data-binary @- -H 'Content-Type: application/sdp' http://%s/v1/encrypt |
  tee offer.sdp

and ask what the name in it stands for:

  dig +short @%s -p %s "$(grep -o '[^ ]*\.local' offer.sdp)"

`
