package topologies

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestNamePattern: the schema's pattern and the decoder's check are one rule.
func TestNamePattern(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[a-z0-9-]{0,18}`),
			rapid.StringMatching(`[a-c_A .é\n-]{0,4}`),
		).Draw(t, "text")
		most := rapid.SampledFrom([]int{maxNodeName, maxLabName}).Draw(t, "most")
		got, want := isName(text, most), regexp.MustCompile(namePattern(most)).MatchString(text)
		if got != want {
			t.Fatalf("isName(%q, %d) = %t, the pattern says %t", text, most, got, want)
		}
	})
}

func TestFitName(t *testing.T) {
	for text, want := range map[string]string{
		"LTE":     "lte",
		"my_link": "my-link",
		"wi fi":   "wi-fi",
		"lte-":    "lte",
		"été":     "",
		"_":       "",
	} {
		if got := fitName(text, maxNodeName); got != want {
			t.Errorf("fitName(%q) = %q, want %q", text, got, want)
		}
	}
}
