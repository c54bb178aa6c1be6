// Command coredns is CoreDNS with the plugins alone that a static zone needs.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/minimal"
)

func main() {
	dnsserver.Directives = []string{"bind", "minimal", "file"}
	coremain.Run()
}
