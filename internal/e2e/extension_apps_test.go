//go:build linux

package e2e

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// serveApps has the server serve applications that nobody here has written: libraries as npm has them, and the servers that
// they come with, or want. The pages do no more than call the libraries.
func (c *extensionTest) serveApps(t *testing.T) {
	t.Helper()
	folder, err := filepath.Abs("testdata/apps")
	if err != nil {
		t.Fatal(err)
	}
	for path, file := range map[string]string{
		"/perfect": "../perfect.html", "/simple-peer": "simple-peer.html", "/peerjs": "peerjs.html", "/trystero": "trystero.html",
	} {
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		c.server.page(path, "text/html", content)
	}
	modules := filepath.Join(folder, "node_modules")
	c.server.mux.Handle("/modules/", http.StripPrefix("/modules/", http.FileServer(http.Dir(modules))))

	ns := c.siteNetwork.server.namespace
	run := func(port string, arguments ...string) {
		cmd := ns.command("node", arguments...)
		cmd.Dir = folder
		start(t, cmd)
		ns.waitForTCP(t, net.JoinHostPort("127.0.0.1", port))
	}
	run("9000", filepath.Join(modules, "peer/dist/bin/peerjs.js"), "--host", "127.0.0.1", "--port", "9000")
	run("8000", "tracker.mjs")
	c.server.mux.Handle("/peerjs/peerjs", c.server.inFrontOf(ns, "127.0.0.1:9000", "/peerjs"))
	c.server.mux.Handle("/tracker", c.server.inFrontOf(ns, "127.0.0.1:8000", "/"))
}

// inFrontOf passes WebSockets to another server of the namespace, and writes down their messages in both directions.
func (s *callServer) inFrontOf(ns namespace, address, path string) http.Handler {
	return websocket.Server{Handler: func(client *websocket.Conn) {
		upstream, err := dialUpstream(client.Request().Context(), ns, address, path+"?"+client.Request().URL.RawQuery)
		if err != nil {
			return // which ends the connection of the client
		}
		defer upstream.Close()
		go func() {
			defer client.Close()
			s.copyMessages(client, upstream)
		}()
		s.copyMessages(upstream, client)
	}}
}

func dialUpstream(ctx context.Context, ns namespace, address, path string) (*websocket.Conn, error) {
	config, err := websocket.NewConfig("ws://"+address+path, "http://"+address)
	if err != nil {
		return nil, err
	}
	conn, err := ns.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	upstream, err := websocket.NewClient(config, conn)
	if err != nil {
		conn.Close()
	}
	return upstream, err
}

func (s *callServer) copyMessages(to, from *websocket.Conn) {
	for {
		var message string
		if err := websocket.Message.Receive(from, &message); err != nil {
			return
		}
		s.note(message)
		if err := websocket.Message.Send(to, message); err != nil {
			return
		}
	}
}

// testApp makes a call with a data channel.
func (c *extensionTest) testApp(t *testing.T, from, to *caller) *call {
	c.server.takeLog()
	checkPaths := c.watchPaths(t, to.host)
	began := time.Now()
	call := startAppCall(t, from, to)
	c.connects(t, call)
	t.Logf("connected within %v", time.Since(began).Round(time.Millisecond))
	c.checkCall(t, call)
	checkPaths()
	return call
}

// testAppMedia makes a call with a data channel and adds sound and pictures in its course, both ways.
func (c *extensionTest) testAppMedia(t *testing.T, from, to *caller) {
	call := c.testApp(t, from, to)
	call.fromMedia, call.toMedia = "send", "send"
	call.to.call(t, nil, "addMedia")
	call.from.call(t, nil, "addMedia")
	call.checkMedia(t)
	c.checkCall(t, call)
}
