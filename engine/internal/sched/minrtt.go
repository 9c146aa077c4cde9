package sched

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// minRTT takes the path with the lowest smoothed RTT that has room (the lowest round-
// trip time first of draft-bonaventure-iccrg-schedulers-02, section 4.5; Paasch and
// others, CSWS 2014), but for the end of the data.
type minRTT struct{}

// Pick returns the path.
func (minRTT) Pick(now clock.Time, paths []View, need Need) int {
	g := choose(paths)
	return finish(now, paths, g, g.shortest(paths, true), need)
}

// OnSent has nothing to note.
func (minRTT) OnSent(wire.PathID, wire.ByteCount) {}
