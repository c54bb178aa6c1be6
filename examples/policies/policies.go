// Package policies embeds the example policies that the program itself uses.
package policies

import _ "embed"

// Default is default.hcl, the policy of a candgw that is given none.
//
//go:embed default.hcl
var Default []byte
