package topologies

import (
	"testing"

	"gopkg.in/yaml.v3"
)

// panicking is a source that makes the YAML library panic.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("the library's own broken invariant") }

func TestLibraryPanic(t *testing.T) {
	root, err := nextDocument(yaml.NewDecoder(panicking{}))
	if root != nil || err == nil {
		t.Fatalf("got %v, %v, want an error", root, err)
	}
	at, p := syntaxProblem([]byte("name: lab\n"), err)
	if (at != position{1, 1}) || p.Text != "not YAML: the text cannot be parsed" {
		t.Errorf("got %+v at %+v", p, at)
	}
}
