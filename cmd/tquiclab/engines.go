package main

import "github.com/tquiclab/tquiclab/engine"

// newRegistry returns the engines of this program, in the order of lists.
func newRegistry() engine.Registry {
	return engine.NewRegistry()
}
