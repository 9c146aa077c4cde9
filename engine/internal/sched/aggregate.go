package sched

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// aggregate shares the bytes out by what each path can carry, which it estimates anew
// for every train: deficit round robin with rates for weights. The rates have no upper
// limit, so that no two paths tie that are not alike.
type aggregate struct{ deficits }

// leastPart is the share that every path has, so that a path that was slow can show that
// it no longer is.
const leastPart = 0.05

func newAggregate() *aggregate { return &aggregate{newDeficits()} }

// Pick returns the path that is furthest behind its share, but for the end of the data.
func (a *aggregate) Pick(now clock.Time, paths []View, need Need) int {
	g := choose(paths)
	a.sync(paths)
	var sum float64
	for i := range paths {
		if g.has(&paths[i]) {
			sum += paths[i].rate()
		}
	}
	for i := range paths {
		if v := &paths[i]; g.has(v) {
			part := 1.0 // no path is known
			if sum > 0 {
				part = max(v.rate()/sum, leastPart)
			}
			a.weigh(i, part, v)
		}
	}
	return finish(now, paths, g, a.first(paths, g), need)
}

// OnSent charges the path.
func (a *aggregate) OnSent(path wire.PathID, n wire.ByteCount) { a.sent(path, n) }
