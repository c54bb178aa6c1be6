package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestProgramsOnPort(t *testing.T) {
	root := t.TempDir()
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	line := func(addr string, inode int) string {
		return "  1: " + addr + " 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 " + strconv.Itoa(inode) + " 2 0 0\n"
	}
	write(t, root, "proc/net/udp", header+line("00000000:14E9", 11)+line("00000000:14E9", 12)+line("0100007F:0035", 13))
	write(t, root, "proc/net/udp6", header+line("00000000000000000000000000000000:14E9", 14))
	for pid, inode := range map[string]string{"7": "socket:[11]", "8": "socket:[13]", "9": "socket:[14]"} {
		write(t, root, "proc/"+pid+"/comm", "program"+pid+"\n")
		if err := os.MkdirAll(filepath.Join(root, "proc", pid, "fd"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(inode, filepath.Join(root, "proc", pid, "fd", "3")); err != nil {
			t.Fatal(err)
		}
	}
	names, unseen, known := programsOnPort(root)
	if !slices.Equal(names, []string{"program7", "program9"}) || unseen != 1 || !known {
		t.Errorf("got %v, %d, %v", names, unseen, known)
	}
	if names, unseen, known := programsOnPort(t.TempDir()); names != nil || unseen != 0 || known {
		t.Errorf("without /proc got %v, %d, %v", names, unseen, known)
	}
}

func TestJoined(t *testing.T) {
	root := t.TempDir()
	write(t, root, "proc/net/igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"+
		"1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"+
		"2\teth0      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"+
		"3\teth1      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n")
	write(t, root, "proc/net/igmp6", "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"+
		"3    eth1            ff0200000000000000000000000000fb     1 00000004 0\n")
	for _, tt := range []struct {
		ifc    string
		v4, v6 bool
	}{{"lo", false, false}, {"eth0", true, false}, {"eth1", false, true}, {"eth", false, false}} {
		for v6, want := range map[bool]bool{false: tt.v4, true: tt.v6} {
			if yes, known := joined(root, tt.ifc, v6); yes != want || !known {
				t.Errorf("%s, IPv6 %v: got %v, %v", tt.ifc, v6, yes, known)
			}
		}
	}
	if yes, known := joined(t.TempDir(), "eth0", false); yes || known {
		t.Error("it is known without /proc")
	}
}
