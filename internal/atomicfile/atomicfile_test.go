package atomicfile

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// check compares a file with what it is to be, and its folder with what it is to hold.
func check(t *testing.T, path, content string, mode os.FileMode, files int) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("the content is %q, %v, want %q", got, err, content)
	}
	if info, err := os.Stat(path); err != nil {
		t.Error(err)
	} else if info.Mode() != mode && runtime.GOOS != "windows" {
		t.Errorf("the mode is %v, want %v", info.Mode(), mode)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != files {
		t.Errorf("the folder holds %v, %v, want %d files", entries, err, files)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, c := range []struct {
		content string
		mode    os.FileMode
	}{
		{"new", 0o600},
		{"longer, and open to a group that may write", 0o664},
		{"", 0o600},
	} {
		if err := Write(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		check(t, path, c.content, c.mode, 1)
	}
}

// Who has the old file open goes on reading the old content.
func TestReaders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be replaced there")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if n, err := f.Read(got); string(got[:n]) != "old" {
		t.Errorf("the reader got %q, %v", got[:n], err)
	}
}

func TestLinks(t *testing.T) {
	links, files := t.TempDir(), t.TempDir()
	path, link, second := filepath.Join(files, "file"), filepath.Join(links, "link"), filepath.Join(links, "second")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("link", second); err != nil {
		t.Fatal(err)
	}
	if err := Write(second, []byte("new"), 0o640); err != nil {
		t.Fatal(err)
	}
	check(t, path, "new", 0o640, 1)
	check(t, second, "new", 0o640, 2)
	if to, err := os.Readlink(link); to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, nil, 0o600); err == nil {
		t.Error("a link that leads nowhere was written to")
	}
	if to, err := os.Readlink(link); to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

// A failure at the last step, the replacement, leaves everything as it was.
func TestFailure(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "folder", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "folder"), []byte("new"), 0o600); err == nil {
		t.Error("a file took the place of a folder")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || !entries[0].IsDir() {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if err := Write(filepath.Join(dir, "nowhere", "file"), nil, 0o600); err == nil {
		t.Error("a file was written into a folder that is not there")
	}
}

// Only those who may write into the folder can replace a file.
func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() <= 0 {
		t.Skip("root may write everywhere, and Windows has other permissions")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if err := Write(path, []byte("new"), 0o600); err == nil {
		t.Error("it was written")
	}
	check(t, path, "old", 0o600, 1)
}
