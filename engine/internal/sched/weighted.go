package sched

import (
	"math"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// weighted shares the bytes out by configured weights (the weighted round robin of
// draft-bonaventure-iccrg-schedulers-02, section 4.2, in its variant with deficits). The
// weights hold while every path can carry its share; a path never idles for the sake of
// another one's share. They hold for small transfers, too: the end of the data is on no
// particular path.
type weighted struct{ deficits }

func newWeighted() *weighted { return &weighted{newDeficits()} }

// Pick returns the path that is furthest behind its share.
func (w *weighted) Pick(_ clock.Time, paths []View, _ Need) int {
	g := choose(paths)
	w.sync(paths)
	var sum float64
	for i := range paths {
		if g.has(&paths[i]) {
			sum += weightOf(&paths[i])
		}
	}
	for i := range paths {
		if g.has(&paths[i]) {
			w.weigh(i, weightOf(&paths[i])/sum, &paths[i])
		}
	}
	return w.first(paths, g)
}

// weightOf returns a path's weight: 1 when none was given, or none that is a number.
func weightOf(v *View) float64 {
	if v.Weight > 0 && v.Weight <= math.MaxFloat64/maxPaths {
		return v.Weight
	}
	return 1
}

// OnSent charges the path.
func (w *weighted) OnSent(path wire.PathID, n wire.ByteCount) { w.sent(path, n) }
