package gateway

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

const (
	pwd    = "MpiyNBrY/PGEqhMFOPRVzGsf"
	folder = "../internal/sdp/testdata/"

	// keepAll keeps every candidate as it is.
	keepAll = `policy "keep" {
		candidate "host" {
			action          = "keep"
			related_address = "keep"
		}
		candidate "srflx" {
			related_address = "keep"
		}
		candidate "prflx" {
			related_address = "keep"
		}
		candidate "relay" {
			related_address = "keep"
		}
	}`
)

var (
	client = netip.MustParseAddr("192.0.2.1")
	t0     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	// hostAddrs are the addresses of the host on which the browsers ran.
	hostAddrs = []string{"10.77.1.2", "10.77.3.2", "fd12:3456:789a:1::2", "2001:db8:77:1::2"}
)

// names is a NameResolver that knows a few names.
type names struct {
	addrs map[string]string
	ask   func(ctx context.Context, name string) // called first, if set

	mu    sync.Mutex
	asked []string
}

func (n *names) ResolveName(ctx context.Context, name string, from netip.Addr) (netip.Addr, error) {
	n.mu.Lock()
	n.asked = append(n.asked, name)
	n.mu.Unlock()
	if n.ask != nil {
		n.ask(ctx, name)
	}
	if from != client || ctx.Err() != nil {
		return netip.Addr{}, ErrNoLink
	}
	return netip.ParseAddr(n.addrs[name])
}

// browserNames are those of the recorded descriptions.
var browserNames = map[string]string{
	"884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local": "10.77.1.2",
	"a1c54d05-3211-4810-aab6-143803fa4c9d.local": "2001:db8:77:1::2",
	"0ac81c8a-8a8c-4f62-8144-b6bed5e0cdfa.local": "10.77.1.2",
	"edc0c956-2771-47ad-bc18-b3a4d1a49d6a.local": "2001:db8:77:1::2",
}

func loadPolicy(t testing.TB, text string) *policy.Set {
	t.Helper()
	s, err := new(policy.Loader).Load(policy.Source{Name: "test.hcl", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newRing returns a ring with an active key of every suite.
func newRing(t testing.TB) *keyring.Ring {
	t.Helper()
	editor := new(keyring.Ring).Edit(t0)
	for _, s := range cipher.Suites() {
		k, err := cipher.GenerateKey(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := editor.Add(k, keyring.Active); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := editor.Ring()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// A setup is a gateway and what it was made of.
type setup struct {
	*Gateway
	ring  *keyring.Ring
	names *names
	now   time.Time

	mu   sync.Mutex
	seen map[cipher.Name]string
}

// newGateway returns a gateway under the default policy, unless there is another, that resolves the
// recorded names.
func newGateway(t testing.TB, policyText string) *setup {
	t.Helper()
	if policyText == "" {
		policyText = string(policies.Default)
	}
	set := loadPolicy(t, policyText)
	s := &setup{ring: newRing(t), names: &names{addrs: browserNames}, now: t0, seen: map[cipher.Name]string{}}
	s.Gateway = New(Config{
		Ring:   func() *keyring.Ring { return s.ring },
		Policy: func() *policy.Set { return set },
		Names:  s.names,
		Seen: func(n cipher.Name, pwd string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen[n] = pwd
		},
		Now: func() time.Time { return s.now },
	})
	return s
}

func (s *setup) encrypt(t testing.TB, format Format, body string) (string, Report) {
	t.Helper()
	return s.encryptUnder(t, 0, format, body)
}

func (s *setup) encryptUnder(t testing.TB, suite cipher.Suite, format Format, body string) (string, Report) {
	t.Helper()
	r, err := s.Encrypt(context.Background(), Request{Body: []byte(body), Format: format, Client: client, Suite: suite})
	if err != nil {
		t.Fatalf("encrypt: %v", err)
	}
	checkReport(t, &r.Report)
	return string(r.Body), r.Report
}

func (s *setup) decrypt(t testing.TB, format Format, body string) (string, Report) {
	t.Helper()
	r, err := s.Decrypt(context.Background(), Request{Body: []byte(body), Format: format, Client: client})
	if err != nil {
		t.Fatalf("decrypt: %v", err)
	}
	checkReport(t, &r.Report)
	return string(r.Body), r.Report
}

// checkReport wants counts that are those of the candidates, a reason for each that needs one, and no
// address.
func checkReport(t testing.TB, r *Report) {
	t.Helper()
	counts := map[Fate]int{}
	for _, c := range r.Candidates {
		counts[c.Result]++
		as := c.Result == FateEncrypted || c.Result == FateAugmented || c.Result == FateDecrypted // as the policy says
		if as != (c.Reason == "") && !strings.Contains(c.Reason, "no place for a second candidate") {
			t.Errorf("%v has reason %q", c.Result, c.Reason)
		}
		if c.Line < 1 {
			t.Errorf("a candidate on line %d", c.Line)
		}
	}
	if counts[FateEncrypted] != r.Encrypted || counts[FateDecrypted] != r.Decrypted || counts[FateKept] != r.Kept ||
		counts[FateDropped] != r.Dropped || counts[FateUnresolved] != r.Unresolved {
		t.Errorf("counts %+v, candidates %v", r, counts)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	checkNoAddress(t, string(text))
}

// checkNoAddress wants none of the host's addresses and no name in a text.
func checkNoAddress(t testing.TB, text string) {
	t.Helper()
	for _, a := range append([]string{".local"}, hostAddrs...) {
		if strings.Contains(text, a) {
			t.Errorf("%s is in %s", a, text)
		}
	}
}

// checkConcealed is checkNoAddress for the output of Encrypt, where names may be.
func checkConcealed(t testing.TB, body string) {
	t.Helper()
	checkNoAddress(t, strings.ReplaceAll(body, ".local", ""))
}

// recorded returns a description that a browser made.
func recorded(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(folder + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A session is a recorded description without candidates, and these as they were trickled.
type recordedSession struct {
	Initial    string
	Candidates []json.RawMessage
}

func recordedTrickle(t testing.TB, name string) (s recordedSession) {
	t.Helper()
	if err := json.Unmarshal([]byte(recorded(t, name)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// recordedBodies returns every recorded description in every format: SDP, the objects that browsers
// make, and an application's own message.
func recordedBodies(t testing.TB) map[string]Request {
	t.Helper()
	out := map[string]Request{}
	files, err := filepath.Glob(folder + "*.sdp")
	if err != nil || len(files) == 0 {
		t.Fatalf("no descriptions in testdata: %v", err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		text := recorded(t, name)
		out[name] = Request{Body: []byte(text), Format: SDP}
		_, fragment, _ := strings.Cut(text, "t=0 0\r\n")
		out[name+", fragment"] = Request{Body: []byte(fragment), Format: Fragment}
		out[name+", JSON"] = Request{Body: []byte(description(text)), Format: JSON}

		trickle := recorded(t, strings.TrimSuffix(name, ".sdp")+".trickle.json")
		out[name+", trickle"] = Request{Body: []byte(trickle), Format: JSON}
	}
	for name, r := range out {
		r.Client = client
		out[name] = r
	}
	return out
}

// description returns an RTCSessionDescriptionInit.
func description(sdp string) string {
	text, err := json.Marshal(map[string]string{"type": "offer", "sdp": sdp})
	if err != nil {
		panic(err) // never for strings
	}
	return string(text)
}

// offer returns a description of one section with the given lines after its credentials.
func offer(lines ...string) string {
	return "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" +
		"c=IN IP4 0.0.0.0\r\na=ice-ufrag:XHiM\r\na=ice-pwd:" + pwd + "\r\n" + strings.Join(append(lines, ""), "\r\n")
}

// host returns a host candidate's attribute.
func host(addr string) string { return "a=candidate:1 1 udp 2122260223 " + addr + " 4000 typ host" }

// field returns one of the words of the nth candidate of a body: 0 is the foundation, 4 the address.
func field(t testing.TB, body string, n, word int) string {
	t.Helper()
	parts := strings.Split(body, "candidate:")
	if n+1 >= len(parts) {
		t.Fatalf("no candidate %d in %s", n, body)
	}
	return strings.Fields(parts[n+1])[word]
}

// open returns the address that an encrypted name stands for.
func (s *setup) open(t testing.TB, host, pwd string) string {
	t.Helper()
	var o cipher.Opener
	if !readName(&o, host, suffixes...) {
		t.Fatalf("%q is no encrypted name", host)
	}
	opened, err := s.ring.Open(&o, pwd, s.now)
	if err != nil {
		t.Fatalf("%q: %v", host, err)
	}
	return opened.Addr.String()
}
