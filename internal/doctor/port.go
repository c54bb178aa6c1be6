package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candgw/candgw/internal/mcast"
)

// isOurs reports whether a program is candgw, under whatever name it was installed.
func isOurs(name string) bool { return name == "candgw" || name == filepath.Base(os.Args[0]) }

// checkPort looks who has the port of Multicast DNS.
func (n *Node) checkPort(r *report) {
	const check = "port 5353"
	if !n.Config.MDNS.Enabled {
		r.add(check, Warn, "Multicast DNS is switched off here", "Browsers ask for names by Multicast DNS alone: each of their subnets needs a node that speaks it.")
		return
	}
	// Whoever has the port for himself alone keeps serve from it as well.
	if c, err := mcast.Listen4(); err != nil {
		r.add(check, Fail, "it cannot be opened: "+err.Error(), "Another program has it for itself: end it, or have it share the port (Avahi: disallow-other-stacks=no).")
	} else {
		c.Close()
	}
	names, unseen, known := programsOnPort(n.Root)
	if !known {
		r.add(check, Skip, "who has it open cannot be seen here", "")
		return
	}
	others := slices.DeleteFunc(slices.Clone(names), isOurs)
	if len(others) > 0 {
		r.add(check, OK, "open in "+strings.Join(others, ", ")+" as well", "That is allowed. What is sent to the port of this host alone reaches one of them only; another responder must not answer for names that it does not know.")
	}
	switch {
	case slices.ContainsFunc(names, isOurs):
		r.ok(check, "candgw has it open")
	case unseen > 0:
		r.add(check, Skip, fmt.Sprintf("%d sockets are of processes that this user cannot see", unseen), "Run the doctor as root.")
	default:
		r.add(check, Fail, "no candgw has it open", "Start 'candgw serve': without it nobody answers for names on the links of this host.")
	}
}
