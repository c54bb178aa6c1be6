package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"
)

// certificate NAME CERTIFICATE-FILE KEY-FILE makes a certificate for a host that is its own root.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: certificate name certificate-file key-file")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: args[0]}, DNSNames: []string{args[0]}, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o644))
	raw, err = x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}

// asks udp|tcp|tls:NAME:CERTIFICATE-FILE ADDRESS NAME TYPE EXPECT… compares what a server answers: the name of
// the response code, and the data of the records. @FILE is the first .local name in a file. It waits for the
// server to come up, or to change to the certificate.
func asks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: asks udp|tcp|tls:name:certificate-file address name type expect…")
	}
	client := dns.Client{Net: args[0], Timeout: patience}
	if over, ok := strings.CutPrefix(args[0], "tls:"); ok {
		name, file, _ := strings.Cut(over, ":")
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(ts.ReadFile(file))) {
			ts.Fatalf("no certificate in %s", file)
		}
		client.Net, client.TLSConfig = "tcp-tls", &tls.Config{RootCAs: roots, ServerName: name}
	}
	name := args[2]
	if file, ok := strings.CutPrefix(name, "@"); ok {
		name = regexp.MustCompile(`\S+\.local`).FindString(ts.ReadFile(file))
	}
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.StringToType[args[3]])
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		reply, _, err := client.ExchangeContext(ctx, query, args[1])
		if err != nil && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		ts.Check(err)
		got := []string{dns.RcodeToString[reply.Rcode]}
		for _, rr := range append(reply.Answer, reply.Ns...) {
			if soa, ok := rr.(*dns.SOA); ok {
				soa.Serial = 1 // it tells when the server was started
			}
			got = append(got, dns.TypeToString[rr.Header().Rrtype]+" "+strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		if want := args[4:]; strings.Join(got, "; ") != strings.Join(want, "; ") {
			ts.Fatalf("%s %s is answered %q, want %q", name, args[3], got, want)
		}
		return
	}
}
