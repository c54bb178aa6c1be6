package gateway

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// discardPort stands where a port would go with an address that is not told: RFC 8840, section 4.1.
const discardPort = "9"

// nowhere returns the unspecified address of the family of a host, as it is written.
func nowhere(h sdp.Host) string {
	if h.Addr.Is6() {
		return "::"
	}
	return "0.0.0.0"
}

// redactRelated takes the related address out of a candidate: RFC 8839, section 5.1.
func (c *call) redactRelated(t *text, cand *sdp.Candidate, v policy.Verdict) {
	if v.KeepRelated || cand.Related.Empty() || cand.Related.Addr.IsValid() && cand.Related.Addr.IsUnspecified() {
		return
	}
	t.replace(cand.Related.Span, nowhere(cand.Related))
	if !cand.RelatedPort.Empty() {
		t.replace(cand.RelatedPort, discardPort)
	}
	c.report.Redacted++
}

// redactFields takes addresses out of the fields that repeat them.
func (c *call) redactFields(t *text) {
	sessionRedacted := false                          // the c= of the session level
	own := make([]bool, len(t.desc.Sections))         // the section has a c= of its own
	ownRedacted := make([]bool, len(t.desc.Sections)) // and it was redacted
	for i := range t.desc.Fields {
		f := &t.desc.Fields[i]
		redact := c.tells(t, f)
		if f.Kind == sdp.Connection {
			own[f.Section] = true
			ownRedacted[f.Section] = ownRedacted[f.Section] || redact
			sessionRedacted = sessionRedacted || redact && f.Section == 0
		}
		if !redact {
			continue
		}
		c.report.Redacted++
		if f.Kind == sdp.RemoteCandidates {
			t.edits = append(t.edits, edit{Span: f.Whole})
			continue
		}
		t.replace(f.Host.Span, nowhere(f.Host))
		if f.Host.Addr.Is6() {
			t.replace(f.Type, "IP6")
		} else { // a name may have been said to have either
			t.replace(f.Type, "IP4")
		}
		if f.Kind == sdp.RTCP {
			t.replace(f.Port, discardPort)
		}
	}
	for i, s := range t.desc.Sections[1:] {
		redacted := sessionRedacted
		if own[i+1] {
			redacted = ownRedacted[i+1]
		}
		if port := s.Port.Of(t.s); redacted && port != "0" { // 0 refuses or bundles the section
			t.replace(s.Port, discardPort)
		}
	}
}

// tells reports whether a field tells what must not be told.
func (c *call) tells(t *text, f *sdp.Field) bool {
	addr := f.Host.Addr
	switch {
	case addr.IsUnspecified(), addr.IsLoopback(), c.told[addr] && addr.IsValid():
		return false
	case c.concealed[addr] && addr.IsValid():
		return true
	}
	v := c.policy.DecideCandidate(policy.Candidate{Client: c.request.Client, Type: "host", Addr: addr})
	if v.Action == policy.Keep {
		return false
	}
	// An endpoint that does ICE does not need its address here; one that does not, does, if it is
	// a public one.
	usesICE := t.desc.Ufrag(t.s, f.Section) != ""
	return usesICE || !addr.IsValid() || isPrivate(addr) || f.Kind == sdp.RemoteCandidates
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

func isPrivate(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a)
}

// sweep takes concealed addresses out of whatever else a text holds: attributes that are not known,
// extensions, free text.
func (c *call) sweep(t *text) {
	done := make([]sdp.Span, len(t.edits))
	for i, e := range t.edits {
		done[i] = e.Span
	}
	c.sweepAround(t, done)
}

// sweepRest does the same for what stands around the texts of a JSON body.
func (c *call) sweepRest(body string) *text {
	rest := &text{s: body}
	done := make([]sdp.Span, len(c.texts))
	for i, t := range c.texts {
		done[i] = sdp.Span{Start: t.raw[0], End: t.raw[len(t.s)]}
	}
	c.sweepAround(rest, done)
	return rest
}

func (c *call) sweepAround(t *text, done []sdp.Span) {
	if len(c.concealed) == 0 {
		return
	}
	slices.SortFunc(done, func(a, b sdp.Span) int { return a.Start - b.Start })
	at := 0
	for _, d := range append(done, sdp.Span{Start: len(t.s), End: len(t.s)}) {
		if d.Start > at {
			c.sweepSpan(t, sdp.Span{Start: at, End: d.Start})
		}
		at = max(at, d.End)
	}
}

// sweepSpan looks at each run of the characters that an address is written with. A run that is more
// than an address (10.0.0.1:5000) is searched for one.
func (c *call) sweepSpan(t *text, span sdp.Span) {
	for at := span.Start; at < span.End; {
		end := at
		for end < span.End && isAddressChar(t.s[end]) {
			end++
		}
		if run := t.s[at:end]; strings.ContainsAny(run, ".:") && len(run) > 2 {
			c.sweepRun(t, at, run)
		}
		at = end + 1
	}
}

func (c *call) sweepRun(t *text, at int, run string) {
	if addr, err := netip.ParseAddr(strings.TrimRight(run, ".")); err == nil {
		if c.concealed[addr.Unmap()] {
			c.redactAt(t, at, strings.TrimRight(run, "."), addr)
		}
		return
	}
	for addr := range c.concealed {
		text := addr.String()
		if i := strings.Index(strings.ToLower(run), text); i >= 0 && !continues(run[i+len(text):]) && (i == 0 || !isDigit(run[i-1])) {
			c.redactAt(t, at+i, text, addr)
			return
		}
	}
}

func (c *call) redactAt(t *text, at int, what string, addr netip.Addr) {
	t.replace(sdp.Span{Start: at, End: at + len(what)}, nowhere(sdp.Host{Addr: addr}))
	c.report.Redacted++
}

// continues reports whether what follows an address makes it another one.
func continues(rest string) bool {
	return rest != "" && isDigit(rest[0]) || len(rest) > 1 && rest[0] == '.' && isDigit(rest[1])
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isAddressChar(b byte) bool {
	return isDigit(b) || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F' || b == '.' || b == ':'
}
