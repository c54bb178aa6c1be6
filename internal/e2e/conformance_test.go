//go:build linux

package e2e

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// conformanceScripts are checks over what a page sees of RTCPeerConnection. They define observeAll.
//
//go:embed testdata/conformance
var conformanceScripts embed.FS

// conformanceHandler serves the checks: at / as they are, at /bad behind a script that does badly what the extension does.
func conformanceHandler() http.Handler {
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
	return mux
}

// observations is what the checks have seen in one page, by their titles.
type observations struct {
	values map[string]any
	names  map[string][]string // the names of candidates that each check met
}

// observe runs the checks in a new page of the browser. It may run beside others.
func observe(t *testing.T, title string, b browser, url string) observations {
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
		t.Fatalf("%s: checks at %s: %v", title, url, err)
	}
	all := observations{make(map[string]any), got.Names}
	leaves := 0
	for _, o := range got.Observations {
		if _, twice := all.values[o.Title]; twice {
			t.Errorf("two checks are called %q", o.Title)
		}
		all.values[o.Title] = o.Value
		if members, ok := o.Value.(map[string]any); ok && members["failed"] != nil || o.Value == "late" {
			t.Logf("%s: check %q did not come to its end: %v", title, o.Title, o.Value)
		}
		leaves += countLeaves(o.Value)
		if o.Took > 3000 {
			t.Logf("%s: check %q took %.1f s", title, o.Title, o.Took/1000)
		}
	}
	t.Logf("%s: %d checks of %d values in %v", title, len(all.values), leaves, time.Since(began).Round(100*time.Millisecond))
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
	return fmt.Sprintf("%s\n\twithout %s\n\twith    %s", d.path, cut(d.before), cut(d.with))
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
		if !ok {
			break
		}
		if len(one) == len(other) {
			for i := range one {
				found = append(found, differences(fmt.Sprintf("%s[%d]", path, i), one[i], other[i])...)
			}
			return found
		}
		same := 0 // at the beginning
		for same < min(len(one), len(other)) && text(one[same]) == text(other[same]) {
			same++
		}
		return []difference{{fmt.Sprintf("%s[%d:]", path, same), text(one[same:]), text(other[same:])}}
	}
	if a, b := text(before), text(with); a != b {
		found = append(found, difference{path, a, b})
	}
	return found
}

func text(value any) string {
	var encoded strings.Builder
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(encoded.String())
}

// TestConformance runs the checks in browsers with and without the extension: pages see the same, but for the names.
func TestConformance(t *testing.T) {
	require(t)
	const site = "page.example"
	n := newManagedNetwork(t, site)
	n.serve(t, conformanceHandler(), site)
	g := n.startGateway(t, "", "rate = 1000", "burst = 10000") // as fast as the checks are
	for _, tt := range []struct {
		title string
		start func(t *testing.T, h host, e extended) *extendedBrowser
	}{
		{"Chromium", func(t *testing.T, h host, e extended) *extendedBrowser {
			return startExtendedChromium(t, h.namespace, e)
		}},
		{"Firefox", func(t *testing.T, h host, e extended) *extendedBrowser {
			return startExtendedFirefox(t, h.namespace, e, "")
		}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			with, without := tt.start(t, n.a, n.with(1000)), tt.start(t, n.b, extended{authority: n.authority})
			const url = "https://" + site + "/"
			var before, again, bad, after observations
			var browsers sync.WaitGroup
			browsers.Go(func() { after = observe(t, "with", with, url) })
			browsers.Go(func() {
				before = observe(t, "without", without, url)
				again = observe(t, "without, again", without, url)
				bad = observe(t, "bad", without, url+"bad")
			})
			browsers.Wait()
			if t.Failed() {
				return
			}
			for _, d := range compare(before, again) {
				t.Errorf("two runs without the extension differ in %s", d)
			}
			if found := compare(before, bad); len(found) < 100 {
				t.Errorf("%d differences of a bad extension: %s", len(found), found)
			}
			checkSame(t, compare(before, after))
			g.checkEncrypted(t, after, n.a)
			for title, names := range before.names {
				for _, name := range names {
					if address := g.opens(t, name); address.IsValid() {
						t.Errorf("without the extension %q met the encrypted name %s", title, name)
					}
				}
			}
		})
	}
}

// checkSame checks that there are no differences but those that are known.
func checkSame(t *testing.T, found []difference) {
	t.Helper()
	for _, d := range found {
		t.Errorf("differs with the extension: %s", d)
	}
}

// checkEncrypted checks that the pages met encrypted names of their own host.
func (g *gateway) checkEncrypted(t *testing.T, o observations, h host) {
	t.Helper()
	for title, names := range o.names {
		encrypted := 0
		for _, name := range names {
			switch g.opens(t, name) {
			case h.v4, h.v6:
				encrypted++
			}
		}
		t.Logf("%s: %d of %d names are encrypted", title, encrypted, len(names))
	}
}
