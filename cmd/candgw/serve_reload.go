package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/candgw/candgw/internal/config"
	"github.com/candgw/candgw/policy"
	"github.com/candgw/candgw/resolver"
)

// followConfig reads the configuration anew on SIGHUP, and has the policies looked at.
func (s *server) followConfig(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-s.hangup:
			if err := s.reloadConfig(); err != nil {
				s.metrics.ConfigFailed()
				s.configTrouble.Store("the configuration on disk is not in use, because of a mistake in it: see the log")
				s.logMistakes("the configuration on disk is not taken into use; the last good one stays", err)
			} else {
				s.metrics.ConfigLoaded()
				s.configTrouble.Store("")
			}
			select {
			case s.lookAgain <- sig:
			default: // it is about to look
			}
		}
	}
}

// reloadConfig takes into use what of the configuration can be at run time: all of it, or, after an error,
// nothing.
func (s *server) reloadConfig() error {
	onDisk, err := s.readConfig()
	if err != nil {
		return err
	}
	atRuntime, needsRestart := s.config.Changes(onDisk)
	if len(needsRestart) > 0 {
		s.log.Warn("the configuration has changes that want a restart", "changes", strings.Join(needsRestart, ", "))
	}
	next := s.config.Reloaded(onDisk)
	access, err := s.rereadAPIAccess(onDisk.API, next.API)
	if err != nil {
		return err
	}
	forBrowsers, err := rereadBrowsersCertificate(onDisk.Browsers, next.Browsers)
	if err != nil {
		return err
	}
	var certificate *tls.Certificate
	if onDisk.DNS.TLS != nil {
		if certificate, err = readCertificate(next.DNS.TLS); err != nil {
			return err
		}
	}
	var shown []config.Signaling
	for i, b := range next.Signaling {
		if i < len(onDisk.Signaling) && onDisk.Signaling[i].Name == b.Name && onDisk.Signaling[i].TLS != nil {
			shown = append(shown, b)
		}
	}
	certificates, err := readCertificates(shown)
	if err != nil {
		return err
	}
	if next.PolicyDir != s.config.PolicyDir || next.AllowEnv != s.config.AllowEnv {
		if err := s.openPolicies(next); err != nil {
			return err
		}
		select {
		case s.changed <- struct{}{}:
		default: // whoever follows is about to look
		}
	}
	s.useAPI(next.API, access)
	s.useBrowsers(next.Browsers, forBrowsers)
	s.useCertificate(certificate)
	s.useCertificates(certificates)
	s.rotate.Store(next.Rotate)
	s.logTo.use(next.Log)
	s.config = next
	if len(atRuntime) > 0 {
		s.log.Info("configuration in use", "changes", strings.Join(atRuntime, ", "))
	}
	return nil
}

// openPolicies reads the policies that a configuration names, and takes them into use.
func (s *server) openPolicies(c *config.Config) error {
	p := policyFlags{path: c.PolicyDir, allowEnv: c.AllowEnv}
	set, files, err := p.open()
	if err != nil {
		return err
	}
	s.policies.Store(&policySource{set, files})
	s.policiesLoaded(set())
	return nil
}

// followPolicies takes changes of the policies' files into use, and follows other files once the
// configuration names others.
func (s *server) followPolicies(ctx context.Context) {
	for ctx.Err() == nil {
		following, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			files := s.policies.Load().files
			if files == nil {
				return
			}
			inUse := func() bool { return s.policies.Load().files == files } // until the configuration names others
			files.Follow(following, reloadEvery, s.lookAgain, func(set *policy.Set) {
				if inUse() {
					s.policiesLoaded(set)
				}
			}, func(err error) {
				if inUse() {
					s.policiesFailed(err)
				}
			})
		}()
		select {
		case <-s.changed:
		case <-ctx.Done():
		}
		stop()
		<-done
	}
}

func (s *server) policiesLoaded(set *policy.Set) {
	s.metrics.PoliciesLoaded(set.Len())
	s.policyTrouble.Store("")
	for _, w := range set.Warnings() {
		s.log.Warn("a policy looks mistaken; 'candgw policy check' says more", "place", w.Place(), "summary", w.Summary)
	}
	for _, suffix := range set.Suffixes() {
		if !slices.ContainsFunc(s.zones, func(z resolver.Zone) bool { return strings.EqualFold(strings.Trim(z.Name, "."), suffix) }) {
			s.log.Warn("policies write names that this node does not answer for: add the suffix to its zones", "suffix", suffix)
		}
	}
	s.log.Info("policies in use", "policies", set.Len())
}

func (s *server) policiesFailed(err error) {
	s.metrics.PoliciesFailed()
	s.policyTrouble.Store("the policies on disk are not in use, because of a mistake in them: see the log")
	s.logMistakes("the policies on disk are not taken into use; the last good ones stay", err)
}

// logMistakes logs an error, or, if it is of several mistakes in a file, each of them.
func (s *server) logMistakes(message string, err error) {
	var mistakes []policy.Problem
	var inPolicy *policy.Invalid
	var inConfig *config.Invalid
	switch {
	case errors.As(err, &inPolicy):
		mistakes = inPolicy.Problems
	case errors.As(err, &inConfig):
		mistakes = inConfig.Problems
	default:
		s.log.Error(message, "error", err)
	}
	for _, p := range mistakes {
		if p.Severity == "error" {
			s.log.Error(message, "place", p.Place(), "summary", p.Summary, "detail", p.Detail)
		}
	}
}

// A logHandler is a handler whose level and format may change.
type logHandler struct {
	to      io.Writer
	current atomic.Pointer[slog.Handler]
}

func newLogHandler(to io.Writer, c config.Log) *logHandler {
	h := &logHandler{to: to}
	h.use(c)
	return h
}

func (h *logHandler) use(c config.Log) {
	var next slog.Handler = slog.NewTextHandler(h.to, &slog.HandlerOptions{Level: c.Level})
	if c.Format == config.JSON {
		next = slog.NewJSONHandler(h.to, &slog.HandlerOptions{Level: c.Level})
	}
	h.current.Store(&next)
}

func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return (*h.current.Load()).Enabled(ctx, l)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	return (*h.current.Load()).Handle(ctx, r)
}

// WithAttrs and WithGroup return handlers that do not change any more.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return (*h.current.Load()).WithAttrs(attrs)
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return (*h.current.Load()).WithGroup(name)
}
