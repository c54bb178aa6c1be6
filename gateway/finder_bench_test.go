package gateway

import (
	"encoding/json"
	"strings"
	"testing"
)

// BenchmarkFinder reads bodies and does nothing with what it finds; beside it, encoding/json checks that they are
// JSON.
func BenchmarkFinder(b *testing.B) {
	chat := `{"chat":"` + strings.Repeat("It is a long way to go, at 10:30. ", 2000) + `"}`
	events := `["move",[` + strings.Repeat(`{"id":"a1b2c3","x":1.5,"y":2.25,"at":"2026-01-02T03:04:05Z"},`, 1000) + `null]]`
	for _, body := range []struct{ name, text string }{
		{"text without", chat},
		{"objects without", events},
		{"objects, and a candidate", strings.Replace(events, "null", candidateInit("10.77.1.2"), 1)},
		{"candidate", candidateInit("10.77.1.2")},
		{"candidate in a string", `["ice",` + quoted(candidateInit("10.77.1.2")) + `]`},
		{"description", description(recorded(b, "chromium-raw.sdp"))},
	} {
		text := []byte(body.text)
		b.Run(body.name+"/may hold", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				MayHold(text)
			}
		})
		b.Run(body.name+"/find", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := new(document).find(body.text, Message); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(body.name+"/json.Valid", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				json.Valid(text)
			}
		})
	}
}
