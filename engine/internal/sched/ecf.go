package sched

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ecf is Earliest Completion First (Lim, Nahum, Towsley and Gibbens, CoNEXT 2017,
// algorithm 1): when the fastest path is full, a slower one is used only if the data
// is there sooner than by waiting for the fastest.
//
// The paper's k, the data in the send buffer, is Need.Ready once the data is Ending.
// Before, what is still to come is not known, and counts as without end: no path idles.
type ecf struct {
	waiting bool // the paper's: the last decision was to wait
}

// beta is the paper's hysteresis: having waited, it takes a quarter more to stop it.
const beta = 0.25

// Pick returns the path.
func (e *ecf) Pick(now clock.Time, paths []View, need Need) int {
	g := choose(paths)
	fast, slow := g.shortest(paths, false), g.shortest(paths, true)
	if slow == Wait || slow == fast {
		return finish(now, paths, g, slow, need)
	}
	if need.Ending && e.wait(&paths[fast], &paths[slow], need.Ready) {
		return Wait
	}
	return finish(now, paths, g, slow, need)
}

// wait reports whether k bytes are sooner there by way of f, which is full, than of s.
func (e *ecf) wait(f, s *View, k wire.ByteCount) bool {
	if f.SRTT == 0 || s.SRTT == 0 || f.Window == 0 || s.Window == 0 {
		return false
	}
	delta := max(f.RTTVar, s.RTTVar)
	// A round trip until f has room, and k/CWND_f more to send all.
	byFast := trips(1+float64(k)/float64(f.Window), f.SRTT)
	limit := s.SRTT + delta
	if e.waiting {
		limit += time.Duration(beta * float64(limit))
	}
	if byFast >= limit {
		e.waiting = false
		return false
	}
	// A slow path may still do when it takes less than f takes to be free and to answer.
	// Not even one byte takes less than a round trip.
	bySlow := trips(max(1, float64(k)/float64(s.Window)), s.SRTT)
	if bySlow < 2*f.SRTT+delta {
		return false
	}
	e.waiting = true
	return true
}

func trips(n float64, rtt time.Duration) time.Duration { return seconds(n * rtt.Seconds()) }

// OnSent has nothing to note.
func (*ecf) OnSent(wire.PathID, wire.ByteCount) {}
