package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHTTP2End ends a server that speaks HTTP/2 under load: what was asked is answered, what is under way for long
// included, and then the connections are closed.
func TestHTTP2End(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := writeCertificate(t, dir, "ca", nil, nil)
	leaf, key := writeCertificate(t, dir, "web", ca, caKey)
	var begun, answered atomic.Int64
	held, release := make(chan struct{}, 1), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/slow" {
			held <- struct{}{}
			<-release
		}
		w.Write(body)
	})
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	s, err := listenWeb("127.0.0.1:0", handler, config)
	if err != nil {
		t.Fatal(err)
	}
	s.speakHTTP2(maxRequests)
	served := make(chan error, 1)
	go func() { served <- s.serve() }()

	roots := x509.NewCertPool()
	roots.AddCert(ca)
	newClient := func() *http.Client {
		return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "candgw1.corp.example"},
		}}
	}
	ask := func(c *http.Client, path string) error {
		resp, err := c.Post("https://"+s.listener.Addr().String()+path, "text/plain", strings.NewReader("hello"))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && (resp.ProtoMajor != 2 || string(body) != "hello") {
			t.Errorf("%s answers %q", resp.Proto, body)
		}
		return err
	}
	slow := make(chan error, 1)
	go func() { slow <- ask(newClient(), "/slow") }()
	select {
	case <-held:
	case err := <-slow:
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	client := newClient()
	for range 8 {
		clients.Go(func() {
			for ask(client, "/") == nil { // until nobody listens any more
				answered.Add(1)
			}
		})
	}
	waitFor(t, func() bool { return answered.Load() >= 200 })
	closed := make(chan struct{})
	go func() {
		s.close(100 * time.Millisecond)
		close(closed)
	}()
	clients.Wait()
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("the slow request: %v", err)
	}
	<-closed
	if err := <-served; err != nil {
		t.Error(err)
	}
	if lost := begun.Load() - answered.Load() - 1; lost != 0 {
		t.Errorf("%d requests were answered, %d begun and lost", answered.Load(), lost)
	}
}
