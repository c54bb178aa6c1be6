package proxy

import (
	"testing"
	"time"
)

// ShortenBodyPatience has a test wait less for bodies that do not arrive.
func ShortenBodyPatience(t testing.TB, d time.Duration) {
	was := bodyPatience
	bodyPatience = d
	t.Cleanup(func() { bodyPatience = was })
}

// ShortenWritePatience has a test wait less for ends that do not read.
func ShortenWritePatience(t testing.TB, d time.Duration) {
	was := writePatience
	writePatience = d
	t.Cleanup(func() { writePatience = was })
}
