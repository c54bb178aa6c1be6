//go:build linux

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// callPage is a web application for calls that knows nothing of candgw.
//
//go:embed testdata/call.html
var callPage []byte

// watchScript keeps what a page can read.
//
//go:embed testdata/watch.js
var watchScript []byte

// callServer is the server of an application: it serves pages, and passes what one of a room says to the other. It
// writes down every octet that it receives.
type callServer struct {
	mux *http.ServeMux

	mu       sync.Mutex
	received []*bytes.Buffer // over each connection, with TLS taken off
	said     bytes.Buffer    // over WebSockets, one message a line, for on the connection they are masked
	rooms    map[string]*room
}

type room struct {
	members []*websocket.Conn
	waiting []string // what the first said before the second came
}

// startCallServer serves https://NAME at port 443 of every address of the namespace until the test ends.
func startCallServer(t *testing.T, ns namespace, c *certificate) *callServer {
	t.Helper()
	s := newCallServer()
	s.serve(t, ns, c)
	return s
}

func newCallServer() *callServer {
	s := &callServer{mux: http.NewServeMux(), rooms: make(map[string]*room)}
	s.page("/", "text/html", callPage)
	s.page("/watch.js", "text/javascript", watchScript)
	s.mux.Handle("/signal", websocket.Server{Handler: s.relay})
	return s
}

// page has the server serve a content at a path.
func (s *callServer) page(path, kind string, content []byte) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content)
	})
}

func (s *callServer) serve(t *testing.T, ns namespace, c *certificate) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.certificateFile, c.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := ns.listen(t.Context(), ":443")
	if err != nil {
		t.Fatalf("serving the application: %v", err)
	}
	server := &http.Server{Handler: s.mux}
	listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
	go func() { _ = server.Serve(&loggingListener{listener, s}) }()
	t.Cleanup(func() { server.Close() })
}

// relay passes the messages of one to the other in the room, as they are.
func (s *callServer) relay(conn *websocket.Conn) {
	name := conn.Request().URL.Query().Get("room")
	s.enter(name, conn)
	for {
		var message string
		if err := websocket.Message.Receive(conn, &message); err != nil {
			return
		}
		s.note(message)
		s.pass(name, conn, message)
	}
}

// note writes down a message.
func (s *callServer) note(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said.WriteString(message + "\n")
}

func (s *callServer) enter(name string, conn *websocket.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = new(room)
		s.rooms[name] = r
	}
	r.members = append(r.members, conn)
	for _, message := range r.waiting {
		_ = websocket.Message.Send(conn, message)
	}
	r.waiting = nil
}

func (s *callServer) pass(name string, from *websocket.Conn, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if len(r.members) < 2 {
		r.waiting = append(r.waiting, message)
	}
	for _, member := range r.members {
		if member != from {
			_ = websocket.Message.Send(member, message) // who has left hears no more
		}
	}
}

// messages returns the messages of WebSockets that were received since takeLog was called.
func (s *callServer) messages() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

// takeLog returns all that was received since it was called last.
func (s *callServer) takeLog() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var log strings.Builder
	for _, octets := range append(s.received, &s.said) {
		log.Write(octets.Bytes())
		log.WriteByte('\n')
		octets.Reset()
	}
	return log.String()
}

// loggingListener writes down what comes over its connections. They are no longer *tls.Conn to package http, which
// thus speaks HTTP/1.1, in clear text below TLS.
type loggingListener struct {
	net.Listener
	server *callServer
}

func (l *loggingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	received := new(bytes.Buffer)
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	l.server.received = append(l.server.received, received)
	return &loggingConn{conn, l.server, received}, err
}

type loggingConn struct {
	net.Conn
	server   *callServer
	received *bytes.Buffer
}

func (c *loggingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.received.Write(p[:n])
	return n, err
}

// certificate is one that no browser has heard of, in files.
type certificate struct {
	certificateFile, keyFile string
	spki                     string // SHA-256 of its public key in base64, as Chromium wants to be told of it
}

// newCertificate makes a certificate that signs itself.
func newCertificate(t *testing.T, names ...string) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(public)
	folder := t.TempDir()
	c := &certificate{
		certificateFile: filepath.Join(folder, "certificate.pem"),
		keyFile:         filepath.Join(folder, "key.pem"),
		spki:            base64.StdEncoding.EncodeToString(digest[:]),
	}
	for file, block := range map[string]*pem.Block{
		c.certificateFile: {Type: "CERTIFICATE", Bytes: der},
		c.keyFile:         {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
