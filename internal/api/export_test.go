package api

import (
	"fmt"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/metrics"
)

// Routes returns each route with its method, its path and whether it is open to anybody.
func Routes() (out []string) {
	h := newHandler(Config{Gateway: new(gateway.Gateway), Metrics: metrics.New()})
	for _, r := range h.routes() {
		out = append(out, fmt.Sprint(r.method, " ", r.path, " ", r.open))
	}
	return out
}
