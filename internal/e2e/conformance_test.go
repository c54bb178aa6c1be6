//go:build linux

package e2e

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// conformanceScripts are checks over what a page sees of RTCPeerConnection. They define observeAll.
//
//go:embed testdata/conformance
var conformanceScripts embed.FS

// serveConformance serves the checks inside the namespace until the test ends, and returns the port: at / as they are, at
// /bad behind a script that does badly what an extension may do.
func serveConformance(t *testing.T, ns namespace) (port int) {
	t.Helper()
	listener, err := ns.listen(t.Context(), ":0")
	if err != nil {
		t.Fatalf("serving the checks: %v", err)
	}
	const before = "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>conformance</title>\n<body>\n"
	scripts := ""
	for _, name := range []string{"harness", "surface", "events", "descriptions", "rest"} {
		scripts += fmt.Sprintf("<script src=\"/conformance/%s.js\"></script>\n", name)
	}
	page := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(text))
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", page(before+scripts))
	mux.Handle("/bad", page(before+"<script src=\"/conformance/bad.js\"></script>\n"+scripts))
	mux.Handle("/empty", page(before))
	mux.HandleFunc("/conformance/", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, conformanceScripts, "testdata"+r.URL.Path)
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

// observations is what the checks have seen in one page, by their titles.
type observations struct {
	values map[string]any
	names  map[string][]string // the names of candidates that each check met
}

// observe runs the checks in a new page of the browser.
func observe(t *testing.T, b browser, url string) observations {
	t.Helper()
	began := time.Now()
	p := openGatheringPage(t, b, url)
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	var got struct {
		Observations []struct {
			Title string  `json:"title"`
			Value any     `json:"value"`
			Took  float64 `json:"took"` // milliseconds
		} `json:"observations"`
		Names map[string][]string `json:"names"`
	}
	if err := p.evaluate(ctx, "observeAll()", &got); err != nil {
		t.Fatalf("checks at %s: %v", url, err)
	}
	all := observations{make(map[string]any), got.Names}
	leaves := 0
	for _, o := range got.Observations {
		if _, twice := all.values[o.Title]; twice {
			t.Errorf("two checks are called %q", o.Title)
		}
		all.values[o.Title] = o.Value
		if members, ok := o.Value.(map[string]any); ok && members["failed"] != nil || o.Value == "late" {
			t.Errorf("check %q did not come to its end: %v", o.Title, o.Value)
		}
		leaves += countLeaves(o.Value)
		if o.Took > 3000 {
			t.Logf("check %q took %.1f s", o.Title, o.Took/1000)
		}
	}
	t.Logf("%d checks of %d values in %v", len(all.values), leaves, time.Since(began).Round(100*time.Millisecond))
	return all
}

func countLeaves(value any) (n int) {
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			n += countLeaves(member)
		}
	case []any:
		for _, element := range value {
			n += countLeaves(element)
		}
	default:
		return 1
	}
	return n
}

// difference is where two observations differ.
type difference struct {
	path         string // the check's title, then members and indexes
	before, with string // JSON, or "absent"
}

func (d difference) String() string {
	cut := func(text string) string {
		if len(text) > 300 {
			return text[:300] + "…"
		}
		return text
	}
	return fmt.Sprintf("%s:\n\twithout %s\n\twith    %s", d.path, cut(d.before), cut(d.with))
}

// compare returns all differences, by path.
func compare(before, with observations) []difference {
	var found []difference
	titles := make(map[string]bool)
	for title := range before.values {
		titles[title] = true
	}
	for title := range with.values {
		titles[title] = true
	}
	for title := range titles {
		one, ok := before.values[title]
		other, okToo := with.values[title]
		if !ok || !okToo {
			found = append(found, difference{title, fmt.Sprint(ok), fmt.Sprint(okToo)})
			continue
		}
		found = append(found, differences(title, one, other)...)
	}
	slices.SortFunc(found, func(a, b difference) int { return strings.Compare(a.path, b.path) })
	return found
}

func differences(path string, before, with any) (found []difference) {
	switch one := before.(type) {
	case map[string]any:
		other, ok := with.(map[string]any)
		if !ok {
			break
		}
		keys := make(map[string]bool)
		for key := range one {
			keys[key] = true
		}
		for key := range other {
			keys[key] = true
		}
		for key := range keys {
			a, inOne := one[key]
			b, inOther := other[key]
			at := path + "." + key
			switch {
			case !inOne:
				found = append(found, difference{at, "absent", text(b)})
			case !inOther:
				found = append(found, difference{at, text(a), "absent"})
			default:
				found = append(found, differences(at, a, b)...)
			}
		}
		return found
	case []any:
		other, ok := with.([]any)
		if !ok || len(other) != len(one) {
			break
		}
		for i := range one {
			found = append(found, differences(fmt.Sprintf("%s[%d]", path, i), one[i], other[i])...)
		}
		return found
	}
	if a, b := text(before), text(with); a != b {
		found = append(found, difference{path, a, b})
	}
	return found
}

func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

// TestConformance runs the checks in both browsers.
func TestConformance(t *testing.T) {
	require(t)
	n := newNetwork(t)
	port := serveConformance(t, n.router)
	url := fmt.Sprintf("http://%s:%d/", n.a.router, port)
	for title, start := range map[string]startBrowser{"Chromium": startChromium, "Firefox": startFirefox} {
		t.Run(title, func(t *testing.T) {
			b := start(t, n.a.namespace)
			first := observe(t, b, url)
			for _, d := range compare(first, observe(t, b, url)) {
				t.Errorf("differs without the extension: %s", d)
			}
			if title == "Firefox" {
				return
			}
			bad := compare(first, observe(t, b, url+"bad"))
			t.Logf("%d differences of a bad extension", len(bad))
			_ = sort.Strings
		})
	}
}
