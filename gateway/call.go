package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"time"

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
	asked   netip.Addr // the client with its zone, which says on which link its names are asked for
	ring    *keyring.Ring
	policy  *policy.Set
	session policy.Session
	// hostsTold says that the policy tells the address of some host; as a rule it does of none.
	hostsTold bool
	now       time.Time
	report    Report
	last      struct { // session
		ufrag string
		id    sessionID
	}
	memory
}

// enter remembers the sessions that a text begins.
func (c *call) enter(t *text) error {
	var lastUfrag, lastPwd string // as a rule they are those of all sections
	for i := range t.desc.Sections {
		ufrag, pwd := t.desc.Ufrag(t.s, i), t.desc.Pwd(t.s, i)
		if ufrag != "" && pwd != "" && (ufrag != lastUfrag || pwd != lastPwd) {
			c.gateway.sessions.start(c.sessionID(ufrag), pwd, t.desc.Whole)
			lastUfrag, lastPwd = ufrag, pwd
		}
	}
	for i := range t.desc.Candidates {
		if err := agree(t.s, &t.desc.Candidates[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) sessionKey(ufrag string) sessionKey { return sessionKey{c.request.Client, ufrag} }

// sessionID returns the id of a session. That of the last one is remembered, because as a rule a body is of one.
func (c *call) sessionID(ufrag string) sessionID {
	if c.last.id == (sessionID{}) || c.last.ufrag != ufrag {
		c.last.ufrag, c.last.id = ufrag, c.gateway.sessions.id(c.sessionKey(ufrag))
	}
	return c.last.id
}

// localName returns a host name of the suffix .local in lower case and without a final dot, which is
// what makes it the origin of an address.
func localName(host string) (string, bool) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name, strings.HasSuffix(name, "."+browserSuffix)
}

// resolveNames asks for the browsers' names of the whole body at once.
func (c *call) resolveNames(ctx context.Context) {
	if c.gateway.config.Names == nil {
		return
	}
	for _, t := range c.doc.texts {
		for i := range t.desc.Candidates {
			cand := &t.desc.Candidates[i]
			if cand.Host.Addr.IsValid() {
				continue
			}
			name, ok := localName(cand.Host.Of(t.s))
			if !ok || c.isAsked(name) || len(c.names) == MaxCandidates || c.isOurs(t, cand) || c.decide(t, cand, netip.Addr{}).Action == policy.Drop {
				continue
			}
			c.names[strings.Clone(name)] = netip.Addr{} // a copy, which whoever is asked may keep
		}
	}
	if len(c.names) > 0 {
		c.askNames(ctx)
	}
}

func (c *call) isAsked(name string) bool {
	_, ok := c.names[name]
	return ok
}

// askNames asks for all of c.names at once, and puts the answers there.
func (c *call) askNames(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.gateway.config.Patience)
	defer cancel()
	answers := make(chan answer, len(c.names))
	resolver, client, left := c.gateway.config.Names, c.asked, len(c.names)
	for name := range c.names {
		if left--; left > 0 {
			go askName(ctx, resolver, name, client, answers)
		} else { // while the others are asked for
			askName(ctx, resolver, name, client, answers)
		}
	}
	for range len(c.names) {
		a := <-answers
		c.names[a.name] = a.addr
	}
}

// An answer is what a browser's name stands for; not valid where nobody answers.
type answer struct {
	name string
	addr netip.Addr
}

func askName(ctx context.Context, r NameResolver, name string, client netip.Addr, answers chan<- answer) {
	addr, err := r.ResolveName(ctx, name, client)
	if err != nil {
		addr = netip.Addr{}
	}
	answers <- answer{name, addr.Unmap().WithZone("")}
}

// isOurs reports whether a candidate is encrypted already, under a key of the ring.
func (c *call) isOurs(t *text, cand *sdp.Candidate) bool {
	_, ok := c.open(t, cand)
	return ok
}

// open returns the address of an encrypted candidate, in whichever way it is written.
func (c *call) open(t *text, cand *sdp.Candidate) (netip.Addr, bool) {
	o := &c.opener
	switch {
	case !cand.Ciphertext.Empty():
		e, err := cipher.ParseExtension(cand.Ciphertext.Of(t.s))
		if err != nil {
			return netip.Addr{}, false
		}
		cipher.ReadName(o, e.Name.String())
	case !readName(o, cand.Host.Of(t.s), suffixes...) && !readName(o, cand.Host.Of(t.s), c.policy.Suffixes()...):
		return netip.Addr{}, false
	}
	pwd, _ := c.password(t, cand)
	opened, err := c.ring.Open(o, pwd, c.now)
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
		c.passwords = c.gateway.sessions.appendPwd(c.passwords, c.sessionID(ufrag))
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
func (t *text) ufragOf(cand *sdp.Candidate) string {
	if u := t.desc.Ufrag(t.s, cand.Section); u != "" {
		return u
	}
	if u := cand.Ufrag.Of(t.s); u != "" {
		return u
	}
	return t.ufrag
}

// count adds a number of candidates to one count of a candidate's session, and returns what it is now.
func (c *call) count(t *text, cand *sdp.Candidate, which, add int) int {
	ufrag := t.ufragOf(cand)
	if n, ok := c.gateway.sessions.count(c.sessionID(ufrag), which, add); ok {
		return n
	}
	k := c.sessionKey(ufrag)
	counted := c.counted[k]
	n := counted.add(which, add)
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
func (c *call) originOf(addr netip.Addr) rawOrigin {
	o, ok := c.raw[addr]
	if ok {
		return o
	}
	if secret := c.request.Secret; len(secret) > 0 {
		o = originUnder(secret, addr)
	} else {
		c.fresh(o[:])
	}
	c.raw[addr] = o
	return o
}

type rawOrigin [16]byte

// originUnder hashes an address, of a fixed length, under a secret of any length, whose hash comes first: unlike
// HMAC it allocates nothing.
func originUnder(secret []byte, addr netip.Addr) (o rawOrigin) {
	var b [sha256.Size + 1 + 16]byte
	key, octets := sha256.Sum256(secret), addr.As16()
	copy(b[:], key[:])
	b[sha256.Size] = byte(addr.BitLen()) // an IPv4 address is not the IPv6 address that it is mapped to
	copy(b[sha256.Size+1:], octets[:])
	sum := sha256.Sum256(b[:])
	copy(o[:], sum[:])
	return o
}

// fresh fills o with random octets. They are fetched for several addresses at once, as that is a system call.
func (c *call) fresh(o []byte) {
	if len(c.random) < len(o) {
		c.random = c.randomness[:]
		rand.Read(c.random) // never fails: crypto/rand
	}
	copy(o, c.random)
	clear(c.random[:len(o)])
	c.random = c.random[len(o):]
}

// seedOf returns the octets of an address's origin, which is empty for a raw address. They are good until the
// next call.
func (c *call) seedOf(addr netip.Addr, origin string) []byte {
	if origin == "" {
		o := c.originOf(addr)
		origin = string(o[:])
	}
	c.seed = append(emptied(c.seed), origin...)
	return c.seed
}

// activeKey returns the key to encrypt under, and whether the policy wants the draft's extension of the candidate
// in place of a name. A suite that the request names is used as the policy says for its own, if it has that
// form.
func (c *call) activeKey(v policy.Verdict) (key *cipher.Key, extension bool, err error) {
	suite, extension := c.request.Suite, v.Name.Extension
	if suite != 0 {
		extension = extension && suite.NeedsPassword()
	} else if suite, err = cipher.ParseSuite(v.Name.Suite); err != nil {
		return nil, false, err
	}
	key, err = c.ring.Active(suite)
	return key, extension, err
}

// newFoundation makes a foundation that tells nothing, equal ones of equal ones. The second half of it
// vouches for the first, so that it stays when the description comes by again.
func (c *call) newFoundation(old string, key *cipher.Key, pwd string, addr netip.Addr, origin string) string {
	if f, ok := c.foundations[old]; ok {
		return f
	}
	start := len(c.made)
	c.made = key.AppendFoundation(c.made, pwd, c.seedOf(addr, origin), old)[:start+8]
	c.made = appendVouch(c.made, key, c.since(start))
	c.foundations[old] = c.since(start)
	return c.foundations[old]
}

func appendVouch(dst []byte, key *cipher.Key, half string) []byte {
	return key.AppendFoundation(dst, "", nil, half)[:len(dst)+8]
}

func isNewFoundation(key *cipher.Key, f string) bool {
	if len(f) != 16 {
		return false
	}
	var vouch [16]byte
	return f[8:] == string(appendVouch(vouch[:0], key, f[:8]))
}
