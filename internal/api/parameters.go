package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// parameters reads the parameters of an operation: each of those named may be there once, and no other.
func parameters(r *http.Request, operation string, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errors.New("the parameters are malformed")
	}
	for name, values := range query {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%s has no parameter %q: it has %s", operation, name, strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return nil, fmt.Errorf("the parameter %q is there twice", name)
		}
	}
	return query, nil
}

// address reads a parameter that is an IP address, the zero Addr if it is empty.
func address(query url.Values, name string) (netip.Addr, error) {
	s := query.Get(name)
	if s == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s must be an IP address", name)
	}
	return addr, nil
}
