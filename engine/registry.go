package engine

import (
	"fmt"
	"slices"
	"strings"
)

// Registry is the set of engines that a program knows, in a fixed order. The
// zero value is empty.
type Registry struct {
	engines []Engine
}

// NewRegistry returns a registry of the given engines. It panics when two share
// a name, which no input can cause.
func NewRegistry(engines ...Engine) Registry {
	seen := map[string]bool{}
	for _, e := range engines {
		if seen[e.Name()] {
			panic("engine: two engines are named " + e.Name())
		}
		seen[e.Name()] = true
	}
	return Registry{engines: slices.Clone(engines)}
}

// Names returns the engines' names in registry order.
func (r Registry) Names() []string {
	names := make([]string, len(r.engines))
	for i, e := range r.engines {
		names[i] = e.Name()
	}
	return names
}

// Lookup returns the engine of that name, or an error that lists the known ones.
func (r Registry) Lookup(name string) (Engine, error) {
	for _, e := range r.engines {
		if e.Name() == name {
			return e, nil
		}
	}
	return nil, fmt.Errorf("unknown engine %q: known are %s", name, strings.Join(r.Names(), ", "))
}
