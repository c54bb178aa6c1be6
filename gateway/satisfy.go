package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/candgw/candgw/policy"
)

// A Refusal is [ErrRefused], and why. Its text holds no address.
type Refusal struct {
	// Item and Line are as in [CandidateReport].
	Item, Line int
	What       string
	By         *policy.Place
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%v: %s: %s: %s", ErrRefused, r.Where(), r.What, r.By.Rule())
}

// Where tells which line of the body it is about.
func (r *Refusal) Where() string { return where(r.Item, r.Line) }

func (r *Refusal) Unwrap() error { return ErrRefused }

// satisfies checks a text against the session block of the policy, and takes out the identity
// assertions that it does not let through. The error is a *[Refusal].
func (c *call) satisfies(t *text) error {
	s := &c.session
	if s.ForbidSDES != nil && t.desc.CryptoLine != 0 {
		return &Refusal{t.item, t.desc.CryptoLine, "it holds a media key (SDES; RFC 8827, section 6.5)", s.ForbidSDES}
	}
	if s.RequireFingerprint != nil && t.desc.Whole {
		if line := t.desc.Unprotected(t.s); line != 0 {
			return &Refusal{t.item, line, "no a=fingerprint governs the media section, so that DTLS does not protect it", s.RequireFingerprint}
		}
	}
	if s.Identity == nil {
		return nil
	}
	through := 0
	for _, id := range t.desc.Identities {
		provider, identity, err := readAssertion(id.Value.Of(t.s))
		if err != nil || id.Section != 0 || !s.Identity.Allows(provider, identity) { // in a section it is none
			t.edits = append(t.edits, edit{Span: id.Whole})
			c.report.Assertions++
			continue
		}
		through++
	}
	if s.Identity.Require != nil && t.desc.Whole && through == 0 {
		return &Refusal{t.item, 1, "it has no identity assertion that is let through (a=identity; RFC 8827, section 5)", s.Identity.Require}
	}
	return nil
}

// readAssertion reads an assertion of an identity: RFC 8827, section 5. The provider's domain stands
// in it; the identity is a matter of the provider, and read where it is written as in that section's
// example, or in the claim email of a JSON Web Token. Nothing of it is verified: that is for the
// endpoint, which asks the provider.
func readAssertion(value string) (provider, identity string, err error) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return "", "", err
	}
	whole, err := members(raw)
	if err != nil {
		return "", "", err
	}
	idp, err := members(whole["idp"])
	if err != nil {
		return "", "", err
	}
	var assertion string
	if err := errors.Join(json.Unmarshal(idp["domain"], &provider), json.Unmarshal(whole["assertion"], &assertion)); err != nil {
		return "", "", err
	}
	told, claim := []byte(assertion), "identity"
	if parts := strings.Split(assertion, "."); len(parts) == 3 && !json.Valid(told) {
		told, err = base64.RawURLEncoding.DecodeString(parts[1])
		claim = "email"
	}
	if values, wrong := members(told); err == nil && wrong == nil {
		json.Unmarshal(values[claim], &identity) // what is no text tells no identity
	}
	return provider, identity, nil
}

// members returns the members of an object. Their names are compared exactly, as browsers do: a struct
// would take "IDP" for "idp".
func members(object []byte) (out map[string]json.RawMessage, err error) {
	err = json.Unmarshal(object, &out)
	return out, err
}
