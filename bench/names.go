//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/keyring"
)

// A record is a name and what it stands for.
type record struct {
	name string // with .local, without the last dot
	addr netip.Addr
}

func (r record) rrType() string {
	if r.addr.Is4() {
		return "A"
	}
	return "AAAA"
}

// makeRing makes a key ring of so many keys that decrypt in a folder, and returns them: the active one first.
func makeRing(folder string, count int) ([]*cipher.Key, error) {
	store := keyring.NewFileStore(folder, "")
	ring, err := store.Init()
	if err != nil {
		return nil, err
	}
	if count > 1 {
		ring, err = store.Update(func(e *keyring.Editor) error {
			for range count - 1 {
				k, err := cipher.GenerateKey(cipher.AESUUID)
				if err != nil {
					return err
				}
				if err := e.Add(k, keyring.Standby); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var keys []*cipher.Key
	for e := range ring.Entries() {
		keys = append(keys, e.Key)
	}
	return keys, nil
}

// encrypt returns the names from number first on, the keys taken in turn. Another number is another name.
func encrypt(keys []*cipher.Key, first, count int, ipv6 bool) ([]record, error) {
	records := make([]record, count)
	for i := range records {
		n := first + i
		addr := netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)})
		if ipv6 {
			addr = netip.AddrFrom16([16]byte{0: 0xfd, 7: 77, 14: byte(n >> 8), 15: byte(n)})
		}
		origin := binary.BigEndian.AppendUint64(nil, uint64(n))
		name, err := keys[n%len(keys)].Encrypt(addr, "the-password-of-a-session", origin)
		if err != nil {
			return nil, err
		}
		records[i] = record{name.String() + ".local", addr}
	}
	return records, nil
}

// writeLines writes a line for each record.
func writeLines(path string, records []record, line func(record) string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, r := range records {
		fmt.Fprintln(w, line(r))
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Lines of the files: for the load client, dnsperf, a zone, and Unbound.
func expectation(r record) string { return r.name + " " + r.addr.String() }
func dnsperfLine(r record) string { return r.name + " " + r.rrType() }
func zoneLine(r record) string {
	return fmt.Sprintf("%s. %d IN %s %s", r.name, ttl, r.rrType(), r.addr)
}
func localData(r record) string { return fmt.Sprintf("  local-data: %q", zoneLine(r)) }

// ttl is the time to live of all answers, in seconds: that of candgw's default policy.
const ttl = 120

func writeZone(path string, records []record) error {
	origin := fmt.Sprintf("local. %[1]d IN SOA ns.local. nobody.local. 1 3600 600 86400 %[1]d\n"+
		"local. %[1]d IN NS ns.local.\nns.local. %[1]d IN A 10.77.0.1", ttl)
	first := true
	return writeLines(path, append([]record{{}}, records...), func(r record) string {
		if first {
			first = false
			return origin
		}
		return zoneLine(r)
	})
}
