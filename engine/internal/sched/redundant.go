package sched

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// redundant has everything leave on all paths (Traits.Redundant; Frommgen and others,
// ICC 2016). Its own choice, where new data leaves first, is that of minrtt; it never
// waits while a path that is measured has room: whichever copy is first, counts.
type redundant struct{}

// Pick returns the path.
func (redundant) Pick(_ clock.Time, paths []View, _ Need) int {
	g := choose(paths)
	return g.shortest(paths, true)
}

// OnSent has nothing to note.
func (redundant) OnSent(wire.PathID, wire.ByteCount) {}
