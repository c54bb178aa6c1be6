package config

import "testing"

func TestBrowsersAnswers(t *testing.T) {
	const chrome, firefox = "chrome-extension://abcdefghijklmnopabcdefghijklmnop", "moz-extension://0f3c1a52-7d4e-4b1a-9c55-0123456789ab"
	for _, tt := range []struct {
		name, listed, origin string
		want                 bool
	}{
		{"the extension in Chromium", chrome, chrome, true},
		{"another one in Chromium", chrome, "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba", false},
		{"one in Firefox where Chromium's is listed", chrome, firefox, false},
		{"the profile of Firefox that is listed", firefox, firefox, true},
		{"another profile of Firefox", firefox, "moz-extension://1f3c1a52-7d4e-4b1a-9c55-0123456789ab", false},
		{"any profile of Firefox", AnyFirefox, firefox, true},
		{"the asterisk itself", AnyFirefox, AnyFirefox, false},
		{"no UUID", AnyFirefox, "moz-extension://meet.example.com", false},
		{"a UUID and more", AnyFirefox, firefox + ".example.com", false},
		{"two lines", AnyFirefox, firefox + "\n", false},
		{"a page", AnyFirefox, "https://meet.example.com", false},
		{"a page without origin", AnyFirefox, "null", false},
		{"none", AnyFirefox, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := Browsers{Extensions: []string{tt.listed}}
			if got := b.Answers(tt.origin); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
