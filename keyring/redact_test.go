package keyring

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/candgw/candgw/cipher"
)

// However what holds a key is printed, marshalled or logged, it shows no secret.
func TestNothingShowsKeys(t *testing.T) {
	material := []byte("0123456789abcdefghijklmnopqrstuv")
	k, err := cipher.NewKey(cipher.AESUUID, material)
	if err != nil {
		t.Fatal(err)
	}
	e := new(Ring).Edit(t0)
	if err := e.Add(k, Active); err != nil {
		t.Fatal(err)
	}
	ring, err := e.Ring()
	if err != nil {
		t.Fatal(err)
	}
	var live Live
	live.Store(ring)
	store := NewFileStore(t.TempDir(), "")
	if _, err := store.Update(func(e *Editor) error { return e.Add(k, Active) }); err != nil {
		t.Fatal(err)
	}
	var used Usage
	used.Opened(k, time.Now())
	entry := ring.entries[0]
	for name, v := range map[string]any{
		"key": k, "key by value of a pointer to it": &k, "entry": entry, "entries": ring.entries, "pointer to an entry": &entry,
		"ring": ring, "live ring": &live, "editor": e, "what opened": Opened{Addr: addr, Key: k}, "rotation": Rotation{Suite: cipher.AESUUID},
		"schedule": &Schedule{Store: store}, "store": store, "usage": &used, "map": map[string]*cipher.Key{"a": k}, "any": []any{k, entry},
		"error": fmt.Errorf("of %v: %w", k, ErrInUse),
	} {
		var shown strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
		if text, err := json.Marshal(v); err == nil {
			shown.Write(text)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
			slog.New(h).InfoContext(context.Background(), "x", "value", v)
		}
		for form, secret := range map[string]string{
			"the octets": string(material), "hexadecimal": hex.EncodeToString(material), "base64": base64.StdEncoding.EncodeToString(material),
			"numbers": strings.Trim(fmt.Sprint(material[:8]), "[]"), "Go": strings.TrimSuffix(fmt.Sprintf("%#v", material[:4]), "}")[len("[]byte{"):],
		} {
			if strings.Contains(strings.ToLower(shown.String()), strings.ToLower(secret)) {
				t.Errorf("%s shows %s", name, form)
			}
		}
	}
	if !bytes.Equal(k.Material(), material) {
		t.Error("the key is another one")
	}
}
