package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v2"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

// browserSuffix is that of the names that browsers make.
const browserSuffix = "local"

// suffixes are those that a name may carry on its way in, besides those that policies write.
var suffixes = []string{browserSuffix, "encrypted"}

// A call is the state of one request.
type call struct {
	gateway *Gateway
	request Request
	ring    *keyring.Ring
	policy  *policy.Set
	session policy.Session
	now     time.Time
	doc     *document
	report  Report

	names       map[string]netip.Addr // what browsers' names stand for, by origin
	raw         map[netip.Addr]string // origins made up for raw addresses
	foundations map[string]string     // new ones by old ones
	concealed   map[netip.Addr]bool   // addresses of the body that must not be told
	heads       map[head]bool         // what they begin with
	told        map[netip.Addr]bool   // addresses that a candidate tells
	hidden      []netip.Addr          // addresses to conceal unless one does
	counted     map[sessionKey]counts // of sessions that are not remembered
	passwords   []byte                // of sessions
}

// enter remembers the sessions that a text begins.
func (c *call) enter(t *text) error {
	for i := range t.desc.Sections {
		if ufrag, pwd := t.desc.Ufrag(t.s, i), t.desc.Pwd(t.s, i); ufrag != "" && pwd != "" {
			c.gateway.sessions.start(c.sessionKey(ufrag), pwd, t.desc.Whole)
		}
	}
	for _, cand := range t.desc.Candidates {
		if err := agree(t.s, &cand); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) sessionKey(ufrag string) sessionKey { return sessionKey{c.request.Client, ufrag} }

// agree has pion/ice read the candidate as well. What it makes of one decides how ICE stacks
// understand it: where the two readers take different addresses from one line, the line is refused.
func agree(s string, cand *sdp.Candidate) error {
	text := cand.Text.Of(s)
	theirs, err := ice.UnmarshalCandidate(text[strings.IndexByte(text, ':')+1:])
	if err != nil {
		return nil // a type, transport or name that it does not know
	}
	same := strings.EqualFold(theirs.Address(), cand.Host.Of(s))
	if cand.Host.Addr.IsValid() {
		addr, err := netip.ParseAddr(theirs.Address())
		same = err == nil && addr.Unmap() == cand.Host.Addr
	}
	if !same || fmt.Sprint(theirs.Port()) != strings.TrimLeft(cand.Port.Of(s), "0") && theirs.Port() != 0 ||
		!strings.EqualFold(theirs.Type().String(), cand.Type.Of(s)) {
		return &sdp.Error{Line: cand.Line, What: "the candidate reads as another one to other ICE stacks"}
	}
	return nil
}

// localName returns a host name of the suffix .local in lower case and without a final dot, which is
// what makes it the origin of an address.
func localName(host string) (string, bool) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name, strings.HasSuffix(name, "."+browserSuffix)
}

// resolveNames asks for the browsers' names of the whole body at once.
func (c *call) resolveNames(ctx context.Context) {
	c.names = map[string]netip.Addr{}
	if c.gateway.config.Names == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.gateway.config.Patience)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	asked := map[string]bool{}
	for _, t := range c.doc.texts {
		for i := range t.desc.Candidates {
			cand := &t.desc.Candidates[i]
			name, ok := localName(cand.Host.Of(t.s))
			if !ok || asked[name] || len(asked) == MaxCandidates || c.isOurs(t, cand) || c.decide(t, cand, netip.Addr{}).Action == policy.Drop {
				continue
			}
			asked[name] = true
			wg.Go(func() {
				addr, err := c.gateway.config.Names.ResolveName(ctx, name, c.request.Client)
				if err == nil && addr.IsValid() {
					mu.Lock()
					defer mu.Unlock()
					c.names[name] = addr.Unmap().WithZone("")
				}
			})
		}
	}
	wg.Wait()
}

// isOurs reports whether a candidate is encrypted already, under a key of the ring.
func (c *call) isOurs(t *text, cand *sdp.Candidate) bool {
	_, ok := c.open(t, cand)
	return ok
}

// open returns the address of an encrypted candidate, in whichever way it is written.
func (c *call) open(t *text, cand *sdp.Candidate) (netip.Addr, bool) {
	var o cipher.Opener
	switch {
	case !cand.Ciphertext.Empty():
		e, err := cipher.ParseExtension(cand.Ciphertext.Of(t.s))
		if err != nil {
			return netip.Addr{}, false
		}
		cipher.ReadName(&o, e.Name.String())
	case !readName(&o, cand.Host.Of(t.s), suffixes...) && !readName(&o, cand.Host.Of(t.s), c.policy.Suffixes()...):
		return netip.Addr{}, false
	}
	pwd, _ := c.password(t, cand)
	opened, err := c.ring.Open(&o, pwd, c.now)
	if err != nil {
		return netip.Addr{}, false
	}
	if c.gateway.config.Opened != nil {
		c.gateway.config.Opened(opened.Key)
	}
	if opened.Key.Suite().NeedsPassword() {
		c.seen(o.Name(), pwd)
	}
	return opened.Addr, true
}

// seen tells of a name, with a copy of its password: the one here is a part of the body.
func (c *call) seen(name cipher.Name, pwd string) { c.gateway.config.Seen(name, strings.Clone(pwd)) }

// readName reads an encrypted name with one of some suffixes.
func readName(o *cipher.Opener, host string, suffixes ...string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, s := range suffixes {
		if labels, ok := strings.CutSuffix(host, s); ok && strings.HasSuffix(labels, ".") && cipher.ReadName(o, labels[:len(labels)-1]) {
			return true
		}
	}
	return false
}

// password returns the ice-pwd that governs a candidate, or why there is none that serves.
func (c *call) password(t *text, cand *sdp.Candidate) (pwd, wrong string) {
	ufrag := t.desc.Ufrag(t.s, cand.Section)
	pwd = t.desc.Pwd(t.s, cand.Section)
	if pwd == "" {
		if ufrag == "" {
			ufrag = cand.Ufrag.Of(t.s)
		}
		if ufrag == "" {
			ufrag = t.ufrag
		}
		if ufrag == "" {
			return "", "no ice-pwd governs it, and it names no ufrag"
		}
		before := len(c.passwords)
		c.passwords = c.gateway.sessions.appendPwd(c.passwords, c.sessionKey(ufrag))
		if pwd = view(c.passwords[before:]); pwd == "" {
			return "", "its ufrag is of no session seen here: send the description of its session first"
		}
	}
	if len(pwd) < cipher.MinPassword || len(pwd) > cipher.MaxPassword {
		return "", fmt.Sprintf("its ice-pwd has %d characters, want %d to %d (RFC 8839, section 5.4)", len(pwd), cipher.MinPassword, cipher.MaxPassword)
	}
	return pwd, ""
}

// ufragOf returns the ufrag that a candidate counts for.
func (c *call) ufragOf(t *text, cand *sdp.Candidate) string {
	for _, u := range []string{t.desc.Ufrag(t.s, cand.Section), cand.Ufrag.Of(t.s), t.ufrag} {
		if u != "" {
			return u
		}
	}
	return ""
}

// count adds to one count of a candidate's session, and returns what it is now.
func (c *call) count(t *text, cand *sdp.Candidate, which int) int {
	k := c.sessionKey(c.ufragOf(t, cand))
	if n, ok := c.gateway.sessions.count(k, which); ok {
		return n
	}
	if c.counted == nil {
		c.counted = map[sessionKey]counts{}
	}
	counted := c.counted[k]
	n := counted.add(which)
	c.counted[k] = counted
	return n
}

// originOf returns 16 octets for a raw address that nobody can guess: equal addresses of a description get
// equal names, and nobody can test a guess. Without a secret they are fresh in each call.
//
// With one they are the same under that secret, so that renegotiation on one connection repeats names, and
// nothing needs to be remembered. That does not help to test guesses. Only who sends under the secret can
// have an address encrypted under it, that is the endpoint itself; a page there learns that two raw
// addresses, both of which it wrote, are one. The address behind a browser's name has another origin, the
// name, so that no raw address that the page submits gets the name of that.
func (c *call) originOf(addr netip.Addr) string {
	if secret := c.request.Secret; len(secret) > 0 {
		mac := hmac.New(sha256.New, secret)
		mac.Write(addr.AsSlice())
		return string(mac.Sum(nil)[:16])
	}
	if o, ok := c.raw[addr]; ok {
		return o
	}
	if c.raw == nil {
		c.raw = map[netip.Addr]string{}
	}
	var fresh [16]byte
	rand.Read(fresh[:]) // never fails: crypto/rand
	c.raw[addr] = string(fresh[:])
	return c.raw[addr]
}

// nameForm returns how the policy has names written, or, if the request names a suite, how that one is; and
// the key to encrypt under.
func (c *call) nameForm(v policy.Verdict) (form policy.NameForm, key *cipher.Key, err error) {
	form = *v.Name
	suite := c.request.Suite
	if suite != 0 {
		form.Extension = form.Extension && suite.NeedsPassword()
	} else if suite, err = cipher.ParseSuite(form.Suite); err != nil {
		return form, nil, err
	}
	key, err = c.ring.Active(suite)
	return form, key, err
}

// newFoundation makes a foundation that tells nothing, equal ones of equal ones. The second half of it
// vouches for the first, so that it stays when the description comes by again.
func (c *call) newFoundation(old string, key *cipher.Key, pwd, origin string) string {
	if c.foundations == nil {
		c.foundations = map[string]string{}
	}
	if c.foundations[old] == "" {
		half := key.Foundation(pwd, []byte(origin), old)[:8]
		c.foundations[old] = half + vouch(key, half)
	}
	return c.foundations[old]
}

func vouch(key *cipher.Key, half string) string { return key.Foundation("", nil, half)[:8] }

func isNewFoundation(key *cipher.Key, f string) bool {
	return len(f) == 16 && f[8:] == vouch(key, f[:8])
}
