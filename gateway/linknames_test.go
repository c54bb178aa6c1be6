package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// Questions on a real link are asked in internal/e2e, in network namespaces.

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

func TestHolds(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifc := range all {
		if ifc.Flags&net.FlagLoopback == 0 {
			continue
		}
		for addr, want := range map[string]bool{"127.0.0.1": true, "192.0.2.1": false} {
			if got := holds(&ifc, netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s holds %s: %v", ifc.Name, addr, got)
			}
		}
		if holds(&ifc, netip.Addr{}) {
			t.Error("it holds a client that is not known")
		}
	}
}
