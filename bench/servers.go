//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// A server is one of those that are compared, on a port of its own.
type server struct {
	name    string
	version string
	port    int
	names   string // the file with the names that it knows and their addresses
	queries string // the same for dnsperf
	*process
}

// A kind makes a server ready to start: it writes what the server reads into a folder and returns the command.
type kind struct {
	name    string
	version func(b *bench) (string, error)
	prepare func(b *bench, folder string, port int) (command []string, err error)
}

// kinds are the servers beside candgw, each with what its own documents say for one core and for names that
// never change: README.md gives the reasons.
var kinds = []kind{
	{"floor", func(*bench) (string, error) { return "", nil }, func(b *bench, _ string, port int) ([]string, error) {
		return []string{b.path("floor"), strconv.Itoa(port), b.floorAddress}, nil
	}},
	{"knot", says("knotd", "--version"), func(b *bench, folder string, port int) ([]string, error) {
		me, err := user.Current()
		if err != nil {
			return nil, err
		}
		group, err := user.LookupGroupId(me.Gid)
		if err != nil {
			return nil, err
		}
		config := fmt.Sprintf(`server:
  rundir: %[1]s
  user: "%[4]s:%[5]s"
  listen: 127.0.0.1@%[2]d
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: warning
database:
  storage: %[1]s
zone:
  - domain: local
    file: %[3]s
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
`, folder, port, b.path("zone"), me.Username, group.Name)
		return configured(folder, config, "knotd", "-c")
	}},
	{"nsd", says("nsd", "-v"), func(b *bench, folder string, port int) ([]string, error) {
		config := fmt.Sprintf(`server:
  ip-address: 127.0.0.1@%[2]d
  server-count: 1
  minimal-responses: yes
  rrl-ratelimit: 0
  username: ""
  database: ""
  zonesdir: "%[1]s"
  zonelistfile: "%[1]s/zone.list"
  xfrdfile: "%[1]s/xfrd.state"
  xfrdir: "%[1]s"
  pidfile: ""
remote-control:
  control-enable: no
zone:
  name: local
  zonefile: "%[3]s"
`, folder, port, b.path("zone"))
		return configured(folder, config, "nsd", "-d", "-c")
	}},
	{"unbound", says("unbound", "-V"), func(b *bench, folder string, port int) ([]string, error) {
		config := fmt.Sprintf(`server:
  interface: 127.0.0.1@%[2]d
  num-threads: 1
  minimal-responses: yes
  use-syslog: no
  module-config: "iterator"
  username: ""
  chroot: ""
  directory: "%[1]s"
  pidfile: ""
  local-zone: "local." static
  include: "%[3]s"
remote-control:
  control-enable: no
`, folder, port, b.path("local-data"))
		return configured(folder, config, b.path("unbound"), "-d", "-p", "-c")
	}},
	{"coredns", builtWith("coredns", "github.com/coredns/coredns"), func(b *bench, folder string, port int) ([]string, error) {
		config := fmt.Sprintf("local.:%d {\n\tbind 127.0.0.1\n\tminimal\n\tfile %s {\n\t\treload 0\n\t}\n}\n", port, b.path("zone"))
		return configured(folder, config, b.path("coredns"), "-quiet", "-conf")
	}},
	{"miekg", builtWith("miekg", "github.com/miekg/dns"), func(b *bench, _ string, port int) ([]string, error) {
		return []string{b.path("miekg"), fmt.Sprintf("127.0.0.1:%d", port), b.path("zone")}, nil
	}},
}

// serverNames returns what --only may name.
func serverNames() []string {
	names := []string{"candgw"}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// configured writes a configuration and returns a command that ends with its path.
func configured(folder, config string, command ...string) ([]string, error) {
	path := filepath.Join(folder, "config")
	return append(command, path), os.WriteFile(path, []byte(config), 0o600)
}

// candgwCommand is candgw as a user runs it, with the ring that the names are made with.
func candgwCommand(program, ring, folder string, port int) ([]string, error) {
	policy := filepath.Join(folder, "bench.hcl")
	// A limit that is counted for every query, and that none reaches.
	text := `policy "bench" {
  candidate "host" {}
  resolve {
    clients = loopback_networks
    rate    = 1000000
    burst   = 1000000
  }
}
`
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{program, "serve", "--data-dir", ring, "--policy", policy, "--mdns-interface", "none",
		"--dns", fmt.Sprintf("127.0.0.1:%d", port), "--api", "127.0.0.1:0"}, nil
}

// startServer starts a server, and returns once it has answered every name rightly.
func (b *bench) startServer(s *server, prepare func(folder string, port int) ([]string, error)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
		}
	}()
	if s.port, err = freePort(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(b.folder, s.name+"-")
	if err != nil {
		return err
	}
	command, err := prepare(folder, s.port)
	if err != nil {
		return err
	}
	if s.process, err = start(b.serverCPU, filepath.Join(folder, "log"), command, "CANDGW_KEK_FILE="); err != nil {
		return err
	}
	b.started = append(b.started, s)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		result, err := b.load(s, "-o")
		if err == nil && result.Answered == result.Sent && result.Wrong == 0 {
			return nil
		}
		if failed := s.failed(); failed != nil {
			return failed
		}
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		if time.Now().After(deadline) {
			b.wrong += result.Wrong
			if err == nil {
				err = fmt.Errorf("of %d names it answered %d, %d of them wrongly", result.Sent, result.Answered, result.Wrong)
			}
			return err
		}
	}
}

// freePort returns a port that nobody uses, neither for UDP nor for TCP.
func freePort() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp4", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port on loopback")
}
