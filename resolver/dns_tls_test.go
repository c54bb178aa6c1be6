package resolver

import (
	"bytes"
	"crypto/aes"
	stdcipher "crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/candgw/candgw/cipher"
)

func TestTLSHandshake(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	for _, tt := range []struct {
		name string
		set  func(*tls.Config)
		ok   bool
		alpn string
	}{
		{"no protocol named", func(*tls.Config) {}, true, ""},
		{"dot", func(c *tls.Config) { c.NextProtos = []string{"dot"} }, true, "dot"},
		{"another protocol", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, false, ""},
		{"TLS 1.3", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, true, ""},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true, ""},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false, ""},
		{"another name", func(c *tls.Config) { c.ServerName = "other.test" }, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := s.tls.Clone()
			tt.set(config)
			conn, err := tls.Dial("tcp", s.TLSAddr().String(), config)
			if (err == nil) != tt.ok {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			defer conn.Close()
			if got := conn.ConnectionState().NegotiatedProtocol; got != tt.alpn {
				t.Errorf("protocol %q", got)
			}
		})
	}
}

// Queries in clear on the port of TLS get no answer but a closed connection.
func TestTLSWantsTLS(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	conn, err := dns.Dial("tcp", s.TLSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Conn.Write(framed(t, "local.", dns.TypeSOA, 1))
	checkEnds(t, conn.Conn)
	s.DNS.tls.waitEmpty(t)
}

// A handshake has its time too.
func TestTLSHandshakeTime(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t), func(d *DNS) {
		d.tls.times = forEver
		d.tls.times.handshake = 50 * time.Millisecond
	})
	conn, err := dns.Dial("tcp", s.TLSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	checkEnds(t, conn.Conn)
}

// deaf is a connection whose other end reads nothing.
type deaf struct {
	net.Conn
	closed chan struct{}
}

func (c deaf) Read([]byte) (int, error) {
	<-c.closed
	return 0, io.EOF
}

// Who begins a handshake and does not take what the server says in it is cut off.
func TestTLSHandshakeUnread(t *testing.T) {
	certificate, _ := newCertificate(t)
	certificate.Certificate = append(certificate.Certificate, make([]byte, 15<<20)) // more than the system takes in
	d, err := ListenDNS(newZonedWorld(t).Resolver, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ListenTLS("127.0.0.1:0", func() *tls.Certificate { return certificate }); err != nil {
		t.Fatal(err)
	}
	d.tls.times = forEver
	d.tls.times.handshake, d.tls.times.write = 100*time.Millisecond, 100*time.Millisecond
	go d.Serve(t.Context())
	conn, err := net.Dial("tcp", d.TLSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4096)
	closed := make(chan struct{})
	defer close(closed)
	go tls.Client(deaf{conn, closed}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	d.tls.waitTaken(t, 1)
	d.tls.waitEmpty(t)
}

// TLS 1.3 has the server answer a KeyUpdate by itself, whenever it comes. Package tls sends none, so that the records are
// made here: RFC 8446, sections 5.2, 7.2 and 7.3.
func TestTLSKeyUpdate(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t), func(d *DNS) {
		d.tls.times = forEver
		d.tls.times.write = 500 * time.Millisecond
	})
	var keys bytes.Buffer
	s.tls.KeyLogWriter = &keys
	query := framed(t, s.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA, 1)
	conn := s.dial(t, "tcp-tls")
	conn.Conn.Write(query) // record 0
	checkInOrder(t, conn, 1, false)
	over := conn.Conn.(*tls.Conn)
	if over.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("the processor has no AES")
	}
	_, line, _ := strings.Cut(keys.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	secret, err := hex.DecodeString(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	derive := func(label string, size int) []byte {
		info := string([]byte{0, byte(size), byte(len("tls13 " + label))}) + "tls13 " + label + "\x00"
		out, err := hkdf.Expand(sha256.New, secret, info, size)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	seal := func(number, contentType byte, content []byte) []byte {
		block, err := aes.NewCipher(derive("key", 16))
		if err != nil {
			t.Fatal(err)
		}
		aead, err := stdcipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		nonce := derive("iv", 12)
		nonce[11] ^= number
		header := []byte{23, 3, 3, 0, byte(len(content) + 1 + aead.Overhead())}
		return aead.Seal(header, nonce, append(bytes.Clone(content), contentType), header)
	}
	time.Sleep(600 * time.Millisecond) // the time to take the reply is over
	update := seal(1, 22, []byte{24, 0, 0, 1, 1})
	secret = derive("traffic upd", 32)
	over.NetConn().Write(append(update, seal(0, 23, query)...))
	checkInOrder(t, conn, 1, false)
}

func TestTLSResumes(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	s.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		conn := s.dial(t, "tcp-tls")
		conn.Conn.Write(framed(t, s.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA, 1))
		checkInOrder(t, conn, 1, false) // tickets come before it
		if got := conn.Conn.(*tls.Conn).ConnectionState().DidResume; got != (i == 1) {
			t.Errorf("connection %d: resumed is %v", i, got)
		}
	}
}

// A connection has the certificate of the time when it began; a later one has the next.
func TestTLSCertificateChanges(t *testing.T) {
	w := newZonedWorld(t)
	d, err := ListenDNS(w.Resolver, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Pointer[tls.Certificate]
	if err := d.ListenTLS("127.0.0.1:0", current.Load); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Serve(t.Context()) }()
	s := &testServer{world: w, DNS: d}
	var before []*dns.Conn
	for range 2 {
		certificate, roots := newCertificate(t)
		current.Store(certificate)
		s.tls = &tls.Config{RootCAs: roots, ServerName: "candgw.test"}
		before = append(before, s.dial(t, "tcp-tls"))
	}
	for _, conn := range before {
		conn.Conn.Write(framed(t, w.name(t, cipher.AESUUID, addr4).String()+".local.", dns.TypeA, 1))
		checkInOrder(t, conn, 1, false)
	}
}

// Who pads gets all replies in blocks of one size, and nobody else does: RFC 8467.
func TestPadding(t *testing.T) {
	s := serveDNS(t, newZonedWorld(t))
	v4 := s.name(t, cipher.AESUUID, addr4).String()
	another, err := dns.NewRR(v4 + ".local. 0 IN A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, ask string
		typ       uint16
		edit      func(*dns.Msg)
		size      int // over TLS, 0 where it is that of UDP
	}{
		{"an address", v4 + ".local.", dns.TypeA, nil, 468},
		{"NXDOMAIN", "printer.ice.corp.example.", dns.TypeA, nil, 468},
		{"refused", "example.", dns.TypeA, nil, 468},
		{"the long way", v4 + ".local.", dns.TypeANY, nil, 468},
		{"name servers", "big.test.", dns.TypeNS, nil, 3 * 468},
		{"with a keepalive", v4 + ".local.", dns.TypeA, func(m *dns.Msg) {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
		}, 468},
		{"two questions", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, 468},
		{"a record before OPT", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.Extra = append([]dns.RR{another}, m.Extra...) }, 468},
		{"a record after OPT", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.Extra = append(m.Extra, another) }, 468},
		{"records in all sections, compressed", v4 + ".local.", dns.TypeA, func(m *dns.Msg) {
			m.Compress = true
			m.Answer, m.Ns = []dns.RR{another}, []dns.RR{another}
			m.Extra = append([]dns.RR{another}, m.Extra...)
		}, 468},
		{"not padded", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.IsEdns0().Option = nil }, 0},
		{"no EDNS", v4 + ".local.", dns.TypeA, func(m *dns.Msg) { m.Extra = nil }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(dns.Msg).SetQuestion(tt.ask, tt.typ)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 20)}}
			if tt.edit != nil {
				tt.edit(m)
			}
			packet, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			plain, clear, over := s.ask(t, "udp", packet), s.ask(t, "tcp", packet), s.ask(t, "tcp-tls", packet)
			want := tt.size
			if want == 0 {
				want = len(plain)
			}
			if len(over) != want || len(clear) > len(plain)+6 {
				t.Errorf("%d octets over TLS, %d over TCP, %d over UDP", len(over), len(clear), len(plain))
			}
			got, bare := new(dns.Msg), new(dns.Msg)
			if err := got.Unpack(over); err != nil {
				t.Fatal(err)
			}
			if err := bare.Unpack(plain); err != nil {
				t.Fatal(err)
			}
			if records(got.Answer) != records(bare.Answer) || records(got.Ns) != records(bare.Ns) || got.Rcode != bare.Rcode {
				t.Errorf("got\n%v\nover UDP\n%v", got, bare)
			}
			if tt.size == 0 {
				return
			}
			options := got.IsEdns0().Option
			for _, octet := range options[len(options)-1].(*dns.EDNS0_PADDING).Padding { // RFC 7830, section 3
				if octet != 0 {
					t.Fatalf("padded with %v", options)
				}
			}
		})
	}
}

// FuzzStreamOptions has the octets of a query walked over without a fault, and found what a library finds.
func FuzzStreamOptions(f *testing.F) {
	for _, option := range []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 3)}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}} {
		m := new(dns.Msg).SetQuestion("a.local.", dns.TypeA)
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{option}
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Add([]byte{})
	_, d := newDNS(f)
	d.tls = newStreamServer(d, nil, new(tls.Config))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > maxStreamQuery {
			return
		}
		keepAlive, padded := streamOptions(packet)
		q := new(dns.Msg)
		if q.Unpack(packet) == nil && q.IsEdns0() != nil && q.IsEdns0().Hdr.Name == "." {
			for _, o := range q.IsEdns0().Option {
				switch {
				case o.Option() == dns.EDNS0PADDING && !padded, o.Option() == dns.EDNS0TCPKEEPALIVE && !keepAlive:
					t.Errorf("%x: %v is not found", packet, o)
				}
			}
		}
		c := &stream{server: d.tls, from: local.Addr}
		m := d.tls.memory.Get().(*streamMemory)
		defer d.tls.memory.Put(m)
		m.worker.tally, m.worker.limit = d.tally(), maxStreamReply
		size := c.answer(m, copy(m.buf[:], packet))
		if size > 0 && (new(dns.Msg).Unpack(m.buf[:size]) != nil || size < 12) {
			t.Errorf("query %x\nreply %x", packet, m.buf[:size])
		}
		if padded && size > 0 && endsInOPT(m.buf[:size]) {
			t.Errorf("query %x\nreply %x is not padded", packet, m.buf[:size])
		}
	})
}
