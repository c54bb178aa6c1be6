// Pack builds the packages of the extension: a .zip for Chromium and its kin, and an unsigned .xpi for Firefox. The same
// files give the same octets.
package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// files is all that the extension is at run time, in the order of the packages.
var files = []string{
	"configuration.js", "gateway.js", "icon-128.png", "icon-16.png", "icon-32.png", "icon-48.png", "icon.svg", "managed_schema.json",
	"manifest.json", "page.js", "relay.js", "status.css", "status.html", "status.js", "tabs.js", "worker.js",
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack FOLDER-OF-THE-EXTENSION FOLDER-OF-PACKAGES")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// write makes both packages, which differ in nothing but the end of their names.
func write(extension, packages string) error {
	version, err := version(extension)
	if err != nil {
		return err
	}
	archive, err := pack(extension)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(packages, 0o755); err != nil {
		return err
	}
	for _, end := range []string{".zip", ".xpi"} {
		name := filepath.Join(packages, "candgw-extension-"+version+end)
		if err := os.WriteFile(name, archive, 0o644); err != nil {
			return err
		}
		fmt.Println(name)
	}
	return nil
}

// version returns that of the manifest.
func version(extension string) (string, error) {
	text, err := os.ReadFile(filepath.Join(extension, "manifest.json"))
	if err != nil {
		return "", err
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(text, &manifest); err != nil {
		return "", fmt.Errorf("manifest.json: %w", err)
	}
	if manifest.Version == "" {
		return "", fmt.Errorf("manifest.json has no version")
	}
	return manifest.Version, nil
}

// pack returns the extension as an archive. When the files were written, and who may read them here, is not in it, nor is
// anything compressed, as another Go might do that otherwise.
func pack(extension string) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(extension, name))
		if err != nil {
			return nil, err
		}
		header := &zip.FileHeader{Name: name, Method: zip.Store, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		header.SetMode(0o644)
		f, err := w.CreateHeader(header)
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return archive.Bytes(), err
}
