package dial

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// Stagger is how long an attempt may take before the next path is tried, too: RFC 8305,
// section 5, recommends 250 ms as the delay between attempts.
const Stagger = 250 * time.Millisecond

// Beaten is what attempts that still run when another has won are closed with, as the
// reason beside code 0.
const Beaten = "another path was faster"

// Race is the dialling of one connection over several paths. Its owner asks Begin again
// and again, at first and after each change, until it says no; then waits for the next
// thing that happens: an attempt that is complete (Complete) or failed (Fail), or
// NextTimeout. Attempts that still run when one has won are closed (Beaten).
type Race struct {
	paths   int
	begun   int // attempts, of the first paths
	running int
	next    clock.Time // when the next attempt begins, if one is left
	over    bool       // won or stopped
}

// NewRace returns a race over so many paths, the first of which is to be tried at once.
func NewRace(now clock.Time, paths int) *Race { return &Race{paths: paths, next: now} }

// Begin returns the number, from 0, of the path over which an attempt begins now; false
// when none does. The attempt counts as running.
func (r *Race) Begin(now clock.Time) (path int, ok bool) {
	if now < r.NextTimeout() {
		return 0, false
	}
	r.begun++
	r.running++
	r.next = now.Add(Stagger)
	return r.begun - 1, true
}

// NextTimeout returns when the next attempt is due: clock.Never when none is left, or
// none is wanted.
func (r *Race) NextTimeout() clock.Time {
	if r.over || r.begun == r.paths {
		return clock.Never
	}
	return r.next
}

// Complete says that a handshake is complete, and reports whether that is the first:
// the winner. No more attempts begin.
func (r *Race) Complete() (won bool) {
	r.running--
	won = !r.over
	r.over = true
	return won
}

// Fail says that an attempt came to nothing, or could not begin: the next one begins at
// once.
func (r *Race) Fail(now clock.Time) {
	r.running--
	r.next = now
}

// Stop says that nobody waits for a winner any more: no more attempts begin.
func (r *Race) Stop() { r.over = true }

// Running returns how many attempts have begun and are neither complete nor failed.
func (r *Race) Running() int { return r.running }

// Lost reports whether no attempt runs and none will begin. It means nothing once one
// has won.
func (r *Race) Lost() bool { return r.running == 0 && (r.over || r.begun == r.paths) }
