package engine

import "context"

// Lingerer is an Engine whose sessions leave something behind when they are closed: for a
// while their sockets still answer what arrives late, so that a peer that missed the end
// hears of it.
type Lingerer interface {
	Engine
	// Linger waits until nothing is left of the sessions and listeners that were closed so
	// far, or until ctx ends: then it returns the context's cause. A program calls it before
	// it exits.
	Linger(ctx context.Context) error
}
