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
	a.estimate(paths, g)
	return finish(now, paths, g, a.first(paths, g), need)
}

// estimate sets the shares: those in proportion to the rates, where that is less than
// the least part then that, with the rest for the others.
func (a *aggregate) estimate(paths []View, g group) {
	n, sum := 0, 0.0
	for i := range paths {
		if g.has(&paths[i]) {
			n, sum = n+1, sum+paths[i].rate()
		}
	}
	var raised [maxPaths]bool
	least, rest := min(leastPart, 1/float64(n)), 1.0
	for again := true; again; {
		again = false
		for i := range min(len(paths), maxPaths) {
			v := &paths[i]
			if g.has(v) && !raised[i] && v.rate()*rest < least*sum {
				raised[i], again = true, true
				rest, sum = rest-least, sum-v.rate()
			}
		}
	}
	for i := range paths {
		v := &paths[i]
		if i < maxPaths && raised[i] || sum <= 0 { // or of no path the rate is known
			a.weigh(i, least, v)
		} else {
			a.weigh(i, v.rate()/sum*rest, v)
		}
	}
}

// OnSent charges the path.
func (a *aggregate) OnSent(path wire.PathID, n wire.ByteCount) { a.sent(path, n) }
