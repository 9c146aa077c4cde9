package uml

import (
	"strings"
	"testing"
)

func TestMemoryFolder(t *testing.T) {
	folder := t.TempDir()
	if got, err := memoryFolder(1<<20, "/nowhere", folder); err != nil || got != folder {
		t.Errorf("got %q, %v, want the folder that is there, %q", got, err, folder)
	}
	_, err := memoryFolder(1<<60, folder, "/proc")
	for _, part := range []string{folder + " has", "/proc"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error %v, want %q in it", err, part)
		}
	}
}
