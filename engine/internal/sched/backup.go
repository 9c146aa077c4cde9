package sched

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// backup uses one path at a time: of those not for backup the one with the lowest RTT,
// another one only when that can carry nothing. It is the strict priority of draft-
// bonaventure-iccrg-schedulers-02, section 4.3, with the RTT for the priority; a path
// that is merely full is waited for.
//
// The RTT is the lowest seen: load makes the smoothed one longer, and the choice would go
// back and forth with it.
type backup struct{}

// Pick returns the path, or Wait while it is full.
func (backup) Pick(_ clock.Time, paths []View, _ Need) int {
	g := choose(paths)
	best := Wait
	for i := range paths {
		if v := &paths[i]; g.has(v) && v.open() && (best == Wait || idleRTT(v) < idleRTT(&paths[best])) {
			best = i
		}
	}
	if best == Wait || paths[best].Room == 0 {
		return Wait
	}
	return best
}

// idleRTT returns the RTT without load; a path that is not measured comes last.
func idleRTT(v *View) time.Duration {
	switch {
	case v.MinRTT > 0:
		return v.MinRTT
	case v.SRTT > 0:
		return v.SRTT
	}
	return 1<<63 - 1
}

// OnSent has nothing to note.
func (backup) OnSent(wire.PathID, wire.ByteCount) {}
