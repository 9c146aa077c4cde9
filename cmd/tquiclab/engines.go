package main

import (
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/quicgo"
)

// newRegistry returns the engines of this program, in the order of lists.
func newRegistry() engine.Registry {
	return engine.NewRegistry(quicgo.New(), quicgo.NewBond())
}
