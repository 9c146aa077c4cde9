package sched

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Repair returns the path that brings n lost bytes first, Wait when that one has no room
// yet: the peer's application waits for them, whatever else arrives. No scheduler has a say
// in it.
func Repair(now clock.Time, paths []View, n wire.ByteCount) int {
	g := choose(paths)
	return finish(now, paths, g, g.shortest(paths, true), Need{Ready: n, Ending: true})
}
