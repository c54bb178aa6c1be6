package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/candgw/candgw/cipher"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/api"
	"github.com/candgw/candgw/policy"
)

// served returns the document that a node serves.
func served(t *testing.T) (*openapi3.T, routers.Router) {
	t.Helper()
	resp, body := send(t, serve(t, withToken), "GET", "/openapi.json", "", "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return doc, router
}

// An exchange is a request and the status of its answer.
type exchange struct {
	node                            *node
	method, path, contentType, body string
	header                          []string
	status                          int
	// wrong requests are not as the document wants them.
	wrong bool
}

// exchanges are those of every operation with every status that it has.
func exchanges(t *testing.T) (out []exchange) {
	plain, token := serve(t), serve(t, withToken)
	certificate := serve(t, func(c *api.Config) { c.ClientCAs = certificates(t).authority })
	limited := serve(t, func(c *api.Config) { c.Rate, c.Burst = 1, 1 })
	broken := serve(t, func(c *api.Config) {
		c.Gateway = gateway.New(gateway.Config{Policy: func() *policy.Set { panic("a bug") }})
		c.Resolver = nil
	})
	notReady := serve(t, func(c *api.Config) { c.Ready = func() error { return fmt.Errorf("no active key") } })
	rebound, foreign := []string{"Host: evil.example"}, []string{"Sec-Fetch-Site: cross-site"}
	raw := read(t, "chromium-raw.sdp")
	fragment := "a=ice-ufrag:XHiM\r\na=ice-pwd:MpiyNBrY/PGEqhMFOPRVzGsf\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" +
		"a=candidate:1 1 udp 2122129151 10.77.1.2 41749 typ host\r\n"
	candidate := `{"candidate":"candidate:1 1 udp 1 127.0.0.1 5 typ host ufrag XHiM","sdpMid":"0","usernameFragment":"XHiM"}`
	for _, path := range []string{"/v1/encrypt", "/v1/decrypt"} {
		add := func(n *node, query, contentType, body string, status int, header ...string) {
			wrong := status == 415 || status == 400 && query != ""
			out = append(out, exchange{n, "POST", path + query, contentType, body, header, status, wrong})
		}
		add(plain, "?client=10.77.1.2&origin=https://meet.example.com", sdpType, raw, 200)
		add(plain, "?client=fd00::1", fragType, fragment, 200)
		add(plain, "", jsonType, `{"type":"offer","sdp":`+quote(t, raw)+`}`, 200)
		add(plain, "?client=10.77.1.2", jsonType, candidate, map[string]int{"/v1/encrypt": 204, "/v1/decrypt": 200}[path])
		add(plain, "", sdpType, "not SDP", 400)
		add(plain, "?client=me", sdpType, raw, 400)
		add(token, "", sdpType, raw, 401)
		add(token, "", sdpType, raw, 200, "Authorization: Bearer 0123456789abcdef")
		add(plain, "", sdpType, raw, 403, foreign...)
		add(certificate, "", sdpType, raw, 403)
		add(plain, "", sdpType, strings.Repeat("a", gateway.MaxBody+1), 413)
		add(plain, "", "text/plain", raw, 415)
		add(plain, "", sdpType, raw, 421, rebound...)
		add(plain, "?client=192.0.2.1", sdpType, raw, 422)
		add(limited, "", sdpType, raw, map[string]int{"/v1/encrypt": 200, "/v1/decrypt": 429}[path])
		add(limited, "", sdpType, raw, 429)
		add(broken, "", sdpType, raw, 500)
	}
	key, err := plain.ring.Active(cipher.AESUUID)
	if err != nil {
		t.Fatal(err)
	}
	toItself, err := key.Encrypt(netip.MustParseAddr("127.0.0.1"), "MpiyNBrY/PGEqhMFOPRVzGsf", nil)
	if err != nil {
		t.Fatal(err)
	}
	out = append(out,
		exchange{node: plain, method: "POST", path: "/v1/decrypt", contentType: jsonType, body: strings.Replace(candidate, "127.0.0.1", toItself.String()+".local", 1), status: 204},
		exchange{node: plain, method: "POST", path: "/v1/encrypt?suite=aes-cbc-hmac", contentType: sdpType, body: raw, status: 503},
		exchange{node: plain, method: "POST", path: "/v1/encrypt?suite=rot13", contentType: sdpType, body: raw, status: 400, wrong: true})
	get := func(n *node, path string, status int, header ...string) {
		out = append(out, exchange{node: n, method: "GET", path: path, status: status, header: header, wrong: status == 400})
	}
	get(plain, "/v1/resolve?client=10.1.2.3&name="+encrypted(t, plain, "aes-uuid"), 200)
	get(plain, "/v1/resolve?client=me&name=a.local", 400)
	get(plain, "/v1/resolve?name=", 400)
	get(token, "/v1/resolve?name=a.local", 401)
	get(plain, "/v1/resolve?name=a.local&client=203.0.113.1", 403)
	get(plain, "/v1/resolve?name=a.local", 404)
	get(plain, "/v1/resolve?name=a.local", 421, rebound...)
	get(limited, "/v1/resolve?name=a.local", 429)
	get(broken, "/v1/resolve?name=a.local", 500)
	for _, path := range []string{"/metrics", "/openapi.json", "/healthz", "/readyz"} {
		get(plain, path, 200)
		get(plain, path, 403, foreign...)
		get(plain, path, 421, rebound...)
	}
	get(token, "/metrics", 401)
	get(notReady, "/readyz", 503)
	return out
}

func quote(t *testing.T, s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDocument has every operation of the served document answer with every status that it has, over a socket, and the
// document tell the truth of each request and each answer.
func TestDocument(t *testing.T) {
	for _, contentType := range []string{sdpType, fragType} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.PlainBodyDecoder)
		defer openapi3filter.UnregisterBodyDecoder(contentType)
	}
	doc, router := served(t)
	missing := map[string]bool{} // operations with their statuses
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			for status := range o.Responses.Map() {
				missing[fmt.Sprint(method, " ", path, " ", status)] = true
			}
		}
	}
	report := doc.Components.Schemas["Report"].Value
	for _, x := range exchanges(t) {
		name := fmt.Sprint(x.method, " ", x.path, " ", x.status)
		req, err := http.NewRequest(x.method, x.path, strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		if x.contentType != "" {
			req.Header.Set("Content-Type", x.contentType)
		}
		for _, h := range x.header {
			key, value, _ := strings.Cut(h, ": ")
			req.Header.Set(key, value)
		}
		route, params, err := router.FindRoute(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true}
		input := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: options}
		if err := openapi3filter.ValidateRequest(t.Context(), input); (err != nil) != x.wrong {
			t.Errorf("%s: the document takes the request for %v", name, err)
		}
		resp, body := send(t, x.node, x.method, x.path, x.contentType, x.body, x.header...)
		if resp.StatusCode != x.status {
			t.Errorf("%s: got %d %s", name, resp.StatusCode, body)
			continue
		}
		answer := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(strings.NewReader(body)), Options: options,
		}
		if err := openapi3filter.ValidateResponse(t.Context(), answer); err != nil {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
		documented := route.Operation.Responses.Value(fmt.Sprint(x.status))
		if documented != nil {
			if len(documented.Value.Content) == 0 && body != "" {
				t.Errorf("%s: a body that the document does not have: %s", name, body)
			}
			for _, header := range []string{api.ReportHeader, "Retry-After", "Www-Authenticate", "Cache-Control"} {
				has := slices.ContainsFunc(headerNames(documented.Value), func(n string) bool { return http.CanonicalHeaderKey(n) == header })
				if got := resp.Header.Get(header); got != "" && !has {
					t.Errorf("%s: it has %s: %s, and the document does not", name, header, got)
				}
			}
		}
		if r := resp.Header.Get(api.ReportHeader); r != "" {
			var v any
			if err := json.Unmarshal([]byte(r), &v); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if err := report.VisitJSON(v, openapi3.EnableJSONSchema2020()); err != nil {
				t.Errorf("%s: the report %s: %v", name, r, err)
			}
		}
		path, _, _ := strings.Cut(x.path, "?")
		delete(missing, fmt.Sprint(x.method, " ", path, " ", x.status))
	}
	for name := range missing {
		t.Errorf("nothing is answered so: %s", name)
	}
}

func headerNames(r *openapi3.Response) (names []string) {
	for name := range r.Headers {
		names = append(names, name)
	}
	return names
}

// TestDocumentHasRoutes has the document and the API know the same paths and methods, and the same ones be open to anybody.
func TestDocumentHasRoutes(t *testing.T) {
	doc, _ := served(t)
	var documented []string
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			open := o.Security != nil && len(*o.Security) == 0
			documented = append(documented, fmt.Sprint(method, " ", path, " ", open))
		}
	}
	slices.Sort(documented)
	routes := api.Routes()
	slices.Sort(routes)
	if !slices.Equal(documented, routes) {
		t.Errorf("the document has %q, the API %q", documented, routes)
	}
	// The methods that are refused tell those that are not.
	n := serve(t)
	for path, item := range doc.Paths.Map() {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
			if item.GetOperation(method) != nil {
				continue
			}
			resp, body := send(t, n, method, path, "", "")
			if allow := resp.Header.Get("Allow"); resp.StatusCode != 405 || allow == "" || item.GetOperation(strings.Split(allow, ",")[0]) == nil {
				t.Errorf("%s %s: %d %q %s", method, path, resp.StatusCode, allow, body)
			}
		}
	}
}
