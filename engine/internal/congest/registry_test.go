package congest

import (
	"slices"
	"strings"
	"testing"
)

func TestNewUnknown(t *testing.T) {
	c, err := New("vegas", Config{})
	if err == nil {
		t.Fatalf("New(vegas) = %v, want an error", c)
	}
	for _, name := range append(Names(), "vegas") {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error %q does not name %s", err, name)
		}
	}
	if !slices.IsSorted(Names()) {
		t.Errorf("names are %v, want them sorted", Names())
	}
}
