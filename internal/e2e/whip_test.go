//go:build linux

package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// whipConfig has the server hold clients to the entity tags of RFC 9725, section 4.3.
const whipConfig = `module.exports = {
	janus: { address: 'ws://127.0.0.1:8188' },
	port: 7080,
	rest: '/whip',
	allowTrickle: true,
	strictETags: true,
	iceServers: []
};
`

// whipRepairs mend what Debian's version does wrong: it takes the candidates of a fragment from one of its files to
// the other under a name that the other does not know, and so tells Janus of none; and in an ICE restart it keeps an old
// password or ufrag with a plus in it, for it takes it for a regular expression.
var whipRepairs = strings.NewReplacer(
	"janus.trickle({ uuid: endpoint.publisher, candidates: candidates })",
	"candidates.forEach(candidate => janus.trickle({ uuid: endpoint.publisher, candidate }))",
	".replace(new RegExp(oldUfrag, 'g'), newUfrag)", ".replaceAll(oldUfrag, newUfrag)",
	".replace(new RegExp(oldPwd, 'g'), newPwd)", ".replaceAll(oldPwd, newPwd)",
)

// startWHIP runs, until the test ends, Meetecho's WHIP server at port 7080 of the host of a Janus. Whoever
// publishes at /whip/endpoint/stage is on the stage of the room.
func startWHIP(t *testing.T, j *janus) {
	t.Helper()
	folder := t.TempDir()
	sources := filepath.Dir(unpacked(t, "usr/share/simple-whip-server/src/server.js"))
	for _, name := range []string{"server.js", "whip-janus.js"} {
		content, err := os.ReadFile(filepath.Join(sources, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, folder, name, whipRepairs.Replace(string(content)))
	}
	writeFile(t, folder, "config.js", whipConfig)
	modules, err := filepath.Abs("testdata/whip/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	cmd := j.command("node", "server.js")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	start(t, cmd)
	address := net.JoinHostPort(j.v4.String(), "7080")
	j.waitForTCP(t, address)
	endpoint := strings.NewReader(`{"id": "stage", "room": 1234}`)
	response, err := j.http.Post("http://"+address+"/whip/create", "application/json", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("creating an endpoint of WHIP: %s", response.Status)
	}
}
