package browsers_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded returns a request with the host candidates of each description that a browser made.
func recorded(t testing.TB) (out []string) {
	t.Helper()
	files, err := filepath.Glob("../sdp/testdata/*.sdp")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var candidates []candidate
		ufrag, pwd := "", ""
		for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
			kind, value, _ := strings.Cut(lines.Text(), ":")
			switch kind {
			case "a=ice-ufrag":
				ufrag = value
			case "a=ice-pwd":
				pwd = value
			case "a=candidate":
				candidates = append(candidates, candidate{Candidate: "candidate:" + value})
			}
		}
		for i := range candidates {
			candidates[i].Pwd = pwd
			if !strings.Contains(candidates[i].Candidate, " ufrag ") {
				candidates[i].Candidate += " ufrag " + ufrag
			}
		}
		out = append(out, body(t, candidates[:min(len(candidates), 32)]...))
	}
	return out
}

// TestRecorded has all that browsers gathered on the client be encrypted, but for what is not the client's own.
func TestRecorded(t *testing.T) {
	requests := recorded(t)
	if len(requests) != 4 {
		t.Fatalf("%d descriptions", len(requests))
	}
	encrypted := 0
	for _, request := range requests {
		n := newNode(t, "")
		r := n.ask("POST", "/v1/encrypt", client, strings.Replace(request, "{", `{"wait":50,`, 1))
		if r.StatusCode != http.StatusOK {
			t.Fatal(r.Status)
		}
		var asked struct{ Candidates []candidate }
		if err := json.Unmarshal([]byte(request), &asked); err != nil || len(asked.Candidates) == 0 {
			t.Fatal(err, request)
		}
		for i, a := range answersIn(t, r, len(asked.Candidates)) {
			was := strings.Fields(asked.Candidates[i].Candidate)[4]
			want := known[was]
			if was == client || was == clientsIPv6 {
				want = was
			}
			if addr := n.opens(a.Candidate, asked.Candidates[i].Pwd); want == "" && a.Kept == "" || want != "" && addr.String() != want {
				t.Errorf("%s: got %+v", was, a)
			}
			if want != "" {
				encrypted++
			}
		}
	}
	if encrypted < 4 {
		t.Errorf("%d candidates were encrypted", encrypted)
	}
}

// requests are what fuzz tests begin with: what browsers made, and what was made to get another host's address encrypted.
func requests(t testing.TB) []string {
	return append(recorded(t),
		body(t, host(name), host(nameIPv6), host(client), host(other), host("::ffff:"+other)),
		body(t, candidate{host(other).Candidate + " raddr " + client + " rport 9", pwd}, candidate{host(client).Candidate + " raddr " + other + " rport 9", pwd}),
		body(t, candidate{"candidate:1 1 tcp 1 " + other + " 9 TYP HOST tcptype active ufrag a", pwd}, candidate{"candidate:1 1 udp 1 " + other + " 9 typ prflx ufrag a", pwd}),
		body(t, candidate{host(name).Candidate, pwd + "\na=candidate:1 1 udp 1 " + other + " 9 typ host"}),
		body(t, candidate{"candidate:1 1 udp 1 0.0.0.0 9 typ host ufrag a ciphertext a cryptoparams keyid b csid c", pwd}),
		`{"origin":"https://a.example","wait":1e3,"Candidates":[null,{}],"candidates":[{"candidate":"candidate:","pwd":"\u0000"}]}`,
		`{"origin":"https://a.example","candidates":[{"candidate":1}]}`,
	)
}

// checkRequest wants an answer to each candidate of a request, and no address of another host in any name.
func checkRequest(t *testing.T, n *node, request string) {
	r := n.ask("POST", "/v1/encrypt", client, request)
	switch r.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return
	default:
		text, _ := io.ReadAll(r.Body)
		t.Fatalf("%s: %s", r.Status, text)
	}
	var asked struct{ Candidates []candidate }
	if err := json.Unmarshal([]byte(request), &asked); err != nil {
		t.Fatal(err)
	}
	for i, a := range answersIn(t, r, len(asked.Candidates)) {
		was := asked.Candidates[i]
		if addr := n.opens(a.Candidate, was.Pwd); addr.IsValid() && addr.String() != client && addr.String() != clientsIPv6 {
			t.Errorf("%q has become %q, which is %s", was.Candidate, a.Candidate, addr)
		}
		if strings.ContainsAny(a.Candidate, "\r\n") {
			t.Errorf("%q has become %q", was.Candidate, a.Candidate)
		}
		for _, why := range []string{a.Kept, a.Dropped} {
			if strings.Contains(why, client) || strings.Contains(why, other) || strings.Contains(why, name) {
				t.Errorf("%q tells an address or a name", why)
			}
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, seed := range requests(f) {
		f.Add(seed)
	}
	n := newNode(f, "")
	f.Fuzz(func(t *testing.T, request string) { checkRequest(t, n, request) })
}

// FuzzCandidate is FuzzRequest of one candidate, beside one of another host.
func FuzzCandidate(f *testing.F) {
	for _, seed := range requests(f) {
		var asked struct{ Candidates []candidate }
		json.Unmarshal([]byte(seed), &asked) // one of them is none
		for _, c := range asked.Candidates {
			f.Add(c.Candidate, c.Pwd)
		}
	}
	n := newNode(f, "")
	f.Fuzz(func(t *testing.T, text, pwd string) { checkRequest(t, n, body(t, candidate{text, pwd}, host(other))) })
}
