package sched

import "github.com/tquiclab/tquiclab/engine/internal/clock"

// group is one of the four kinds of paths. A Pick chooses within a single one.
type group struct{ backup, suspect bool }

// choose returns the group that data may leave on: the first in this order with a path
// that is open.
//
//   - Paths in order that are not for backup.
//   - Backup paths (draft-ietf-quic-multipath-21, section 3.3), when all others are
//     missing or suspect.
//   - Suspect paths: what leaves on them may be lost, so any path in order that gets
//     room soon goes first.
func choose(paths []View) group {
	order := [...]group{{}, {backup: true}, {suspect: true}, {backup: true, suspect: true}}
	for _, g := range order {
		for i := range paths {
			if g.has(&paths[i]) && paths[i].open() {
				return g
			}
		}
	}
	return group{}
}

func (g group) has(v *View) bool { return v.Backup == g.backup && v.Suspect == g.suspect }

// takes reports whether a path of the group has room.
func (g group) takes(v *View) bool { return g.has(v) && v.Room > 0 }

// open reports whether a path has room or gets some soon: from its pacer, or by an
// acknowledgment that is due. Nobody waits for a path that is not.
func (v *View) open() bool {
	return v.Room > 0 || v.Next != clock.Never || v.InFlight > 0 && !v.Suspect
}

// shortest returns the path of the group with the lowest smoothed RTT, among those
// with room or all open ones; Wait when there is none.
//
// A path without an RTT comes after all that have one, and gets a single train to
// learn it from: what is on such a path may never arrive. Where no path has an RTT,
// all are as good.
func (g group) shortest(paths []View, room bool) int {
	best, measured := Wait, false
	for i := range paths {
		if v := &paths[i]; g.has(v) && v.SRTT > 0 && v.open() {
			measured = true
			if (v.Room > 0 || !room) && (best == Wait || v.SRTT < paths[best].SRTT) {
				best = i
			}
		}
	}
	if best != Wait {
		return best
	}
	for i := range paths {
		v := &paths[i]
		if g.has(v) && v.SRTT == 0 && (v.Room > 0 || !room && v.open()) && (!measured || v.InFlight == 0) {
			return i
		}
	}
	return Wait
}
