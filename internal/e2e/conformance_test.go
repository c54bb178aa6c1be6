//go:build linux

package e2e

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
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

// observe runs the checks whose titles contain a word. It may run beside others.
func observe(t *testing.T, title string, b browser, url, word string) observations {
	t.Helper()
	began := time.Now()
	all := observations{make(map[string]any), make(map[string][]string)}
	leaves := 0
	// A tab may ask only for so many candidates a second.
	const parts = 4
	for part := range parts {
		p := openGatheringPage(t, b, url)
		ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
		defer cancel()
		var got struct {
			Observations []struct {
				Title string  `json:"title"`
				Value any     `json:"value"`
				Took  float64 `json:"took"` // milliseconds
			} `json:"observations"`
			Names map[string][]string `json:"names"`
		}
		if err := p.evaluate(ctx, fmt.Sprintf("observeAll(%q, %d, %d).catch(error => { throw new Error(`${error} at ${error.stack}`); })", word, part, parts), &got); err != nil {
			t.Fatalf("%s: checks at %s: %v", title, url, err)
		}
		maps.Copy(all.names, got.Names)
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
			with, without := tt.start(t, n.a, n.with(5000)), tt.start(t, n.b, extended{authority: n.authority})
			const url = "https://" + site + "/"
			var before, again, bad, after observations
			var browsers sync.WaitGroup
			browsers.Go(func() { after = observe(t, "with", with, url, "") })
			browsers.Go(func() {
				before = observe(t, "without", without, url, "")
				again = observe(t, "without, again", without, url, "")
				bad = observe(t, "bad", without, url+"bad", "surface: ")
			})
			browsers.Wait()
			if t.Failed() {
				return
			}
			once := func(title string, b browser) func(word string) observations {
				return func(word string) observations { return observe(t, title, b, url, word) }
			}
			confirm(tt.title, before, again, once("without", without), once("without, again", without))
			for _, d := range compare(before, again) {
				t.Errorf("two runs without the extension differ in %s", d)
			}
			for title := range before.values {
				if _, ok := bad.values[title]; !ok && !strings.HasPrefix(title, "surface: ") {
					bad.values[title] = before.values[title]
				}
			}
			if found := compare(before, bad); len(found) < 10 {
				t.Errorf("%d differences of a bad extension: %s", len(found), found)
			} else {
				t.Logf("%d differences of a bad extension, as %s", len(found), found[0])
			}
			confirm(tt.title, before, after, once("without", without), once("with", with))
			checkSame(t, tt.title, compare(before, after))
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

// An allowance is a difference that the extension makes, and why it does.
type allowance struct {
	browser      string // that differs there, or empty for both
	path         *regexp.Regexp
	before, with *regexp.Regexp
	reason       string
}

var allowances = []allowance{
	{"", regexp.MustCompile(`\.isTrusted of (icecandidate|icegatheringstatechange|gatheringstatechange)$`), regexp.MustCompile(`^true$`), regexp.MustCompile(`^false$`),
		"An event that was held back is dispatched again by a script, and browsers let no script make events that are trusted."},
	{"", regexp.MustCompile(`\.(text|string)$`), regexp.MustCompile(`^"function \w* ?\w+\(\) \{\s*(\\n)?\s*\[native code\]`), regexp.MustCompile(`^"function \(\) \{\s*(\\n)?\s*\[native code\]`),
		"The text of a Proxy for a function has no name in it. To have one, Function.prototype.toString would have to be replaced for the whole page."},
	{"Chromium", regexp.MustCompile(`^arguments: setters\..*\.threw\.message$`), regexp.MustCompile(`of #<RTCPeerConnection> which has only a getter`), regexp.MustCompile(`of \[object RTCPeerConnection\] which has only a getter`),
		"V8 words the error of an assignment in strict mode by what it knows of the constructor, which is a Proxy now."},
	{"Chromium", regexp.MustCompile(`^surface: stacks\[`), regexp.MustCompile(`^"tells none"$`), regexp.MustCompile(`^"tells an extension"$`),
		"The functions of the extension are on the stack."},
	{"", regexp.MustCompile(`^frames: same origin, before it is loaded\.same$`), regexp.MustCompile(`^true$`), regexp.MustCompile(`^false$`),
		"The browsers keep the window of a frame for its first document of the same origin, and the scripts come with each document."},
	{"", regexp.MustCompile(`^frames: functions of another window\.`), nil, nil,
		"The functions of another window know what they have given to the page, and not what this window's have. They show the browser's own names, and with the microphone addresses."},
	{"Chromium", regexp.MustCompile(`^descriptions: set a candidate\.shown`), nil, nil,
		"A candidate that the page itself writes into its local description is none that the browser has told, and is not shown."},
	{"Firefox", regexp.MustCompile(`^loopback: candidates as upper case\.`), nil, nil,
		"Firefox does not find its own names in capital letters. Those that the extension knows have small ones again."},
}

// allowed returns the index of what allows a difference in a browser, or -1.
func allowed(browser string, d difference) int {
	matches := func(pattern *regexp.Regexp, text string) bool { return pattern == nil || pattern.MatchString(text) }
	return slices.IndexFunc(allowances, func(a allowance) bool {
		return (a.browser == "" || a.browser == browser) && matches(a.path, d.path) && matches(a.before, d.before) && matches(a.with, d.with)
	})
}

// confirm runs checks that differ once more, and once more again, on either side: a difference counts that is there each time.
// On a machine that has much to do, whether two connections of one page in Firefox find each other is chance, without any extension.
func confirm(browser string, one, other observations, runOne, runOther func(word string) observations) {
	for range 2 {
		for title := range one.values {
			differs := func(d difference) bool { return allowed(browser, d) < 0 }
			if !slices.ContainsFunc(differences(title, one.values[title], other.values[title]), differs) {
				continue
			}
			one.values[title], other.values[title] = runOne(title).values[title], runOther(title).values[title]
		}
	}
}

// checkSame checks that there are no differences but those that are known, and that these are there.
func checkSame(t *testing.T, browser string, found []difference) {
	t.Helper()
	met := make([]int, len(allowances))
	for _, d := range found {
		i := allowed(browser, d)
		if i < 0 {
			t.Errorf("differs with the extension: %s", d)
			continue
		}
		met[i]++
	}
	for i, a := range allowances {
		if met[i] > 0 {
			t.Logf("%d differences at %s: %s", met[i], a.path, a.reason)
		} else if a.browser == "" || a.browser == browser {
			t.Errorf("no difference at %s is left: take it from the list", a.path)
		}
	}
}

// checkEncrypted checks that most names that the pages met are encrypted, and that they are of their own host: had the
// extension done nothing, there would be no difference either.
func (g *gateway) checkEncrypted(t *testing.T, o observations, h host) {
	t.Helper()
	all, encrypted := 0, 0
	for title, names := range o.names {
		here := 0
		for _, name := range names {
			switch address := g.opens(t, name); address {
			case h.v4, h.v6:
				here++
			case netip.Addr{}:
			default:
				t.Errorf("%q met a name of %s", title, address)
			}
		}
		if here < len(names) {
			t.Logf("%q: %d of %d names are encrypted", title, here, len(names))
		}
		all += len(names)
		encrypted += here
	}
	t.Logf("%d of %d names are encrypted", encrypted, all)
	if encrypted <= all/2 {
		t.Errorf("%d of %d names are encrypted, want most", encrypted, all)
	}
}
