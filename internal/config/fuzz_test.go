package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/candgw/candgw/policy"
)

// FuzzParse has every text be a configuration that keeps what the types promise, or an error that says
// where.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"candgw.hcl", "candgw.hcl.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, string(text))
	}
	for _, tt := range mistakes {
		f.Add("candgw.hcl", tt.text)
	}
	for _, text := range []string{"", "{}", "null", "[]", `[{"dns": {}}]`, `{"dns": null}`, `{"dns": [{}, {}]}`, `{"dns": 1}`, `{"rotate": {"every": "${x}"}}`, `{"token": "a", "token": "b"}`, `{"api": {"token": {}}}`} {
		f.Add("candgw.hcl.json", text)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		c, err := Parse(policy.Source{Name: name, Text: []byte(text)})
		if (c == nil) == (err == nil) {
			t.Fatalf("%+v and %v", c, err)
		}
		if err != nil {
			var invalid *Invalid
			if !errors.As(err, &invalid) || !errors.Is(err, ErrInvalid) || len(invalid.Problems) == 0 {
				t.Fatalf("no *Invalid: %v", err)
			}
			for _, p := range invalid.Problems {
				if p.File != name || p.Text == "" {
					t.Fatalf("%+v", p)
				}
			}
			return
		}
		if len(c.DNS.Zones)+len(c.DNS.Delegated) == 0 || c.MDNS.Interfaces != nil && (len(c.MDNS.Interfaces) == 0 || !c.MDNS.Enabled) {
			t.Fatalf("lists: %+v", c)
		}
		if !c.API.Guarded() || c.API.Rate > 0 != (c.API.Burst > 0) || c.API.Socket() != "" && c.API.TLS != nil {
			t.Fatalf("open to everybody: %+v", c.API)
		}
		if b := c.Browsers; b != nil && (len(b.Extensions) == 0 || b.Answers("https://meet.example.com") || b.TLS == nil && !onLoopback(b.Listen) || b.Rate < 1 || b.Burst < 1) {
			t.Fatalf("open to everybody: %+v", b)
		}
		if r := c.Rotate; r != nil && (r.Settle < 0 || r.Every <= r.Settle || r.Grace < r.Settle || r.Every < time.Minute) {
			t.Fatalf("%+v", r)
		}
		if running, restart := c.Changes(c); running != nil || restart != nil {
			t.Fatalf("differs from itself: %q, %q", running, restart)
		}
	})
}
