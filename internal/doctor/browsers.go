package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// A setting is a policy of Chromium, or a preference of Firefox, that matters to candgw: docs/browsers.md.
type setting struct {
	name string
	// judge says what a value means, "" if it does not matter.
	judge func(value any) (status Status, what, do string)
}

// is judges one value.
func is(bad any, status Status, what, do string) func(any) (Status, string, string) {
	return func(value any) (Status, string, string) {
		if value != bad {
			return OK, "", ""
		}
		return status, what, do
	}
}

// lists judges any list that is not empty.
func lists(status Status, what, do string) func(any) (Status, string, string) {
	return func(value any) (Status, string, string) {
		list, isList := value.([]any)
		text, isText := value.(string)
		if isList && len(list) == 0 || isText && text == "" || !isList && !isText {
			return OK, "", ""
		}
		return status, what, do
	}
}

const (
	noHosts = "the browser offers no host candidates, so that there is nothing to encrypt and no direct way"
	shown   = "pages see private addresses raw, which candgw makes unnecessary"
)

var chromiumSettings = []setting{
	{"WebRtcIPHandling", func(value any) (Status, string, string) {
		switch value {
		case "default_public_interface_only", "disable_non_proxied_udp":
			return Fail, noHosts, "Set it to default, or leave it out."
		case "default_public_and_private_interfaces":
			return Warn, shown, "Set it to default, or leave it out."
		}
		return OK, "", ""
	}},
	{"WebRtcLocalIpsAllowedUrls", lists(Warn, shown, "Empty the list once candgw is in the signaling of these pages.")},
	{"LocalNetworkAccessBlockedForUrls", lists(Warn, "pages on the list may not connect to private addresses, where the browser checks it for WebRTC", "Take pages off it that make calls, and put them into LocalNetworkAccessAllowedForUrls.")},
	{"WebRtcUdpPortRange", lists(Warn, "media comes from these ports alone", "Let firewalls between the subnets pass UDP from and to them.")},
}

var firefoxSettings = []setting{
	{"media.peerconnection.enabled", is(false, Fail, "WebRTC is switched off", "Set it to true, or leave it out.")},
	{"media.peerconnection.ice.no_host", is(true, Fail, noHosts, "Set it to false, or leave it out.")},
	{"media.peerconnection.ice.proxy_only", is(true, Fail, noHosts, "Set it to false, or leave it out.")},
	{"media.peerconnection.ice.relay_only", is(true, Fail, noHosts, "Set it to false, or leave it out.")},
	{"media.peerconnection.ice.default_address_only", is(true, Warn, "the browser offers the address of its default route alone", "Set it to false if hosts have several networks.")},
	{"media.peerconnection.ice.obfuscate_host_addresses", is(false, Warn, shown, "Set it to true, or leave it out.")},
	{"media.peerconnection.ice.obfuscate_host_addresses.blocklist", lists(Warn, shown, "Empty the list once candgw is in the signaling of these pages.")},
}

// chromiumFolders hold managed policies on Linux, and firefoxFiles are those of Firefox.
var (
	chromiumFolders = []string{"etc/opt/chrome/policies/managed", "etc/chromium/policies/managed", "etc/opt/edge/policies/managed"}
	firefoxFiles    = []string{"etc/firefox/policies/policies.json", "usr/lib/firefox/distribution/policies.json", "usr/lib/firefox-esr/distribution/policies.json"}
)

// checkBrowsers looks at what the enterprise has set for browsers on this host.
func (n *Node) checkBrowsers(r *report) {
	const check = "browsers"
	if runtime.GOOS != "linux" {
		r.add(check, Skip, "their settings cannot be seen here", "Look at chrome://policy and about:policies in the browsers; docs/browsers.md says which matter.")
		return
	}
	found := 0
	for _, folder := range chromiumFolders {
		files, _ := filepath.Glob(filepath.Join(n.Root, folder, "*.json"))
		for _, file := range files {
			found++
			r.judge(file, chromiumSettings, func(values map[string]any) map[string]any { return values })
		}
	}
	for _, file := range firefoxFiles {
		file = filepath.Join(n.Root, file)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		found++
		r.judge(file, firefoxSettings, preferences)
	}
	if found == 0 {
		r.add(check, Skip, "no browser on this host is managed", "Run the doctor on a host of a user too; docs/browsers.md says which settings matter.")
	}
}

// preferences returns the preferences that policies of Firefox set, by name.
func preferences(values map[string]any) map[string]any {
	policies, _ := values["policies"].(map[string]any)
	set, _ := policies["Preferences"].(map[string]any)
	out := map[string]any{}
	for name, value := range set {
		if object, ok := value.(map[string]any); ok {
			value = object["Value"]
		}
		out[name] = value
	}
	return out
}

// judge reads a file of settings and reports on each that matters.
func (r *report) judge(file string, settings []setting, values func(map[string]any) map[string]any) {
	text, err := os.ReadFile(file)
	var all map[string]any
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		r.add("browsers", Warn, fmt.Sprintf("%s cannot be read: %v", file, err), "The browser may not take it either.")
		return
	}
	before := len(*r)
	set := values(all)
	for _, s := range settings {
		value, ok := set[s.name]
		if !ok {
			continue
		}
		if status, what, do := s.judge(value); what != "" {
			r.add("browsers", status, fmt.Sprintf("%s, %s: %s", file, s.name, what), do)
		}
	}
	if !slices.ContainsFunc((*r)[before:], func(f Finding) bool { return f.Status != OK }) {
		r.ok("browsers", file+" keeps nothing from working")
	}
}
