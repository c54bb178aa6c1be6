package doctor

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// portHex is the port of Multicast DNS as /proc/net/udp writes it.
const portHex = ":14E9"

// programsOnPort returns the names of the programs that have the port of Multicast DNS open, each once, and how many
// of their sockets belong to processes that cannot be seen.
func programsOnPort(root string) (names []string, unseen int, known bool) {
	inodes := map[string]bool{}
	for _, file := range []string{"udp", "udp6"} {
		for _, words := range tableOf(filepath.Join(root, "proc/net", file)) {
			known = true
			if len(words) > 9 && strings.HasSuffix(words[1], portHex) {
				inodes["socket:["+words[9]+"]"] = true
			}
		}
	}
	processes, _ := filepath.Glob(filepath.Join(root, "proc/[0-9]*"))
	for _, p := range processes {
		files, err := os.ReadDir(filepath.Join(p, "fd"))
		if err != nil {
			continue // of another user, or gone
		}
		for _, f := range files {
			if to, err := os.Readlink(filepath.Join(p, "fd", f.Name())); err == nil && inodes[to] {
				delete(inodes, to)
				if name, err := os.ReadFile(filepath.Join(p, "comm")); err == nil {
					names = append(names, strings.TrimSpace(string(name)))
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), len(inodes), known
}

// joined reports whether any program has joined the group of Multicast DNS on an interface.
func joined(root, ifc string, v6 bool) (yes, known bool) {
	if v6 {
		for _, words := range tableOf(filepath.Join(root, "proc/net/igmp6")) {
			known = true
			if len(words) > 2 && words[1] == ifc && words[2] == "ff0200000000000000000000000000fb" {
				return true, true
			}
		}
		return false, known
	}
	current := ""
	for _, words := range tableOf(filepath.Join(root, "proc/net/igmp")) {
		known = true
		switch {
		case len(words) > 2 && words[2] == ":": // an interface; its groups follow
			current = words[1]
		case len(words) > 0 && current == ifc && (words[0] == "FB0000E0" || words[0] == "E00000FB"): // by the processor
			return true, true
		}
	}
	return false, known
}

// tableOf returns the words of each line of a file, none if it cannot be read.
func tableOf(path string) (out [][]string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		out = append(out, strings.Fields(s.Text()))
	}
	return out
}
