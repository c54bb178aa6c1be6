package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/candgw/candgw/internal/proxy"
)

// signaling are the metrics of the proxies.
type signaling struct {
	messages    *prometheus.CounterVec
	connections *prometheus.GaugeVec
}

func newSignaling() signaling {
	return signaling{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "candgw_signaling_messages_total", Help: "Messages and bodies that a proxy looked into, by where they go and what became of them.",
		}, []string{"signaling", "to", "result"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "candgw_signaling_connections", Help: "WebSockets that are open through a proxy.",
		}, []string{"signaling"}),
	}
}

// SignalingMessage counts a message that a proxy looked into.
func (s *Set) SignalingMessage(name string, to proxy.Direction, result proxy.Outcome) {
	s.signaling.messages.WithLabelValues(name, string(to), string(result)).Inc()
}

// SignalingConnections tells by how many the WebSockets of a proxy have changed.
func (s *Set) SignalingConnections(name string, by int) {
	s.signaling.connections.WithLabelValues(name).Add(float64(by))
}
