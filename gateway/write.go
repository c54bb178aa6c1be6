package gateway

import (
	"net/netip"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

// writeName returns the edits that write an encrypted address into a candidate.
func writeName(cand *sdp.Candidate, form policy.NameForm, key *cipher.Key, name cipher.Name, addr netip.Addr) []edit {
	host, extensions, means := name.String()+"."+form.Suffix, "", "dns"
	if form.Extension {
		host, means = "0.0.0.0", "in"
	}
	if form.AddrType {
		extensions += " addrtype " + means + family(addr)
	}
	if form.KeyID && !form.Extension { // which names the key itself
		extensions += " keyid " + key.ID().String()
	}
	if form.Extension {
		e := cipher.Extension{Name: name, KeyID: key.ID(), Suite: key.Suite()}
		extensions = string(e.AppendText([]byte(extensions + " ")))
	}
	edits := append(describeNoMore(cand), edit{cand.Host.Span, host})
	return append(edits, edit{sdp.Span{Start: cand.Text.End, End: cand.Text.End}, extensions})
}

func family(addr netip.Addr) string {
	if addr.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// describeNoMore takes out the extensions that describe what stood in place of the address.
func describeNoMore(cand *sdp.Candidate) []edit {
	return []edit{{Span: cand.AddrType}, {Span: cand.KeyID}}
}
