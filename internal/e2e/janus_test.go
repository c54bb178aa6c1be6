//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Janus as Debian configures it, but for IPv6, what it would ask of a network that is not there, and a log without
// complaints of plugins that nobody needs here. It drops names that it is told as addresses, for where it runs
// nobody answers for them: otherwise it would wait for that.
const (
	janusConfig = `general: {
	plugins_folder = "%s/plugins"
	transports_folder = "%[1]s/transports"
	admin_secret = "` + janusSecret + `"
}
media: {
	ipv6 = true
}
nat: {
	ignore_mdns = true
}
plugins: {
	disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so"
}
transports: {
	disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so"
}
`
	janusWebSockets = `general: {
	ws = true
	ws_port = 8188
}
`
	janusHTTP = `general: {
	http = false
}
admin: {
	admin_http = true
	admin_port = 7088
	admin_ip = "127.0.0.1"
}
`
	janusRooms = `room-1234: {
	description = "A room"
	publishers = 6
}
`
	janusSecret = "of the test"
)

// janus is a media server on a host: the API that applications use is at port 8188.
type janus struct {
	host
	http *http.Client
}

// startJanus runs Janus until the test ends.
func startJanus(t *testing.T, h host) *janus {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/janus")
	if err != nil || len(found) != 1 {
		t.Fatalf("the plugins of Janus are in %q", found)
	}
	folder := t.TempDir()
	for name, content := range map[string]string{
		"janus.jcfg":                      fmt.Sprintf(janusConfig, found[0]),
		"janus.transport.websockets.jcfg": janusWebSockets,
		"janus.transport.http.jcfg":       janusHTTP,
		"janus.plugin.videoroom.jcfg":     janusRooms,
		"janus.plugin.echotest.jcfg":      "",
	} {
		writeFile(t, folder, name, content)
	}
	start(t, h.command("janus", "--configs-folder="+folder, "--disable-colors"))
	h.waitForTCP(t, net.JoinHostPort(h.v4.String(), "8188"))
	h.waitForTCP(t, "127.0.0.1:7088")
	return &janus{h, h.client()}
}

// waitForTCP returns once somebody listens at an address that is reached from the namespace.
func (ns namespace) waitForTCP(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		conn, err := ns.dial(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nobody listens: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// admin asks what Janus tells an administrator of the whole, of a session, or of a handle in it.
func (j *janus) admin(t *testing.T, result any, what string, ids ...int) {
	t.Helper()
	url := "http://127.0.0.1:7088/admin"
	for _, id := range ids {
		url += fmt.Sprintf("/%d", id)
	}
	request := fmt.Sprintf(`{"janus": %q, "transaction": "of the test", "admin_secret": %q}`, what, janusSecret)
	response, err := j.http.Post(url, "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatalf("Janus: %s: %v", what, err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(result); err != nil {
		t.Fatalf("Janus: %s: %v", what, err)
	}
}

// janusConnection is what Janus knows of a peer connection.
type janusConnection struct {
	ICE struct {
		Remote   []string `json:"remote-candidates"`
		Selected string   `json:"selected-pair"`
		State    string   `json:"state"`
	} `json:"ice"`
}

// connections returns the peer connections that there are.
func (j *janus) connections(t *testing.T) (found []janusConnection) {
	t.Helper()
	var list struct{ Sessions, Handles []int }
	j.admin(t, &list, "list_sessions")
	for _, session := range list.Sessions {
		j.admin(t, &list, "list_handles", session)
		for _, handle := range list.Handles {
			var raw json.RawMessage
			j.admin(t, &raw, "handle_info", session, handle)
			var info struct {
				Info struct{ WebRTC *janusConnection }
			}
			if err := json.Unmarshal(raw, &info); err != nil {
				t.Fatal(err)
			}
			if info.Info.WebRTC != nil {
				found = append(found, *info.Info.WebRTC)
			}
		}
	}
	return found
}
