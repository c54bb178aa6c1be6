package doctor

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/policy"
)

// loadPolicy returns one policy.
func loadPolicy(t *testing.T, text string) *policy.Set {
	t.Helper()
	set, err := new(policy.Loader).Load(policy.Source{Name: "a.hcl", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// serveCode answers every query with a code, and returns where.
func serveCode(t *testing.T, rcode int) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		w.WriteMsg(new(dns.Msg).SetRcode(m, rcode))
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	return c.LocalAddr().String()
}

// A node whose policies are for its subnets alone refuses itself, and is well.
func TestDNS(t *testing.T) {
	campus := loadPolicy(t, "policy \"campus\" {\n clients = [\"10.20.0.0/16\"]\n resolve {}\n}")
	for _, tt := range []struct {
		name  string
		rcode int
		set   *policy.Set
		want  string
	}{
		{"refused by the policies of the node", dns.RcodeRefused, campus, "skip, DNS: it answers"},
		{"refused though the policies allow it", dns.RcodeRefused, nil, "fail, DNS: it refuses to answer this host"},
		{"another ring", dns.RcodeNameError, campus, "fail, DNS: it does not open a name made here"},
		{"a fault", dns.RcodeServerFailure, nil, "fail, DNS: it answers SERVFAIL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			if tt.set != nil {
				n.Policy = tt.set
			}
			n.Config.DNS.Listen = serveCode(t, tt.rcode)
			var r report
			n.checkDNS(t.Context(), &r)
			check(t, r, tt.want)
		})
	}
}

// Findings may go into a ticket: what a policy has in the line of a mistake does not stand in them.
func TestPolicyTellsNoAddress(t *testing.T) {
	const secret = "10.20.30.40"
	_, err := new(policy.Loader).Load(policy.Source{Name: "a.hcl", Text: []byte("policy \"a\" {\n clients = [\"" + secret + "\"]\n}")})
	if err == nil || !strings.Contains(err.Error(), secret) {
		t.Fatalf("got %v, want a mistake shown with its line", err)
	}
	n := newNode(t)
	n.PolicyError = err
	var r report
	n.checkPolicy(&r)
	n.PolicyError = nil
	n.Policy = loadPolicy(t, "policy \"a\" {\n name { suite = \"aes-gcm\" } # "+secret+"\n}")
	n.Ring = nil
	n.checkPolicy(&r)
	check(t, r, "fail, policies: invalid policy: a.hcl:2: ", "warn, policies: a.hcl:2: ")
	for _, f := range r {
		if strings.Contains(f.What+f.Do, secret) || strings.Contains(f.What+f.Do, "\n") {
			t.Errorf("a finding has a line of the policy: %+v", f)
		}
	}
}
