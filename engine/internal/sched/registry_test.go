package sched

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	if !slices.IsSorted(Names()) {
		t.Errorf("%q are not sorted", Names())
	}
	if !slices.Contains(Names(), Default) {
		t.Errorf("the default %q is not one of %q", Default, Names())
	}
	for _, name := range append(Names(), "") {
		if s, err := New(name); err != nil || s == nil {
			t.Errorf("New(%q) = %v, %v", name, s, err)
		}
	}
}

func TestNewUnknown(t *testing.T) {
	s, err := New("rr")
	if err == nil {
		t.Fatalf("New(rr) = %v, want an error", s)
	}
	for _, name := range append(Names(), `"rr"`) {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error %q does not name %s", err, name)
		}
	}
}

// Only redundant asks for copies.
func TestTraitsOf(t *testing.T) {
	for _, name := range append(Names(), "", "rr") {
		want := Traits{Redundant: name == "redundant"}
		if got := TraitsOf(name); got != want {
			t.Errorf("TraitsOf(%q) = %+v, want %+v", name, got, want)
		}
	}
}
