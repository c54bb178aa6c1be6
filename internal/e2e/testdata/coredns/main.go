// Command coredns is CoreDNS with the plugins alone that docs/dns.md has.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
)

func main() {
	dnsserver.Directives = []string{"errors", "cache", "file", "forward"}
	coremain.Run()
}
