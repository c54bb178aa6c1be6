package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (a *app) extension(args []string) error {
	args, err := a.parse(a.flags("extension"), args, false)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usageError("extension wants policy")
	}
	if args[0] != "policy" {
		return usageError("there is no command 'extension %s'", args[0])
	}
	return a.extensionPolicy(args[1:])
}

// firefoxExtension is the id that the manifest of the extension gives it in Firefox.
const firefoxExtension = "extension@candgw"

// A managedBrowser is one that policies force the extension on.
type managedBrowser struct {
	place string // of the policy on Linux
	store string // where extensions come from by default; none for Firefox
}

var managedBrowsers = map[string]managedBrowser{
	"chrome":   {"/etc/opt/chrome/policies/managed/candgw.json", "https://clients2.google.com/service/update2/crx"},
	"chromium": {"/etc/chromium/policies/managed/candgw.json", "https://clients2.google.com/service/update2/crx"},
	"edge":     {"/etc/opt/edge/policies/managed/candgw.json", "https://edge.microsoft.com/extensionwebstorebase/v1/crx"},
	"firefox":  {"/etc/firefox/policies/policies.json", ""},
}

// extensionSettings are what extension/managed_schema.json describes.
type extensionSettings struct {
	Gateways      []string `json:"gateways"`
	Sites         []string `json:"sites,omitempty"`
	ExcludedSites []string `json:"excludedSites,omitempty"`
	Budget        int64    `json:"budget,omitempty"` // milliseconds
}

// extensionInstall has the extension installed in a browser without asking its user.
type extensionInstall struct {
	Mode       string `json:"installation_mode"`
	InstallURL string `json:"install_url,omitempty"` // Firefox
	UpdateURL  string `json:"update_url,omitempty"`  // Chromium and its kin
	// Override has updates come from UpdateURL as well, of which the extension itself says nothing.
	Override bool `json:"override_update_url,omitempty"`
}

// browserPolicy is what all browsers have alike: what is installed, by id, and what it is configured with.
type browserPolicy struct {
	Install    map[string]extensionInstall             `json:"ExtensionSettings"`
	ThirdParty map[string]map[string]extensionSettings `json:"3rdparty"`
}

// extensionPolicy prints what an administrator gives to browsers.
func (a *app) extensionPolicy(args []string) error {
	fs := a.flags("extension policy")
	var settings extensionSettings
	for name, list := range map[string]*[]string{"gateway": &settings.Gateways, "site": &settings.Sites, "exclude": &settings.ExcludedSites} {
		fs.Func(name, "", func(value string) error {
			*list = append(*list, value)
			return nil
		})
	}
	title := fs.String("browser", "chrome", "")
	id := fs.String("id", "", "")
	updateURL := fs.String("update-url", "", "")
	installURL := fs.String("install-url", "", "")
	fs.Func("budget", "", func(value string) error {
		budget, err := time.ParseDuration(value)
		if err != nil || budget < 50*time.Millisecond || budget > 5*time.Second || budget%time.Millisecond != 0 {
			return errors.New("use whole milliseconds from 50ms to 5s, with the unit")
		}
		settings.Budget = budget.Milliseconds()
		return nil
	})
	if _, err := a.arguments(fs, args); err != nil {
		return err
	}
	browser, ok := managedBrowsers[*title]
	if !ok {
		return usageError("--browser %s: use one of %s", *title, strings.Join(slices.Sorted(maps.Keys(managedBrowsers)), ", "))
	}
	if err := settings.check(); err != nil {
		return err
	}

	var policy any
	var err error
	if *title == "firefox" {
		policy, err = firefoxPolicy(*id, *installURL, *updateURL, settings)
	} else {
		policy, err = chromiumPolicy(browser, *id, *installURL, *updateURL, settings)
	}
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(policy); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "On Linux this belongs in %s, or is merged with what is there; elsewhere see docs/extension.md.\n", browser.place)
	return nil
}

func chromiumPolicy(browser managedBrowser, id, installURL, updateURL string, settings extensionSettings) (any, error) {
	if installURL != "" {
		return nil, usageError("--install-url is for firefox: give the address of the update manifest with --update-url")
	}
	if !regexp.MustCompile(`^[a-p]{32}$`).MatchString(id) {
		return nil, usageError("--id %q: give the id of the extension, 32 letters from a to p, as the store or chrome://extensions shows it", id)
	}
	install := extensionInstall{Mode: "force_installed", UpdateURL: browser.store}
	if updateURL != "" {
		if err := checkPackageURL("--update-url", updateURL); err != nil {
			return nil, err
		}
		install.UpdateURL, install.Override = updateURL, updateURL != browser.store
	}
	return browserPolicy{
		map[string]extensionInstall{id: install},
		map[string]map[string]extensionSettings{"extensions": {id: settings}},
	}, nil
}

func firefoxPolicy(id, installURL, updateURL string, settings extensionSettings) (any, error) {
	if updateURL != "" {
		return nil, usageError("--update-url is not for firefox: give the address of the signed .xpi with --install-url")
	}
	if id != "" && id != firefoxExtension {
		return nil, usageError("--id %q: in Firefox the extension is %s; leave the flag out", id, firefoxExtension)
	}
	if installURL == "" {
		return nil, usageError("--install-url is missing: give the address of the signed .xpi")
	}
	if err := checkPackageURL("--install-url", installURL); err != nil {
		return nil, err
	}
	return map[string]browserPolicy{"policies": {
		map[string]extensionInstall{firefoxExtension: {Mode: "force_installed", InstallURL: installURL}},
		map[string]map[string]extensionSettings{"Extensions": {firefoxExtension: settings}},
	}}, nil
}

// What the extension takes for addresses of gateways and for patterns of sites: extension/configuration.js.
var (
	gatewayAddress = regexp.MustCompile(`^https://([\w-]+(\.[\w-]+)*|\[[\da-f:.]+\])(:[1-9]\d*)?/?$`)
	sitePattern    = regexp.MustCompile(`^(\*|https?)://(\*|(\*\.)?[\w-]+(\.[\w-]+)*)/\*$`)
)

// mostGateways is the same there.
const mostGateways = 8

// check refuses what the extension would refuse.
func (s extensionSettings) check() error {
	if len(s.Gateways) == 0 {
		return usageError("--gateway is missing: give the address of the block browsers of candgw, as https://candgw.example.com:8443")
	}
	if len(s.Gateways) > mostGateways {
		return usageError("--gateway is given %d times; the most is %d", len(s.Gateways), mostGateways)
	}
	for _, gateway := range s.Gateways {
		if !isGateway(gateway) {
			return usageError("--gateway %s: write https, a host and a port from 1 to 65535, as in https://candgw.example.com:8443, and no path", gateway)
		}
	}
	for flag, patterns := range map[string][]string{"--site": s.Sites, "--exclude": s.ExcludedSites} {
		for _, pattern := range patterns {
			if !sitePattern.MatchString(pattern) {
				return usageError("%s %s: write a scheme, a host and the path /*, as in https://*.example.com/*, and no port", flag, pattern)
			}
		}
	}
	return nil
}

func isGateway(text string) bool {
	parsed, err := url.Parse(text)
	if err != nil || !gatewayAddress.MatchString(text) {
		return false
	}
	// A host that ends in a number is an IPv4 address to browsers.
	host := parsed.Hostname()
	if last := host[strings.LastIndexByte(host, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		if _, err := netip.ParseAddr(host); err != nil {
			return false
		}
	}
	_, err = strconv.ParseUint(parsed.Port(), 10, 16)
	return err == nil || parsed.Port() == ""
}

// checkPackageURL wants an address that nobody on the way can change.
func checkPackageURL(flag, text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.User != nil || !(parsed.Scheme == "https" && parsed.Host != "" || parsed.Scheme == "file" && parsed.Host == "" && parsed.Path != "") {
		return usageError("%s %s: write it as https://downloads.example.com/candgw, or file:///srv/candgw", flag, text)
	}
	return nil
}
