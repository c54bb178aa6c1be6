package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"
)

const patience = 10 * time.Second

// polls URL PATTERN… gets a page until its text has each pattern in it.
func polls(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: polls url pattern…")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var got string
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
		ts.Check(err)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			ts.Check(err)
			got = string(text)
		}
		missing := ""
		for _, pattern := range args[1:] {
			if !regexp.MustCompile("(?m)" + pattern).MatchString(got) {
				missing = pattern
				break
			}
		}
		if missing == "" {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("no %q after %v in %q", missing, patience, got)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// dns FROM FILE EXPECT… asks the server at $DNS for the first .local name in a file, as often as there is
// something to expect, and compares what comes back: an address, or the name of a response code. FROM
// is the address to ask from.
func lookUp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: dns from file expect…")
	}
	from := net.ParseIP(args[0])
	name := regexp.MustCompile(`\S+\.local`).FindString(ts.ReadFile(args[1]))
	if from == nil || name == "" {
		ts.Fatalf("%s is no address, or there is no name in %s", args[0], args[1])
	}
	client := dns.Client{Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: from}}, Timeout: patience}
	for _, want := range args[2:] {
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), ts.Getenv("DNS"))
		ts.Check(err)
		got := dns.RcodeToString[reply.Rcode]
		for _, rr := range reply.Answer {
			got = strings.TrimPrefix(rr.String(), rr.Header().String())
		}
		if got != want {
			ts.Fatalf("%s is answered %s, want %s", name, got, want)
		}
	}
}

// ids STATE SUITE [same] puts the id of the one key of a state and suite into $ID; with same, it is to be the
// one that is there already. It waits for one to be there if called as waits.
func keyID(wait bool) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: ids state suite [same]")
		}
		deadline := time.Now().Add(patience)
		for {
			ts.Check(ts.Exec("candgw", "keys", "list", "--json"))
			var list []struct{ ID, State, Suite string }
			ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
			var found []string
			for _, k := range list {
				if k.State == args[0] && k.Suite == args[1] {
					found = append(found, k.ID)
				}
			}
			if wait && len(found) == 0 && time.Now().Before(deadline) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			if len(found) != 1 || len(args) > 2 && ts.Getenv("ID") != found[0] {
				ts.Fatalf("%s keys of %s are %v; before it was %s", args[0], args[1], found, ts.Getenv("ID"))
			}
			ts.Setenv("ID", found[0])
			return
		}
	}
}
