package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"candgw": main})
}

// TestScripts runs the command as its users do: one file a verb.
func TestScripts(t *testing.T) {
	sdp, err := filepath.Abs("../../internal/sdp/testdata")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../../examples/policies")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars,
				"CANDGW_DATA_DIR="+filepath.Join(e.WorkDir, "data"),
				"GORACE=atexit_sleep_ms=0", // a program under the race detector ends a second late otherwise
				"SDP="+sdp, "EXAMPLES="+examples,
				"API="+freeAddr(t), "DNS="+freeAddr(t), "DOT="+freeAddr(t))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"resolves":    resolves,
			"http":        httpRequest,
			"exits":       exits,
			"polls":       polls,
			"dns":         lookUp,
			"asks":        asks,
			"http-socket": httpSocket,
			"asks-api":    asksAPI,
			"certificate": certificate,
			"ids":         keyID(false),
			"waits":       keyID(true),
		},
	})
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// exits CODE COMMAND ARG… runs candgw and compares its exit code, which the script language tells
// only as zero and other.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command arg…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit status %s, want %s", code, args[0])
	}
}

// resolves FILE ADDRESS… asks 'candgw resolve' for each different .local name in a file, in the order
// in which they stand there, and compares.
func resolves(ts *testscript.TestScript, neg bool, args []string) {
	seen := map[string]bool{}
	var got []string
	for _, word := range strings.Fields(ts.ReadFile(args[0])) {
		if !strings.HasSuffix(word, ".local") || seen[word] {
			continue
		}
		seen[word] = true
		ts.Check(ts.Exec("candgw", "resolve", word))
		got = append(got, strings.TrimSpace(ts.ReadFile("stdout")))
	}
	if same := strings.Join(got, " ") == strings.Join(args[1:], " "); same == neg {
		ts.Fatalf("the names resolve to %q", got)
	}
}

// http METHOD URL STATUS [CONTENT-TYPE BODY-FILE [HEADER: VALUE…]] makes a request, waiting for a
// server that is not up yet, and puts headers and body into the file response.
func httpRequest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: http method url status [content-type file [header…]]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		var body io.Reader
		if len(args) > 4 {
			body = strings.NewReader(ts.ReadFile(args[4]))
		}
		r, err := http.NewRequestWithContext(ctx, args[0], args[1], body)
		ts.Check(err)
		if len(args) > 3 {
			r.Header.Set("Content-Type", args[3])
		}
		for _, h := range args[min(5, len(args)):] {
			name, value, _ := strings.Cut(h, ": ")
			if r.Header.Set(name, value); name == "Host" {
				r.Host = value
			}
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			if ctx.Err() == nil && strings.Contains(err.Error(), syscall.ECONNREFUSED.Error()) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			ts.Fatalf("%v", err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		ts.Check(err)
		var headers strings.Builder
		resp.Header.Write(&headers)
		ts.Check(os.WriteFile(ts.MkAbs("headers"), []byte(headers.String()), 0o600))
		ts.Check(os.WriteFile(ts.MkAbs("response"), got, 0o600))
		if fmt.Sprint(resp.StatusCode) != args[2] {
			ts.Fatalf("status %d, want %s: %s", resp.StatusCode, args[2], got)
		}
		return
	}
}
