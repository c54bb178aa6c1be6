package proxy_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/proxy"
)

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

const (
	fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:" + password + "\r\nm=audio 9 UDP 0\r\na=mid:0\r\na=" + raw + "\r\n"
	broken   = "candidate:1 1 udp 1 " + address + " 99999 typ host"
)

// TestRequests has a body of every kind on its way to the site.
func TestRequests(t *testing.T) {
	long := strings.Repeat("x", gateway.MaxBody)
	for _, tt := range []struct {
		name, contentType, body string
		header                  []string
		status                  int // of the answer; 200: it came to the site
		changed                 bool
		detail                  string // of the problem
	}{
		{"a description", "application/sdp", fullOffer, nil, 200, true, ""},
		{"with a parameter", "Application/SDP; charset=UTF-8", fullOffer, nil, 200, true, ""},
		{"nothing to change", "application/sdp", offer, nil, 200, false, ""},
		{"a fragment", "application/trickle-ice-sdpfrag", fragment, nil, 200, true, ""},
		{"JSON", "application/json", inJSON(fullOffer), nil, 200, true, ""},
		{"JSON of another name", "text/json", inJSON(fullOffer), nil, 200, true, ""},
		{"JSON of a suffix", "application/vnd.meet.v2+json", inJSON(fullOffer), nil, 200, true, ""},
		{"lines of JSON", "application/x-ndjson", inJSON(offer) + "\n" + trickled(raw) + "\n\n", nil, 200, true, ""},
		{"text", "text/plain;charset=UTF-8", inJSON(fullOffer), nil, 200, true, ""},
		{"no type", "", inJSON(fullOffer), nil, 200, true, ""},
		{"a type that is none", "/", inJSON(fullOffer), nil, 200, true, ""},
		{"text that is just text", "text/plain", "see you at 10", nil, 200, false, ""},
		{"gzip", "application/json", gzipped(inJSON(fullOffer)), []string{"Content-Encoding", "gzip"}, 200, true, ""},
		{"deflate", "application/json", deflated(inJSON(fullOffer)), []string{"Content-Encoding", "Deflate"}, 200, true, ""},
		{"gzip of nothing to change", "application/json", gzipped(inJSON(offer)), []string{"Content-Encoding", "gzip"}, 200, false, ""},
		{"other bodies", "application/octet-stream", long + long, nil, 200, false, ""},
		{"a form", "application/x-www-form-urlencoded", "a=1&b=2", nil, 200, false, ""},
		{"XML", "application/xml", "<a>b</a>", nil, 200, false, ""},
		{"an empty body", "application/json", "", nil, 200, false, ""},

		{"not SDP", "application/sdp", "v=1\r\n", nil, 400, false, "line 1"},
		{"not JSON", "application/json", `{"sdp":`, nil, 400, false, "not JSON"},
		{"lines that are not", "application/x-ndjson", "{}\n{\n", nil, 400, false, "not JSON"},
		{"a broken candidate", "application/json", trickled(broken), nil, 400, false, "broken port"},
		{"too long", "application/json", `"` + long + `"`, nil, 413, false, "256 KiB"},
		{"too long once decoded", "application/json", gzipped(`"` + long + `"`), []string{"Content-Encoding", "gzip"}, 413, false, "256 KiB"},
		{"no gzip", "application/json", "{}", []string{"Content-Encoding", "gzip"}, 400, false, "Content-Encoding"},
		{"an encoding that is not known", "application/json", "{}", []string{"Content-Encoding", "br"}, 415, false, "gzip and deflate"},
		{"two encodings", "application/json", gzipped(gzipped("{}")), []string{"Content-Encoding", "gzip, gzip"}, 415, false, "gzip and deflate"},
		{"a character set", "application/json; charset=utf-16", "{}", nil, 415, false, "UTF-8"},
		{"two types", "application/json", "{}", []string{"Content-Type", "image/png"}, 415, false, "more than one"},
		{"a candidate in a form", "application/x-www-form-urlencoded", "d=" + url.QueryEscape(trickled(raw)), nil, 415, false, "a candidate in"},
		{"a candidate in XML", "application/xml", "<c>" + raw + "</c>", nil, 415, false, "a candidate in"},
		{"a candidate in parts", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=sdp\r\n\r\n" + fullOffer + "\r\n--b--", nil, 415, false, "a candidate in"},
		{"a candidate far into other bodies", "application/octet-stream", long + long + raw + long, nil, 415, false, "a candidate in"},
		{"one in a form with a broken escape", "application/x-www-form-urlencoded", "a=%zz&d=" + url.QueryEscape(trickled(raw)), nil, 415, false, "a candidate in"},
		{"one in other bodies, compressed", "application/octet-stream", gzipped(raw), []string{"Content-Encoding", "gzip"}, 415, false, "Content-Encoding"},
		{"other bodies that say they are not encoded", "application/octet-stream", "x", []string{"Content-Encoding", "identity"}, 200, false, ""},
		{"one dropped candidate", "application/json", trickled("candidate:1 1 udp 1 127.0.0.1 1 typ host ufrag abcd"), nil, 204, false, ""},
		{"one candidate of no session", "application/json", trickled("candidate:1 1 udp 1 " + address + " 1 typ host ufrag none"), nil, 422, false, "no session"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(site)
			s := new(setup).start(t, upstreamOf(t, u))
			header := append([]string{"Origin", page, "Content-MD5", "x", "Digest", "x", "Content-Digest", "x", "Repr-Digest", "x"}, tt.header...)
			resp, body := s.do(t, "POST", "/api", tt.contentType, tt.body, header...)
			if resp.StatusCode != tt.status {
				t.Fatalf("got %d: %.200s", resp.StatusCode, body)
			}
			if strings.Contains(s.log.String(), address) {
				t.Errorf("the log tells: %s", s.log)
			}
			if tt.status == 204 {
				if u.count() != 0 {
					t.Error("the site got something")
				}
				return
			}
			if tt.status != 200 {
				var told struct {
					Status int
					Detail string
				}
				if err := json.Unmarshal([]byte(body), &told); err != nil || told.Status != tt.status || !strings.Contains(told.Detail, tt.detail) || resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("got %v %s", resp.Header, body)
				}
				if strings.Contains(body, address) {
					t.Errorf("the problem tells: %s", body)
				}
				if all := u.all(); strings.Contains(all, address) {
					t.Errorf("the site was told %.500s", all)
				}
				if s.counts.of(proxy.ToUpstream, proxy.Refused) != 1 {
					t.Errorf("counted %v", s.counts.results)
				}
				return
			}
			r, got := u.last(t)
			switch {
			case tt.changed && (strings.Contains(got, address) || !strings.Contains(got, ".local 41749 typ host")):
				t.Errorf("got %.500q", got)
			case !tt.changed && got != tt.body:
				t.Errorf("got %d octets of %d", len(got), len(tt.body))
			case int(r.ContentLength) != len(got):
				t.Errorf("Content-Length %d for %d octets", r.ContentLength, len(got))
			case tt.changed != (r.Header.Get("Digest")+r.Header.Get("Content-Md5")+r.Header.Get("Content-Digest")+r.Header.Get("Repr-Digest") == ""):
				t.Errorf("digests: %v", r.Header)
			case tt.changed && r.Header.Get("Content-Encoding") != "":
				t.Errorf("encoded: %v", r.Header)
			}
		})
	}
}

// TestPaths has signaling looked for where the configuration says, whichever way the path is written.
func TestPaths(t *testing.T) {
	u := new(site)
	s := (&setup{config: proxy.Config{Paths: []string{"/ws", "/api/*"}}}).start(t, upstreamOf(t, u))
	for path, inspected := range map[string]bool{
		"/ws": true, "/ws?a=b": true, "/%77s": true, "//ws": true, "/x/../ws": true, "/./ws": true, "/ws/": true,
		"/api/": true, "/api/a": true, "/api/a/b?c": true, "/api": true, "/x/../api/a": true, "//api//a": true,
		"/": false, "/WS": false, "/wsx": false, "/apis": false, "/other": false, "/other?/ws": false,
	} {
		_, _ = s.do(t, "POST", path, "application/sdp", fullOffer)
		r, got := u.last(t)
		if strings.Contains(got, address) == inspected || !inspected && got != fullOffer {
			t.Errorf("%s: got %s", path, got)
		}
		if r.RequestURI != path {
			t.Errorf("%s became %s", path, r.RequestURI)
		}
	}
}

// TestHeaders has nothing of the client's address reach the site, and all else come through.
func TestHeaders(t *testing.T) {
	u := new(site)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"ice-1"`)
		w.Header().Set("Location", "https://"+r.Host+"/whip/1?a=b")
		w.Header().Add("Link", "<https://"+r.Host+"/sse>; rel=ext, <turn:turn.example>; rel=ice-server")
		w.Header().Add("Link", "<https://elsewhere.example/>; rel=next")
		w.Header().Set("Alt-Svc", `h3=":443"`)
		w.Header().Add("Set-Cookie", "a=b; Secure")
		w.WriteHeader(201)
	}
	upstream := upstreamOf(t, u)
	s := (&setup{config: proxy.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}).start(t, upstream)
	told := []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Forwarded-Host", "Via", "X-Cluster-Client-IP"}
	header := []string{"Authorization", "Bearer t", "Cookie", "c=d", "If-Match", `"*"`, "X-Own", "1", "Origin", page, "Range", "bytes=0-1"}
	for _, name := range told {
		header = append(header, name, address)
	}
	resp, _ := s.do(t, "PATCH", "/whip/1?q=%zz&x;y", "application/trickle-ice-sdpfrag", fragment, header...)
	r, _ := u.last(t)
	for i := 0; i < 12; i += 2 {
		if r.Header.Get(header[i]) != header[i+1] {
			t.Errorf("%s: got %q", header[i], r.Header[header[i]])
		}
	}
	if all := fmt.Sprint(r.Header, r.RequestURI, r.Host); strings.Contains(all, address) {
		t.Errorf("the site is told: %s", all)
	}
	if r.RequestURI != "/whip/1?q=%zz&x;y" || r.Host != upstream.Host || r.Header.Get("User-Agent") == "" {
		t.Errorf("got %s of %s", r.RequestURI, r.Host)
	}
	for name, want := range map[string]string{"Location": s.url + "/whip/1?a=b", "ETag": `"ice-1"`, "Alt-Svc": "", "Set-Cookie": "a=b; Secure",
		"Link": "<" + s.url + "/sse>; rel=ext, <turn:turn.example>; rel=ice-server"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if links := resp.Header.Values("Link"); len(links) != 2 || links[1] != "<https://elsewhere.example/>; rel=next" {
		t.Errorf("got %q", links)
	}
}

// TestClientAddress has the sessions of clients told apart by the address that counts.
func TestClientAddress(t *testing.T) {
	const policies = `
		policy "b" {
			clients = ["198.51.100.7/32", "2001:db8::7/128"]
			candidate "host" { action = "drop" }
		}
		policy "rest" {
			candidate "host" { action = "encrypt" }
		}`
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.9.0.0/16")}
	for _, tt := range []struct {
		name      string
		trusted   []netip.Prefix
		forwarded []string
		status    int
		dropped   bool
	}{
		{"nobody is trusted", nil, []string{"198.51.100.7"}, 200, false},
		{"no header", trusted, nil, 200, false},
		{"the client", trusted, []string{"198.51.100.7"}, 200, true},
		{"over IPv6", trusted, []string{"2001:db8::7"}, 200, true},
		{"with a port", trusted, []string{"[2001:db8::7]:4711"}, 200, true},
		{"mapped", trusted, []string{"::ffff:198.51.100.7"}, 200, true},
		{"through two", trusted, []string{"198.51.100.7, 10.9.0.1"}, 200, true},
		{"in two headers", trusted, []string{"198.51.100.7", "10.9.0.1"}, 200, true},
		{"forged by the client", trusted, []string{"198.51.100.7, 192.0.2.1"}, 200, false},
		{"the one who counts", trusted, []string{"192.0.2.1, 198.51.100.7"}, 200, true},
		{"malformed", trusted, []string{"unknown"}, 400, false},
		{"cut", trusted, []string{"198.51.100.7,"}, 400, false},
		{"malformed before the one who counts", trusted, []string{"unknown, 198.51.100.7"}, 200, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(site)
			s := (&setup{policy: policies, config: proxy.Config{TrustedProxies: tt.trusted}}).start(t, upstreamOf(t, u))
			header := []string{"Origin", page}
			for _, f := range tt.forwarded {
				header = append(header, "X-Forwarded-For", f)
			}
			resp, body := s.do(t, "POST", "/", "application/sdp", fullOffer, header...)
			if resp.StatusCode != tt.status {
				t.Fatalf("got %d: %s", resp.StatusCode, body)
			}
			if tt.status != 200 {
				return
			}
			if _, got := u.last(t); strings.Contains(got, "candidate") == tt.dropped {
				t.Errorf("got %s", got)
			}
		})
	}
}

// TestOrigin has names kept from pages, however they ask, and opened for native clients.
func TestOrigin(t *testing.T) {
	ring := newRing(t)
	name := nameOf(t, ring)
	answer := inJSON(offer + "a=candidate:1 1 udp 1 " + name + " 41749 typ host\r\n")
	const listed = `
		policy "page" {
			origins = ["https://kiosk.example"]
			inbound { action = "decrypt" }
		}`
	for _, tt := range []struct {
		name, policy, method string
		header               []string
		opened               bool
	}{
		{"a native client", "", "POST", nil, true},
		{"a page", "", "POST", []string{"Origin", page}, false},
		{"a page without an origin", "", "POST", []string{"Origin", "null"}, false},
		{"two origins", "", "POST", []string{"Origin", page, "Origin", page}, false},
		{"a malformed one", "", "POST", []string{"Origin", "meet"}, false},
		{"a GET, which may be a page's", "", "GET", nil, false},
		{"a page that a policy lists", listed, "POST", []string{"Origin", "https://kiosk.example"}, true},
		{"another page", listed, "POST", []string{"Origin", page}, false},
		{"a native client that no policy lists", listed, "POST", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := &site{answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, answer)
			}}
			s := (&setup{policy: tt.policy, ring: ring.self}).start(t, upstreamOf(t, u))
			resp, got := s.do(t, tt.method, "/", "", "", tt.header...)
			if resp.StatusCode != 200 || int(resp.ContentLength) != len(got) {
				t.Errorf("got %d, %d octets", resp.StatusCode, resp.ContentLength)
			}
			if strings.Contains(got, address) != tt.opened || !tt.opened && got != answer {
				t.Errorf("got %s", got)
			}
		})
	}
}
