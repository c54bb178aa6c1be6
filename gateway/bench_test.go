package gateway

import (
	"context"
	"testing"
)

func BenchmarkEncrypt(b *testing.B) {
	for _, name := range []string{"chromium-raw.sdp", "chromium-mdns.sdp"} {
		b.Run(name, func(b *testing.B) {
			s := newGateway(b, "")
			body := []byte(recorded(b, name))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Encrypt(context.Background(), Request{Body: body, Format: SDP, Client: client}); err != nil {
					b.Fatal(err)
				}
				s.names.asked = nil
			}
		})
	}
	b.Run("chromium-raw.sdp in JSON", func(b *testing.B) {
		s := newGateway(b, "")
		body := []byte(description(recorded(b, "chromium-raw.sdp")))
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Encrypt(context.Background(), Request{Body: body, Format: JSON, Client: client}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
