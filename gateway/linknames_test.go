package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"testing"
)

// Questions to browsers are asked in internal/e2e.

func TestLinkNamesWithoutLink(t *testing.T) {
	l := NewLinkNames([]string{"no-such-link"})
	if addr, err := l.ResolveName(context.Background(), "x.local", client); !errors.Is(err, ErrNoLink) || addr.IsValid() {
		t.Errorf("got %v, %v", addr, err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLinkNamesClosed(t *testing.T) {
	l := NewLinkNames(nil)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if addr, err := l.ResolveName(context.Background(), "x.local", netip.Addr{}); !errors.Is(err, ErrNoLink) || addr.IsValid() {
		t.Errorf("got %v, %v", addr, err)
	}
}

// A client on none of the links is not asked for: its names are known on its own link only.
func TestLinkNamesElsewhere(t *testing.T) {
	l := NewLinkNames(nil)
	defer l.Close()
	if addr, err := l.ResolveName(context.Background(), "x.local", netip.MustParseAddr("198.51.100.77")); !errors.Is(err, ErrNoLink) || addr.IsValid() {
		t.Errorf("got %v, %v", addr, err)
	}
}

func TestLinkNamesChoose(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(ifc net.Interface) bool { return ifc.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		t.Skip("no loopback interface")
	}
	lo := all[i]
	for _, tt := range []struct {
		name, client string
		want         bool
	}{
		{"not known", "", true},
		{"loopback", "127.0.0.1", true},
		{"loopback, IPv6", "::1", true},
		{"elsewhere", "192.0.2.1", false},
		{"zone is its name", "fe80::1%" + lo.Name, true},
		{"zone is its index", "fe80::1%" + strconv.Itoa(lo.Index), true},
		{"zone is no interface", "fe80::1%no-such-link", false},
		{"zone is no index", "fe80::1%2147483647", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, _ := netip.ParseAddr(tt.client)
			if got := choose([]net.Interface{lo}, client); len(got) == 1 != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
