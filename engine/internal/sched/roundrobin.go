package sched

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// roundRobin takes the paths in turn, a train each, and passes over those without room
// (draft-bonaventure-iccrg-schedulers-02, section 4.1). It is for tests and comparisons:
// even the end of the data goes around.
type roundRobin struct {
	last wire.PathID
	used bool
}

// Pick returns the path with the next higher ID, after the highest the lowest.
func (r *roundRobin) Pick(_ clock.Time, paths []View, _ Need) int {
	g := choose(paths)
	first := Wait
	for i := range paths {
		if !g.takes(&paths[i]) {
			continue
		}
		if !r.used || paths[i].ID > r.last {
			return i
		}
		if first == Wait {
			first = i
		}
	}
	return first
}

// OnSent moves on.
func (r *roundRobin) OnSent(path wire.PathID, _ wire.ByteCount) { r.last, r.used = path, true }
