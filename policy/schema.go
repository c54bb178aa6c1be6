package policy

import "github.com/hashicorp/hcl/v2"

// A document is what stands in one file.
type document struct {
	fileHCL
	folder string
}

type fileHCL struct {
	Locals   []localsHCL `hcl:"locals,block"`
	Policies []policyHCL `hcl:"policy,block"`
}

type localsHCL struct {
	Body hcl.Body `hcl:",remain"`
}

type policyHCL struct {
	Name        string         `hcl:"name,label"`
	Description *hcl.Attribute `hcl:"description,optional"`
	Clients     *hcl.Attribute `hcl:"clients,optional"`
	Origins     *hcl.Attribute `hcl:"origins,optional"`
	Candidates  []candidateHCL `hcl:"candidate,block"`
	NameForm    *nameHCL       `hcl:"name,block"`
	Session     *sessionHCL    `hcl:"session,block"`
	Resolve     *resolveHCL    `hcl:"resolve,block"`
	Inbound     *inboundHCL    `hcl:"inbound,block"`
	Range       hcl.Range      `hcl:",def_range"`
}

type candidateHCL struct {
	Type           string         `hcl:"type,label"`
	Action         *hcl.Attribute `hcl:"action,optional"`
	Addresses      *hcl.Attribute `hcl:"addresses,optional"`
	Transports     *hcl.Attribute `hcl:"transports,optional"`
	Otherwise      *hcl.Attribute `hcl:"otherwise,optional"`
	RelatedAddress *hcl.Attribute `hcl:"related_address,optional"`
	Max            *hcl.Attribute `hcl:"max,optional"`
	TypeRange      hcl.Range      `hcl:"type,label_range"`
	Range          hcl.Range      `hcl:",def_range"`
}

type nameHCL struct {
	Suite      *hcl.Attribute `hcl:"suite,optional"`
	Form       *hcl.Attribute `hcl:"form,optional"`
	Suffix     *hcl.Attribute `hcl:"suffix,optional"`
	Extensions *hcl.Attribute `hcl:"extensions,optional"`
}

type sessionHCL struct {
	ForbidSDES         *hcl.Attribute `hcl:"forbid_sdes,optional"`
	RequireFingerprint *hcl.Attribute `hcl:"require_fingerprint,optional"`
	RelayOnly          *hcl.Attribute `hcl:"relay_only,optional"`
	Identity           *identityHCL   `hcl:"identity,block"`
}

type identityHCL struct {
	Require   *hcl.Attribute `hcl:"require,optional"`
	Providers []providerHCL  `hcl:"provider,block"`
	Range     hcl.Range      `hcl:",def_range"`
}

type providerHCL struct {
	Domain      string         `hcl:"domain,label"`
	Domains     *hcl.Attribute `hcl:"domains,optional"`
	DomainRange hcl.Range      `hcl:"domain,label_range"`
}

type resolveHCL struct {
	Clients   *hcl.Attribute `hcl:"clients,optional"`
	OwnLinks  *hcl.Attribute `hcl:"own_links,optional"`
	Addresses *hcl.Attribute `hcl:"addresses,optional"`
	TTL       *hcl.Attribute `hcl:"ttl,optional"`
	Rate      *hcl.Attribute `hcl:"rate,optional"`
	Burst     *hcl.Attribute `hcl:"burst,optional"`
	Range     hcl.Range      `hcl:",def_range"`
}

type inboundHCL struct {
	Action *hcl.Attribute `hcl:"action,optional"`
	Range  hcl.Range      `hcl:",def_range"`
}
