package policy_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/candgw/candgw/policy"
)

func origin(t testing.TB, s string) policy.Origin {
	t.Helper()
	o, err := policy.ParseOrigin(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return o
}

const severalPolicies = `
policy "meet" {
  clients = ["10.1.0.0/16"]
  origins = ["https://Meet.example.com:443", "http://[2001:DB8::1]:8080"]
}
policy "lab" { clients = ["10.1.2.0/24", "fd00:1::/32"] }
policy "nobody" { clients = [] }
policy "no origin" { origins = [] }
policy "private" { clients = private_networks }
policy "anyone at b" { origins = ["https://b.example"] }
`

func TestFirstMatch(t *testing.T) {
	set := load(t, severalPolicies)
	for _, tt := range []struct{ name, client, origin, want string }{
		{"client and origin", "10.1.9.9", "https://meet.example.com", "meet"},
		{"port of the scheme", "10.1.9.9", "https://meet.example.com:443", "meet"},
		{"second origin", "10.1.9.9", "http://[2001:db8::1]:8080", "meet"},
		{"before one that fits closer", "10.1.2.3", "https://meet.example.com", "meet"},
		{"another port", "10.1.9.9", "https://meet.example.com:8443", "private"},
		{"another scheme", "10.1.9.9", "http://meet.example.com", "private"},
		{"a host below", "10.1.9.9", "https://a.meet.example.com", "private"},
		{"no origin", "10.1.2.3", "", "lab"},
		{"network inside one that comes later", "10.1.2.255", "https://c.example", "lab"},
		{"right beside it", "10.1.3.0", "https://c.example", "private"},
		{"IPv4-mapped client", "::ffff:10.1.2.3", "", "lab"},
		{"IPv6 client", "fd00:1::7", "", "lab"},
		{"IPv6 client with a zone", "fd00:1::7%eth0", "", "lab"},
		{"origin after a client", "10.200.0.1", "https://b.example", "private"},
		{"any client at an origin", "192.0.2.1", "https://b.example", "anyone at b"},
		{"unknown client at an origin", "", "https://b.example", "anyone at b"},
		{"unknown client at an origin with clients", "", "https://meet.example.com", ""},
		{"nobody's", "192.0.2.1", "", ""},
		{"unknown client", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o policy.Origin
			if tt.origin != "" {
				o = origin(t, tt.origin)
			}
			s := set.DecideSession(ip(tt.client), o)
			v := set.DecideCandidate(policy.Candidate{Client: ip(tt.client), Origin: o, Type: "host"})
			if s.InboundBy.Name() != tt.want || v.By.Name() != tt.want {
				t.Errorf("got session by %v, candidate by %v, want %q", s.InboundBy, v.By, tt.want)
			}
		})
	}
}

// Order decides, not how close a network fits.
func TestOrder(t *testing.T) {
	const wide, narrow = `policy "wide" { clients = ["10.0.0.0/8"] }`, `policy "narrow" { clients = ["10.1.0.0/16"] }`
	for text, want := range map[string]string{wide + "\n" + narrow: "wide", narrow + "\n" + wide: "narrow"} {
		if s := load(t, text).DecideSession(ip("10.1.0.1"), ""); s.InboundBy.Name() != want {
			t.Errorf("%s: got %v", text, s.InboundBy)
		}
	}
	files := []policy.Source{{Name: "1.hcl", Text: []byte(wide)}, {Name: "2.hcl", Text: []byte(narrow)}}
	set, err := new(policy.Loader).Load(files[1], files[0])
	if err != nil {
		t.Fatal(err)
	}
	if s := set.DecideSession(ip("10.1.0.1"), ""); s.InboundBy.Name() != "narrow" || s.InboundBy.File != "2.hcl" {
		t.Errorf("got %v", s.InboundBy)
	}
}

// Nothing matches: what the issue says of it.
func TestNoMatch(t *testing.T) {
	set := load(t, `policy "p" { clients = ["10.0.0.0/8"] }`)
	for typ, want := range map[string]policy.Action{"host": policy.Drop, "srflx": policy.Keep, "prflx": policy.Keep, "relay": policy.Keep, "": policy.Drop, "other": policy.Drop} {
		v := set.DecideCandidate(policy.Candidate{Client: ip("192.0.2.1"), Type: typ, Addr: ip("192.0.2.1")})
		if v.Action != want || v.KeepRelated || v.By != nil || v.By.Name() != "" || v.By.String() != "no policy matches" {
			t.Errorf("%q: got %+v", typ, v)
		}
	}
	if s := set.DecideSession(ip("192.0.2.1"), ""); s != (policy.Session{}) {
		t.Errorf("got %+v", s)
	}
	if a := set.DecideAsker(ip("192.0.2.1"), true); a != (policy.Asker{}) || a.Answer(ip("10.0.0.1")) != (policy.Answer{}) {
		t.Errorf("got %+v", a)
	}
}

func TestFirstMatchOfLookups(t *testing.T) {
	set := load(t, `
policy "web" {
  clients = ["10.1.0.0/16"]
  origins = ["https://meet.example.com"]
}
policy "guests" { clients = ["10.9.0.0/16"] }
policy "printers" {
  clients = []
  resolve { clients = ["10.2.0.0/16"] }
}
policy "campus" {
  clients = ["10.0.0.0/8"]
  resolve { own_links = true }
}
policy "rest" {
  origins = ["https://rest.example.com"]
  resolve { clients = ["192.0.2.0/24"] }
}
`)
	for _, tt := range []struct {
		name, asker string
		onLink      bool
		want        string
		allow       bool
	}{
		{"a policy with origins alone says nothing on lookups", "10.1.0.1", false, "campus", true},
		{"no resolve refuses", "10.9.0.1", false, "guests", false},
		{"no resolve refuses on an own link too", "10.9.0.1", true, "guests", false},
		{"clients of resolve", "10.2.0.1", false, "printers", true},
		{"clients of the policy", "10.3.0.1", false, "campus", true},
		{"IPv4-mapped", "::ffff:10.2.0.1", false, "printers", true},
		{"own link", "203.0.113.1", true, "campus", true},
		{"own link, and in a later policy", "192.0.2.1", true, "campus", true},
		{"resolve of a policy with origins", "192.0.2.1", false, "rest", true},
		{"own link, not known", "", true, "campus", true},
		{"nobody's", "203.0.113.1", false, "", false},
		{"not known", "", false, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := policy.Lookup{Asker: ip(tt.asker), OnLink: tt.onLink, Addr: ip("10.1.1.1")}
			a, answer := set.DecideAsker(l.Asker, l.OnLink), set.DecideLookup(l)
			if a.By.Name() != tt.want || a.Allow != tt.allow || answer.By.Name() != tt.want || answer.Allow != tt.allow {
				t.Errorf("got %+v, %+v", a, answer)
			}
		})
	}
}

func TestParseOrigin(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"as it is", "https://meet.example.com", "https://meet.example.com"},
		{"letter case", "HTTPS://Meet.Example.COM", "https://meet.example.com"},
		{"port of https", "https://meet.example.com:443", "https://meet.example.com"},
		{"port of http", "http://meet.example.com:80", "http://meet.example.com"},
		{"port of the other", "http://meet.example.com:443", "http://meet.example.com:443"},
		{"other port", "https://meet.example.com:8443", "https://meet.example.com:8443"},
		{"IPv4", "http://192.0.2.1", "http://192.0.2.1"},
		{"IPv6", "https://[2001:DB8::1]:443", "https://[2001:db8::1]"},
		{"one label", "http://localhost:3000", "http://localhost:3000"},
		{"none", "", ""},
		{"null", "null", ""},
		{"any", "*", ""},
		{"wildcard", "https://*.example.com", ""},
		{"host alone", "meet.example.com", ""},
		{"host and port", "meet.example.com:443", ""},
		{"no scheme", "//meet.example.com", ""},
		{"another scheme", "ftp://meet.example.com", ""},
		{"extension", "chrome-extension://abcdef", ""},
		{"file", "file:///etc/passwd", ""},
		{"slash", "https://meet.example.com/", ""},
		{"path", "https://meet.example.com/room", ""},
		{"query", "https://meet.example.com?a=b", ""},
		{"empty query", "https://meet.example.com?", ""},
		{"fragment", "https://meet.example.com#a", ""},
		{"empty fragment", "https://meet.example.com#", ""},
		{"user", "https://ann@meet.example.com", ""},
		{"empty user", "https://@meet.example.com", ""},
		{"no host", "https://", ""},
		{"port alone", "https://:443", ""},
		{"no port", "https://meet.example.com:", ""},
		{"port no number", "https://meet.example.com:https", ""},
		{"two", "https://a.example https://b.example", ""},
		{"space before", " https://a.example", ""},
		{"space after", "https://a.example ", ""},
		{"not ASCII", "https://mëet.example.com", ""},
		{"escape", "https://m%65et.example.com", ""},
		{"zone", "https://[fe80::1%25eth0]", ""},
		{"list", "https://a.example,https://b.example", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := policy.ParseOrigin(tt.in)
			if string(got) != tt.want || (tt.want == "") != errors.Is(err, policy.ErrOrigin) {
				t.Fatalf("got %q, %v", got, err)
			}
			if again, err := policy.ParseOrigin(string(got)); tt.want != "" && (again != got || err != nil) {
				t.Errorf("again: %q, %v", again, err)
			}
		})
	}
}

// FuzzParseOrigin: an origin that is one is its own normal form.
func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{"https://meet.example.com:443", "http://[::1]:80", "null", "https://a.example:0080"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := policy.ParseOrigin(s)
		if err != nil {
			if o != "" || !errors.Is(err, policy.ErrOrigin) {
				t.Fatalf("%q: %q, %v", s, o, err)
			}
			return
		}
		if again, err := policy.ParseOrigin(string(o)); again != o || err != nil {
			t.Fatalf("%q: %q, then %q, %v", s, o, again, err)
		}
	})
}

// The same addresses and networks of both families at the ends of their spaces.
func TestEnds(t *testing.T) {
	set := load(t, `
policy "last 4" { clients = ["255.255.255.255/32"] }
policy "last 6" { clients = ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"] }
policy "first" { clients = ["0.0.0.0/32", "::/128"] }
policy "all" { clients = ["0.0.0.0/0", "::/0"] }
`)
	for client, want := range map[netip.Addr]string{
		ip("255.255.255.255"): "last 4", ip("255.255.255.254"): "all", ip("0.0.0.0"): "first", ip("::"): "first", ip("::1"): "all",
		ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"): "last 6", ip("ffff::"): "all", {}: "",
	} {
		if got := set.DecideSession(client, "").InboundBy.Name(); got != want {
			t.Errorf("%v: got %q, want %q", client, got, want)
		}
	}
	if w := set.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %+v", w)
	}
}
