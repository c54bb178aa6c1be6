package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const source = ".."

// TestReproducible packs the extension twice, the second time from a copy that is younger and readable by its owner alone.
func TestReproducible(t *testing.T) {
	copied := t.TempDir()
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(copied, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	version, err := version(source)
	if err != nil {
		t.Fatal(err)
	}
	var packages [][]byte
	for _, from := range []string{source, copied} {
		to := filepath.Join(t.TempDir(), "dist")
		if err := write(from, to); err != nil {
			t.Fatal(err)
		}
		for _, end := range []string{".zip", ".xpi"} {
			content, err := os.ReadFile(filepath.Join(to, "candgw-extension-"+version+end))
			if err != nil {
				t.Fatal(err)
			}
			packages = append(packages, content)
		}
	}
	for _, other := range packages[1:] {
		if !bytes.Equal(packages[0], other) {
			t.Error("two packages of the same files differ")
		}
	}

	archive, err := zip.NewReader(bytes.NewReader(packages[0]), int64(len(packages[0])))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := os.ReadFile(filepath.Join(source, f.Name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not packed as it is (%v)", f.Name, err)
		}
	}
	if !slices.Equal(names, files) || !slices.IsSorted(names) {
		t.Errorf("the package holds %q, want %q, sorted", names, files)
	}
}

// TestNothingForgotten holds the list of files to the folder: all but what only those need who work on the extension.
func TestNothingForgotten(t *testing.T) {
	entries, err := os.ReadDir(source)
	if err != nil {
		t.Fatal(err)
	}
	var present []string
	for _, entry := range entries {
		switch name := entry.Name(); {
		case entry.IsDir(), slices.Contains([]string{".gitignore", "package.json", "package-lock.json", "tsconfig.json"}, name):
		default:
			present = append(present, name)
		}
	}
	if !slices.Equal(present, files) {
		t.Errorf("the folder holds  %q,\nthe package holds %q", present, files)
	}
}

// TestShort keeps the extension at a size that whoever lets it into every page can read. Lines that are blank, or hold a
// comment and nothing else, do not count.
func TestShort(t *testing.T) {
	lines := 0
	for _, name := range files {
		if !strings.HasSuffix(name, ".js") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		lines += len(code.FindAll(content, -1))
	}
	if lines >= 1000 {
		t.Errorf("the extension has %d lines of JavaScript, want less than 1000", lines)
	}
	t.Logf("the extension has %d lines of JavaScript", lines)
}

var code = regexp.MustCompile(`(?m)^\s*[^\s/*].*$|^\s*/[^/*\n].*$`)

// TestManifest checks what browsers and stores are told: that the extension may do no more than it needs.
func TestManifest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(source, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Manifest        int      `json:"manifest_version"`
		Permissions     []string `json:"permissions"`
		HostPermissions []string `json:"host_permissions"`
		Key             any      `json:"key"`
		Content         any      `json:"content_scripts"`
		Accessible      any      `json:"web_accessible_resources"`
		Background      struct {
			Worker  string   `json:"service_worker"`
			Scripts []string `json:"scripts"`
		} `json:"background"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Manifest != 3 {
		t.Errorf("manifest_version is %d, want 3", manifest.Manifest)
	}
	if want := []string{"scripting", "storage"}; !slices.Equal(manifest.Permissions, want) {
		t.Errorf("permissions are %q, want %q", manifest.Permissions, want)
	}
	if want := []string{"http://*/*", "https://*/*"}; !slices.Equal(manifest.HostPermissions, want) {
		t.Errorf("host_permissions are %q, want %q", manifest.HostPermissions, want)
	}
	if manifest.Key != nil {
		t.Error("there is a key, which stores refuse")
	}
	// Scripts are registered once a gateway is configured, and pages must not be able to tell that the extension is there.
	if manifest.Content != nil || manifest.Accessible != nil {
		t.Error("there are content scripts or resources for pages in the manifest")
	}
	if b := manifest.Background; !slices.Equal(b.Scripts, []string{b.Worker}) {
		t.Errorf("Chromium runs %q and Firefox %q", b.Worker, b.Scripts)
	}
}
