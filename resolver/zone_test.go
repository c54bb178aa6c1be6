package resolver

import (
	"strings"
	"testing"
)

func TestCheckZones(t *testing.T) {
	ns := []string{"ns1.corp.example", "ns2.corp.example"}
	for _, tt := range []struct {
		name  string
		zones []Zone
		wrong string // what the error says, "" for none
	}{
		{"none", nil, ""},
		{"local", []Zone{{Name: "local"}}, ""},
		{"final dot", []Zone{{Name: "ice.corp.example."}}, ""},
		{"one below another", []Zone{{Name: "ice.corp.example"}, {Name: "a.ice.corp.example", Nameservers: ns}}, ""},
		{"of the longest label", []Zone{{Name: strings.Repeat("a", 63)}}, ""},
		{"no name", []Zone{{}}, "not the name of a zone"},
		{"root", []Zone{{Name: "."}}, "not the name of a zone"},
		{"empty label", []Zone{{Name: "a..b"}}, "not the name of a zone"},
		{"label too long", []Zone{{Name: strings.Repeat("a", 64)}}, "not the name of a zone"},
		{"no room for a name below", []Zone{{Name: strings.Repeat("a.", 125)}}, "not the name of a zone"},
		{"twice", []Zone{{Name: "a.example"}, {Name: "A.Example."}}, "twice"},
		{"local with name servers", []Zone{{Name: "Local", Nameservers: ns}}, "Multicast DNS"},
		{"below local with name servers", []Zone{{Name: "a.local", Nameservers: ns}}, "Multicast DNS"},
		{"name server in the zone", []Zone{{Name: "ice.corp.example", Nameservers: []string{"ns.ICE.corp.example"}}}, "in the zone above"},
		{"name server that is the zone", []Zone{{Name: "ice.corp.example", Nameservers: []string{"ice.corp.example."}}}, "in the zone above"},
		{"name server in another zone", []Zone{{Name: "ice.corp.example", Nameservers: []string{"ns.local"}}, {Name: "local"}}, "in the zone above"},
		{"name server beside the zone", []Zone{{Name: "ice.corp.example", Nameservers: []string{"nsice.corp.example"}}}, ""},
		{"name server without a name", []Zone{{Name: "ice.corp.example", Nameservers: []string{""}}}, "not the name of a name server"},
		{"name server of no form", []Zone{{Name: "ice.corp.example", Nameservers: []string{"a..b"}}}, "not the name of a name server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckZones(tt.zones)
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("got %v, want %q", err, tt.wrong)
			}
			if _, again := New(Config{Zones: tt.zones}); (again == nil) != (err == nil) {
				t.Errorf("New: %v", again)
			}
		})
	}
}

// Of two zones that a name is in, it belongs to the one below.
func TestZoneOf(t *testing.T) {
	zones, err := newZones([]Zone{{Name: "corp.example"}, {Name: "local"}, {Name: "Ice.corp.example."}, {Name: "deep.below.corp.example"}, {Name: "école.example"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, zone, labels string }{
		{"a.corp.example", "corp.example", "a"},
		{"a.ICE.corp.example", "ice.corp.example", "a"},
		{"a.b.ice.corp.example", "ice.corp.example", "a.b"},
		{"ice.corp.example", "ice.corp.example", ""},
		{"xice.corp.example", "corp.example", "xice"},
		{"corp.example", "corp.example", ""},
		{"LOCAL", "local", ""},
		{`a\.local`, "", ""},
		{`a\\.local`, "local", `a\\`},
		{"local.example", "", ""},
		{"a.deep.below.corp.example", "deep.below.corp.example", "a"},
		{"below.corp.example", "corp.example", "below"},
		{`x.\195\169cole.example`, `\195\169cole.example`, "x"},
		{"", "", ""},
	} {
		z, labels := zoneOf(zones, tt.name)
		zone := ""
		if z != nil {
			zone = z.text
		}
		if zone != tt.zone || labels != tt.labels {
			t.Errorf("%s: got %q in %q, want %q in %q", tt.name, labels, zone, tt.labels, tt.zone)
		}
	}
}

// A node that was started with other name servers has a later serial, or stubs would keep the former ones.
func TestSerial(t *testing.T) {
	w := newWorld(t, "a.example")
	if got, want := w.zones[0].soa.Serial, uint32(w.now.Unix()); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}
