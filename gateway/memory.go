package gateway

import (
	"net/netip"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/policy"
)

// memory is what a call works in, kept from call to call so that an ordinary one allocates no more than it
// gives back. Nothing that outlives the call may point into it.
type memory struct {
	doc document

	names       map[string]netip.Addr    // what browsers' names stand for, by origin; not valid where nobody answers
	raw         map[netip.Addr]rawOrigin // origins made up for raw addresses
	foundations map[string]string        // new ones by old ones
	concealed   map[netip.Addr]bool      // addresses of the body that must not be told
	heads       heads                    // what they begin with
	told        map[netip.Addr]bool      // addresses that a candidate tells
	counted     map[sessionKey]counts    // of sessions that are not remembered
	hidden      []netip.Addr             // addresses to conceal unless one is told
	sealed      []sealing
	opener      cipher.Opener
	passwords   []byte // of sessions

	made []byte // texts that are put into the body: see since

	// Octets that were not used yet.
	random     []byte
	randomness [256]byte

	// Scratch.
	seed        []byte
	decided     octets // of a text: what it is known what to do with
	edits       []edit
	connections []connection
}

// mostKept is the longest body whose memory is kept for other calls, in octets: what it took to read it is in
// proportion.
const mostKept = 32 << 10

func newCall() any {
	return &call{memory: memory{
		names:       map[string]netip.Addr{},
		raw:         map[netip.Addr]rawOrigin{},
		foundations: map[string]string{},
		concealed:   map[netip.Addr]bool{},
		heads:       heads{all: map[head]bool{}},
		told:        map[netip.Addr]bool{},
		counted:     map[sessionKey]counts{},
	}}
}

// done gives the memory of a call to another one, and nothing of what is in it.
func (c *call) done() {
	g := c.gateway
	if len(c.request.Body) > mostKept {
		return
	}
	c.gateway, c.ring, c.policy = nil, nil, nil
	c.request, c.asked, c.session, c.report = Request{}, netip.Addr{}, policy.Session{}, Report{}
	c.last.ufrag, c.last.id = "", sessionID{}
	m := &c.memory
	m.doc.reset()
	clear(m.names)
	clear(m.raw)
	clear(m.foundations)
	clear(m.concealed)
	m.heads.reset()
	clear(m.told)
	clear(m.counted)
	m.hidden = emptied(m.hidden)
	m.sealed = emptied(m.sealed)
	m.opener = cipher.Opener{}
	m.passwords = emptied(m.passwords)
	clear(m.made[:cap(m.made)])
	m.made = m.made[:0]
	m.seed = emptied(m.seed)
	m.edits = emptied(m.edits)
	m.connections = emptied(m.connections)
	g.calls.Put(c)
}

// emptied clears what a slice holds. Beyond its length there is nothing then, as long as it is never cut in
// another way.
func emptied[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// since returns what was appended to c.made since it had a length of start. It is good until the call is done.
func (c *call) since(start int) string { return view(c.made[start:]) }
