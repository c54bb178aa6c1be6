package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// curlUntil runs curl in the folder of a script until what it prints is as it should be.
func curlUntil(ts *testscript.TestScript, right func(printed string) bool, args ...string) {
	var printed []byte
	var complaint bytes.Buffer
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		complaint.Reset()
		curl := exec.Command("curl", append([]string{"-sS"}, args...)...)
		curl.Dir = ts.MkAbs(".")
		curl.Stderr = &complaint
		printed, _ = curl.Output()
		if right(string(printed)) {
			return
		}
	}
	ts.Fatalf("curl %s\nprinted %q at last, and %s", strings.Join(args, " "), printed, complaint.String())
}

// http-socket SOCKET PATH PATTERN gets a page over a Unix socket until its text has the pattern in it.
func httpSocket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: http-socket socket path pattern")
	}
	curlUntil(ts, regexp.MustCompile(args[2]).MatchString, "--unix-socket", args[0], "http://localhost"+args[1])
}

// asks-api CERTIFICATE-FILE PATH STATUS OPTION… gets a page of the API at $API over TLS, until the status is that one.
func asksAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: asks-api certificate-file path status option…")
	}
	options := append([]string{"-o", "/dev/null", "-w", "%{http_code}", "--cacert", args[0], "--connect-to", "::" + ts.Getenv("API")}, args[3:]...)
	curlUntil(ts, func(printed string) bool { return printed == args[2] }, append(options, "https://candgw.example"+args[1])...)
}
