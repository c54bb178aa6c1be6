package gateway

import (
	"net/netip"
	"slices"

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
	if v.KeepRelated {
		t.keep = append(t.keep, cand.Related.Span)
		return
	}
	if cand.Related.Empty() || cand.Related.Addr.IsValid() && cand.Related.Addr.IsUnspecified() {
		return
	}
	c.hide(cand.Related.Addr)
	t.replace(cand.Related.Span, nowhere(cand.Related))
	if !cand.RelatedPort.Empty() {
		t.replace(cand.RelatedPort, discardPort)
	}
	c.report.Redacted++
}

// redactFields takes addresses out of the fields that repeat them.
func (c *call) redactFields(t *text) {
	lines := append(emptied(c.connections), make([]connection, len(t.desc.Sections))...)
	c.connections = lines
	for i := range t.desc.Fields {
		f := &t.desc.Fields[i]
		redact := c.tells(t, f)
		if f.Kind == sdp.Connection {
			lines[f.Section].present = true
			lines[f.Section].redacted = lines[f.Section].redacted || redact
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
	for i := range lines[1:] {
		governs := lines[i+1]
		if !governs.present {
			governs = lines[0]
		}
		port := t.desc.Sections[i+1].Port
		if governs.redacted && port.Of(t.s) != "0" { // 0 refuses or bundles the section
			t.replace(port, discardPort)
		}
	}
}

// A connection is what became of the c= lines of a section.
type connection struct{ present, redacted bool }

// tells reports whether a field tells what must not be told.
func (c *call) tells(t *text, f *sdp.Field) bool {
	addr := f.Host.Addr
	switch {
	case addr.IsUnspecified(), addr.IsLoopback(), c.told[addr] && addr.IsValid():
		return false
	case c.concealed[addr] && addr.IsValid():
		return true
	}
	if c.tellsHosts(addr) {
		return false
	}
	// An endpoint that does ICE does not need its address here; one that does not, does, if it is
	// a public one.
	return c.session.RelayOnly || t.usesICE(f.Section) || !addr.IsValid() || isPrivate(addr) || f.Kind == sdp.RemoteCandidates
}

// usesICE reports whether a section has credentials or candidates; the session level, whether any has.
func (t *text) usesICE(section int) bool {
	for i := range t.desc.Candidates {
		if section == 0 || t.desc.Candidates[i].Section == section {
			return true
		}
	}
	if section != 0 {
		return t.desc.Ufrag(t.s, section) != ""
	}
	return slices.ContainsFunc(t.desc.Sections, func(s sdp.Section) bool { return !s.Ufrag.Empty() })
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

func isPrivate(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a)
}
