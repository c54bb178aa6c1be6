package policy_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/candgw/candgw/policy"
)

// The model is the language said in the plainest way: a scan of the policies in order.

type modelPolicy struct {
	name    string
	clients modelList
	origins []string // nil is unset
	host    *modelCandidate
	resolve *modelResolve
	relay   bool // session.relay_only
	inbound string
}

// A modelList is a list of networks; nil is unset.
type modelList []string

type modelCandidate struct {
	action, otherwise string
	addresses         modelList
	transports        []string // nil is unset
	max               int      // -1 is unset
}

type modelResolve struct {
	clients, addresses modelList
	ownLinks           bool
	rate               int
}

func (l modelList) contains(a netip.Addr) bool {
	return l == nil || a.IsValid() && slices.ContainsFunc(l, func(s string) bool {
		return modelNetworks[s].Contains(a.Unmap().WithZone(""))
	})
}

var modelNetworks = func() map[string]netip.Prefix {
	out := map[string]netip.Prefix{}
	for _, s := range fuzzNetworks {
		out[s] = netip.MustParsePrefix(s)
	}
	return out
}()

func (p *modelPolicy) signals(client netip.Addr, origin string) bool {
	return p.clients.contains(client) && (p.origins == nil || slices.Contains(p.origins, origin))
}

// asked returns what a policy says to an asker: nothing, or with resolve or without.
func (p *modelPolicy) asked(asker netip.Addr, onLink bool) bool {
	switch r := p.resolve; {
	case r == nil:
		return p.origins == nil && p.clients.contains(asker)
	case r.ownLinks && onLink:
		return true
	case r.clients != nil:
		return r.clients.contains(asker)
	}
	return p.clients.contains(asker)
}

type modelSet []*modelPolicy

func (s modelSet) signals(client netip.Addr, origin string) *modelPolicy {
	for _, p := range s {
		if p.signals(client, origin) {
			return p
		}
	}
	return nil
}

func (s modelSet) asked(asker netip.Addr, onLink bool) *modelPolicy {
	for _, p := range s {
		if p.asked(asker, onLink) {
			return p
		}
	}
	return nil
}

// candidate returns the action on a host candidate, and its bound.
func (s modelSet) candidate(client netip.Addr, origin, transport string, addr netip.Addr) (action string, most int) {
	p := s.signals(client, origin)
	if p == nil || p.relay || p.host == nil || p.host.max == 0 {
		return "drop", 0
	}
	c := p.host
	most = max(c.max, 0)
	action, otherwise := or(c.action, "encrypt"), or(c.otherwise, "drop")
	if c.transports != nil && !slices.Contains(c.transports, transport) {
		return otherwise, most
	}
	if c.addresses == nil || addr.IsValid() && c.addresses.contains(addr) {
		return action, most
	}
	if !addr.IsValid() && len(c.addresses) > 0 && action != "drop" {
		return action, most
	}
	return otherwise, most
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// lookup returns the policy that decides, and whether it lets the answer pass.
func (s modelSet) lookup(asker netip.Addr, onLink bool, addr netip.Addr) (by string, allow bool) {
	p := s.asked(asker, onLink)
	switch {
	case p == nil:
		return "", false
	case p.resolve == nil:
		return p.name, false
	}
	return p.name, p.resolve.addresses.contains(addr)
}

// object returns the policies as both syntaxes have them.
func (s modelSet) object() []any {
	var out []any
	for _, p := range s {
		body := map[string]any{}
		put(body, "clients", p.clients)
		put(body, "origins", p.origins)
		if c := p.host; c != nil {
			host := map[string]any{}
			put(host, "addresses", c.addresses)
			put(host, "transports", c.transports)
			if c.action != "" {
				host["action"] = c.action
			}
			if c.otherwise != "" {
				host["otherwise"] = c.otherwise
			}
			if c.max >= 0 {
				host["max"] = c.max
			}
			body["candidate"] = map[string]any{"host": host}
		}
		if r := p.resolve; r != nil {
			resolve := map[string]any{}
			put(resolve, "clients", r.clients)
			put(resolve, "addresses", r.addresses)
			if r.ownLinks {
				resolve["own_links"] = true
			}
			if r.rate > 0 {
				resolve["rate"] = r.rate
			}
			body["resolve"] = resolve
		}
		if p.relay {
			body["session"] = map[string]any{"relay_only": true}
		}
		if p.inbound != "" {
			body["inbound"] = map[string]any{"action": p.inbound}
		}
		out = append(out, map[string]any{p.name: body})
	}
	return out
}

func put[L ~[]string](body map[string]any, name string, list L) {
	if list != nil {
		body[name] = []string(list)
	}
}

func (s modelSet) json() policy.Source {
	text, err := json.MarshalIndent(map[string]any{"policy": s.object()}, "", "  ")
	if err != nil {
		panic(err)
	}
	return policy.Source{Name: "model.hcl.json", Text: text}
}

func (s modelSet) hcl() policy.Source {
	var b strings.Builder
	for _, p := range s.object() {
		writeBlocks(&b, "policy", p.(map[string]any))
	}
	return policy.Source{Name: "model.hcl", Text: []byte(b.String())}
}

func writeBlocks(b *strings.Builder, kind string, byLabel map[string]any) {
	for label, body := range byLabel {
		fmt.Fprintf(b, "%s %q {\n", kind, label)
		writeBody(b, body.(map[string]any))
		b.WriteString("}\n")
	}
}

func writeBody(b *strings.Builder, body map[string]any) {
	for name, v := range body {
		switch v := v.(type) {
		case map[string]any:
			if name == "candidate" {
				writeBlocks(b, name, v)
				continue
			}
			fmt.Fprintf(b, "%s {\n", name)
			writeBody(b, v)
			b.WriteString("}\n")
		case []string:
			quoted := make([]string, len(v))
			for i, s := range v {
				quoted[i] = strconv.Quote(s)
			}
			fmt.Fprintf(b, "%s = [%s]\n", name, strings.Join(quoted, ", "))
		case string:
			fmt.Fprintf(b, "%s = %q\n", name, v)
		default:
			fmt.Fprintf(b, "%s = %v\n", name, v)
		}
	}
}
