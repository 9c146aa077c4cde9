package sched

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// blest is the Blocking Estimation of Ferlin, Alay, Mehani and Boreli (IFIP Networking
// 2016): when the faster paths are full, a slower one is skipped if the data on it would
// hold up the peer's flow control window until it arrives, with too little left for what
// the faster paths send meanwhile. With credit enough it is minrtt.
type blest struct {
	lambda  float64    // the paper's correction of the estimate
	checked clock.Time // when lambda was last looked at
	short   bool       // since then, a path had room and the window had not
}

// Lambda goes up when the window blocked a path all the same, and down while it does
// not, once per round trip. The limits and steps are those of the authors' kernel module.
const (
	lambdaFirst = 1.2
	lambdaLeast = 1.0
	lambdaMost  = 1.3
	lambdaUp    = 0.04
	lambdaDown  = 0.01
)

// mostDoublings bounds what a window in slow start is expected to become.
const mostDoublings = 16

func newBLEST() *blest { return &blest{lambda: lambdaFirst} }

// Pick returns the path.
func (b *blest) Pick(now clock.Time, paths []View, need Need) int {
	g := choose(paths)
	fast, slow := g.shortest(paths, false), g.shortest(paths, true)
	if fast != Wait {
		b.adapt(now, &paths[fast], need)
	}
	if slow == Wait || slow == fast || !b.blocks(paths, g, slow, need) {
		return finish(now, paths, g, slow, need)
	}
	return Wait
}

// blocks reports whether a train on path s would leave the faster ones short of window.
func (b *blest) blocks(paths []View, g group, s int, need Need) bool {
	slow := &paths[s]
	if slow.SRTT == 0 {
		return false
	}
	var faster float64
	var others wire.ByteCount
	for i := range paths {
		v := &paths[i]
		if i == s || !g.has(v) {
			continue
		}
		others += v.InFlight
		if v.SRTT > 0 && v.SRTT < slow.SRTT && v.open() {
			faster += during(v, slow.SRTT)
		}
	}
	if need.Ending {
		// What the faster paths may send is bounded by what there is.
		faster = min(faster, float64(need.Ready))
	}
	// The paper's |M| - MSS_S * (inflight_S + 1): the window without what the slow path
	// holds up. What waits at the peer for a path in between is not free either, so it is
	// put together from what is free: credit, and what the others have under way.
	train := min(slow.Room, need.Ready)
	return b.lambda*faster > float64(need.Credit+others-train)
}

// during returns what a path sends within d: the paper's
// X = MSS_F * (CWND_F + (rtts-1)/2) * rtts, where the window grows by a datagram with
// each round trip; in slow start it doubles (RFC 9002, section 7.3.1).
func during(v *View, d time.Duration) float64 {
	rtts := float64(d) / float64(v.SRTT)
	if v.SlowStart {
		return float64(v.Window) * (math.Exp2(min(rtts, mostDoublings)) - 1)
	}
	return (float64(v.Window) + float64(v.Datagram)*(rtts-1)/2) * rtts
}

// adapt corrects lambda.
func (b *blest) adapt(now clock.Time, fast *View, need Need) {
	if !need.Ending && need.Credit < fast.Room {
		b.short = true
	}
	if b.checked.IsZero() {
		b.checked = now
	}
	if now.Sub(b.checked) < max(fast.SRTT, 1) {
		return
	}
	if b.short {
		b.lambda = min(b.lambda+lambdaUp, lambdaMost)
	} else {
		b.lambda = max(b.lambda-lambdaDown, lambdaLeast)
	}
	b.checked, b.short = now, false
}

// OnSent has nothing to note.
func (*blest) OnSent(wire.PathID, wire.ByteCount) {}
