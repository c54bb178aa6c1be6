// An endpoint on pion/ice that conceals its addresses and opens the names of others with the key ring, for
// docs/pion.md. Its signaling is lines on standard input and output: the credentials, then candidates, and an
// empty line after the last.
//
//	pion offer|answer DATA-DIR
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/pion/ice/v2"

	"github.com/candgw/candgw/examples/policies"
	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/gateway/pionice"
	"github.com/candgw/candgw/keyring"
	"github.com/candgw/candgw/policy"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: pion offer|answer DATA-DIR")
	}
	connect(os.Args[1] == "offer", os.Args[2], os.Stdin, os.Stdout)
}

func connect(offers bool, dataDir string, in io.Reader, out io.Writer) {
	ring := must(keyring.NewFileStore(dataDir, "").Load())
	set := must(new(policy.Loader).Load(policy.Source{Name: "default.hcl", Text: policies.Default}))
	plugin := pionice.New(pionice.Config{
		Gateway: gateway.New(gateway.Config{
			Ring:   func() *keyring.Ring { return ring },
			Policy: func() *policy.Set { return set },
		}),
		Failed: func(err error) { log.Print(err) },
	})
	agent := must(ice.NewAgent(&ice.AgentConfig{
		NetworkTypes:     []ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6},
		CandidateTypes:   []ice.CandidateType{ice.CandidateTypeHost},
		MulticastDNSMode: ice.MulticastDNSModeDisabled, // the ring opens what there is to open
	}))
	ufrag, pwd, err := agent.GetLocalUserCredentials()
	check(err)
	fmt.Fprintln(out, ufrag, pwd)
	check(plugin.OnCandidate(agent, func(candidate string) { fmt.Fprintln(out, candidate) }))
	check(agent.GatherCandidates())

	lines := bufio.NewScanner(in)
	lines.Scan()
	must(fmt.Sscan(lines.Text(), &ufrag, &pwd))
	check(agent.SetRemoteCredentials(ufrag, pwd))
	go func() {
		for lines.Scan() {
			if err := plugin.AddRemoteCandidate(agent, lines.Text()); err != nil {
				log.Print(err)
			}
		}
	}()
	start := agent.Accept
	if offers {
		start = agent.Dial
	}
	conn := must(start(context.Background(), ufrag, pwd))
	must(fmt.Fprint(conn, "hello"))
	greeting := make([]byte, 1500)
	log.Printf("received %q from %s", greeting[:must(conn.Read(greeting))], conn.RemoteAddr())
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
