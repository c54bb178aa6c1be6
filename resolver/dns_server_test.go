package resolver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A testServer answers for zones of all sorts, over UDP, TCP and TLS.
type testServer struct {
	*world
	*DNS
	tls *tls.Config // of its clients
}

var transports = []string{"udp", "tcp", "tcp-tls"}

// newZonedWorld returns a world with zones of all sorts.
func newZonedWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	big := Zone{Name: "big.test"}
	for i := range 12 {
		big.Nameservers = append(big.Nameservers, fmt.Sprintf("%d%s.example", i, strings.Repeat("n", 60)))
	}
	zones, err := newZones([]Zone{
		{Name: "local"}, {Name: "other.test"}, big,
		{Name: "ice.corp.example", Nameservers: []string{"ns1.corp.example", "ns2.corp.example"}},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.zones = zones
	return w
}

// serveDNS runs a server on loopback until the test ends. edit, if there is one, changes it before.
func serveDNS(t testing.TB, w *world, edit ...func(*DNS)) *testServer {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, done := startDNS(t, ctx, w, edit...)
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// startDNS runs a server on loopback until ctx ends; done then has what Serve returned.
func startDNS(t testing.TB, ctx context.Context, w *world, edit ...func(*DNS)) (s *testServer, done chan error) {
	t.Helper()
	d, err := ListenDNS(w.Resolver, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, roots := newCertificate(t)
	if err := d.ListenTLS("127.0.0.1:0", func() *tls.Certificate { return certificate }); err != nil {
		t.Fatal(err)
	}
	for _, f := range edit {
		f(d)
	}
	done = make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()
	return &testServer{w, d, &tls.Config{RootCAs: roots, ServerName: "candgw.test"}}, done
}

// newCertificate returns a certificate for candgw.test that is its own root.
func newCertificate(t testing.TB) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"candgw.test"}, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, roots
}

// dial opens a connection over a transport, or a socket for UDP.
func (s *testServer) dial(t testing.TB, transport string) *dns.Conn {
	t.Helper()
	addr := s.Addr()
	if transport == "tcp-tls" {
		addr = s.TLSAddr()
	}
	conn, err := (&dns.Client{Net: transport, TLSConfig: s.tls, UDPSize: dns.MaxMsgSize}).Dial(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.UDPSize = dns.MaxMsgSize
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// patience is for what takes milliseconds on an idle machine.
const patience = 20 * time.Second

// ask sends a packet over a transport and returns the reply, nil if the connection is closed instead.
func (s *testServer) ask(t *testing.T, transport string, packet []byte) []byte {
	t.Helper()
	conn := s.dial(t, transport)
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(reply)
	if transport != "udp" && errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return reply[:n]
}

// checkSilent sends a datagram that gets no reply.
func (s *testServer) checkSilent(t *testing.T, packet []byte) {
	t.Helper()
	conn := s.dial(t, "udp")
	next := new(dns.Msg).SetQuestion(".", dns.TypeNS) // which comes to the same socket of the server, after it
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMsg(next); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.ReadMsg(); err != nil || got.Id != next.Id {
		t.Errorf("got %v, %v", got, err)
	}
}

// counts returns what was counted since the last call, once it is n lookups.
func (s *testServer) counts(t *testing.T, n int) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		total, seen := 0, fmt.Sprint(s.seen)
		for _, n := range s.seen {
			total += n
		}
		if total >= n {
			clear(s.seen)
		}
		s.mu.Unlock()
		if total >= n {
			return seen
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s was counted, want %d lookups", seen, n)
		}
	}
}

func records(list []dns.RR) string {
	var out []string
	for _, rr := range list {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(out, "; ")
}
