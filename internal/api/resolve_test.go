package api_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/internal/api"
)

// encrypted returns the name of the address 10.77.1.2 that a node makes, with its zone.
func encrypted(t *testing.T, n *node, suite string) string {
	t.Helper()
	resp, body := send(t, n, "POST", "/v1/encrypt?client=10.77.1.2&suite="+suite, sdpType, read(t, "chromium-raw.sdp"), "Authorization: Bearer 0123456789abcdef")
	name := regexp.MustCompile(`\S+\.local`).FindString(body)
	if resp.StatusCode != 200 || name == "" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	return name
}

func TestResolve(t *testing.T) {
	n := serve(t)
	name := encrypted(t, n, "aes-uuid")
	draft := encrypted(t, n, "aes-gcm") // which opens with the ice-pwd that was seen
	for _, tt := range []struct {
		name, query string
		status      int
		says        string
	}{
		{"a name", "name=" + name, 200, `"address":"10.77.1.2","ttl":120`},
		{"in capitals, with a final dot", "name=" + strings.ToUpper(name) + ".", 200, `"address":"10.77.1.2"`},
		{"for a client", "name=" + name + "&client=10.1.2.3", 200, `"address":"10.77.1.2"`},
		{"of the draft", "name=" + draft, 200, `"address":"10.77.1.2"`},
		{"a client that no policy lets ask", "name=" + name + "&client=203.0.113.1", 403, "no policy"},
		{"a client that no policy lets know the address", "name=" + name + "&client=192.0.2.1", 403, "no policy"},
		{"such a client and another name", "name=printer.local&client=203.0.113.1", 403, "no policy"},
		{"a name that does not open", "name=printer.local", 404, "opens to no address"},
		{"a zone", "name=local", 404, "opens to no address"},
		{"a name in no zone", "name=www.example", 404, "opens to no address"},
		{"no name", "", 400, "name is missing"},
		{"an empty one", "name=", 400, "name is missing"},
		{"two", "name=a&name=b", 400, "twice"},
		{"no address", "name=" + name + "&client=me", 400, "client must be an IP address"},
		{"a password", "name=" + draft + "&ice-pwd=MpiyNBrY", 400, "resolve has no parameter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := send(t, n, "GET", "/v1/resolve?"+tt.query, "", "")
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, body, tt.status, tt.says)
			}
			if resp.StatusCode != 200 && strings.Contains(body, "10.77.") {
				t.Errorf("it tells the address: %s", body)
			}
		})
	}
	var got struct {
		Name, Address string
		TTL           int
	}
	resp, body := send(t, n, "GET", "/v1/resolve?name="+url.QueryEscape(strings.ToUpper(name)), "", "")
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Name != strings.ToUpper(name) || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v, %v", body, resp.Header, err)
	}
	_, body = send(t, n, "GET", "/metrics", "", "")
	for _, line := range []string{
		`candgw_lookups_total{front="api",key="",result="denied"} 2`,
		`candgw_lookups_total{front="api",key="",result="foreign"} 1`,
		`candgw_lookup_duration_seconds_count{front="api"} 11`,
		`candgw_api_requests_total{code="200",operation="resolve"} 5`,
		`candgw_api_requests_total{code="400",operation="resolve"} 5`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %s in %s", line, body)
		}
	}
}

// TestResolveRevoked has a name of a revoked key be answered as one that never opened, so that nobody learns that it did.
func TestResolveRevoked(t *testing.T) {
	n := serve(t)
	name := encrypted(t, n, "aes-uuid")
	_, never := send(t, n, "GET", "/v1/resolve?name=printer.local", "", "")
	key, err := n.ring.Active(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	e := n.ring.Edit(time.Now())
	if err := e.Revoke(key.ID(), true); err != nil {
		t.Fatal(err)
	}
	if n.ring, err = e.Ring(); err != nil {
		t.Fatal(err)
	}
	resp, body := send(t, n, "GET", "/v1/resolve?name="+name, "", "")
	if resp.StatusCode != 404 || body != never {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if _, body := send(t, n, "GET", "/metrics", "", ""); !strings.Contains(body, `result="revoked"} 1`) {
		t.Error("it is not counted as revoked")
	}
}

// TestLimited has callers, and clients that they ask for, be told when they may ask again.
func TestLimited(t *testing.T) {
	n := serve(t, func(c *api.Config) { c.Rate, c.Burst = 1, 2 })
	for i, want := range []int{404, 404, 429} {
		resp, body := send(t, n, "GET", "/v1/resolve?name=printer.local", "", "")
		if resp.StatusCode != want || (resp.Header.Get("Retry-After") == "1") != (want == 429) {
			t.Fatalf("request %d: %d %s %v", i+1, resp.StatusCode, body, resp.Header)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
		if resp, _ := send(t, n, "GET", path, "", ""); resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	time.Sleep(time.Second) // as it was told
	if resp, _ := send(t, n, "GET", "/v1/resolve?name=printer.local", "", ""); resp.StatusCode != 404 {
		t.Errorf("after a second: %d", resp.StatusCode)
	}

	n = serve(t)
	query := "/v1/resolve?name=" + encrypted(t, n, "aes-uuid")
	for _, tt := range []struct {
		client string
		want   int
	}{{"198.51.100.1", 200}, {"198.51.100.1", 429}, {"198.51.100.2", 200}} {
		resp, body := send(t, n, "GET", query+"&client="+tt.client, "", "")
		if resp.StatusCode != tt.want || (resp.Header.Get("Retry-After") == "1") != (tt.want == 429) {
			t.Errorf("%s: %d %s", tt.client, resp.StatusCode, body)
		}
	}
}

// TestPageReads has a page of another origin not even read: that there was an answer would tell it something.
func TestPageReads(t *testing.T) {
	n := serve(t)
	name := encrypted(t, n, "aes-uuid")
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example"} {
		for _, path := range []string{"/v1/resolve?name=" + name, "/metrics", "/openapi.json", "/healthz"} {
			resp, body := send(t, n, "GET", path, "", "", header)
			if resp.StatusCode != 403 || resp.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("%s, %s: %d %s", path, header, resp.StatusCode, body)
			}
		}
	}
	if resp, _ := send(t, n, "GET", "/metrics", "", "", "Sec-Fetch-Site: none"); resp.StatusCode != 200 {
		t.Errorf("typed by the user: %d", resp.StatusCode)
	}
}
