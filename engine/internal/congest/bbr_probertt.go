package congest

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// bbrRTT is the estimate of the path's delay and the schedule of ProbeRTT (draft-ietf-ccwg-bbr,
// section 2.16).
type bbrRTT struct {
	minRTT      time.Duration // noRTT: not known
	minRTTStamp clock.Time

	probeRTTMinDelay  time.Duration
	probeRTTMinStamp  clock.Time
	probeRTTExpired   bool
	probeRTTDone      clock.Time // when ProbeRTT may end; 0: not known yet
	probeRTTRoundDone bool
	idleRestart       bool

	// Of the round trip so far, as packets count them: the least and the most.
	shortest, longest time.Duration
	spread            time.Duration // between the two, over some round trips
}

// noteRTT takes a sample of the round trip that begins or goes on; probes: our own queue
// changes.
func (b *bbrRTT) noteRTT(rtt time.Duration, begins, probes bool) {
	if probes { // and varies the queue
		b.shortest, b.longest = noRTT, 0
		return
	}
	if begins && b.longest > 0 {
		if b.spread == 0 {
			b.spread = b.longest - b.shortest
		}
		b.spread += (b.longest - b.shortest - b.spread) / 4
		b.shortest, b.longest = noRTT, 0
	}
	if rtt > 0 {
		b.shortest, b.longest = min(b.shortest, rtt), max(b.longest, rtt)
	}
}

// jitter is how much longer a round trip is on average than the shortest one, for other
// reasons than our own queue, which is there all the time: half of the spread. It is not
// the draft's. Where round trips vary by half of themselves, what the shortest one holds
// does not fill the path, and the rate never grows.
func (b *bbrRTT) jitter() time.Duration {
	if b.minRTT == noRTT {
		return 0
	}
	return min(b.spread/2, b.minRTT)
}

// updateMinRTT is section 5.3.4.3.
func (b *bbr) updateMinRTT(now clock.Time, a *Ack) {
	b.probeRTTExpired = now > b.probeRTTMinStamp.Add(bbrProbeRTTInterval)
	if a.LatestRTT > 0 && (a.LatestRTT < b.probeRTTMinDelay || b.probeRTTExpired) {
		b.probeRTTMinDelay, b.probeRTTMinStamp = a.LatestRTT, now
	}
	if b.probeRTTMinDelay < b.minRTT || now > b.minRTTStamp.Add(bbrMinRTTFilterLen) {
		b.minRTT, b.minRTTStamp = b.probeRTTMinDelay, b.probeRTTMinStamp
	}
}

// checkProbeRTT is CheckProbeRTT.
func (b *bbr) checkProbeRTT(now clock.Time, a *Ack) {
	if b.state != bbrProbeRTT && b.probeRTTExpired && !b.idleRestart {
		b.state = bbrProbeRTT
		b.saveCwnd()
		b.probeRTTDone = 0
		b.ackPhase = acksProbeStopping
		b.startRound()
	}
	if b.state == bbrProbeRTT {
		b.handleProbeRTT(now, a)
	}
	if a.deliveredSince() > 0 {
		b.idleRestart = false
	}
}

// handleProbeRTT waits for little to be in flight, then for the time that takes
// (State.SelfLimited marks the connection as limited meanwhile).
func (b *bbr) handleProbeRTT(now clock.Time, a *Ack) {
	if b.probeRTTDone == 0 {
		if a.InFlight <= b.probeRTTCwnd() {
			b.probeRTTDone = now.Add(bbrProbeRTTDuration)
			b.probeRTTRoundDone = false
			b.startRound()
		}
		return
	}
	b.probeRTTRoundDone = b.probeRTTRoundDone || b.roundStart
	if b.probeRTTRoundDone {
		b.checkProbeRTTDone(now)
	}
}

// checkProbeRTTDone leaves ProbeRTT when it is time (section 5.3.4.4).
func (b *bbr) checkProbeRTTDone(now clock.Time) {
	if b.probeRTTDone == 0 || now <= b.probeRTTDone {
		return
	}
	b.probeRTTMinStamp = now // the next one is due an interval from now
	b.restoreCwnd()
	b.resetShortTermModel()
	if b.fullBWReached {
		b.startDown(now)
		b.state = bbrCruise // what is in flight is below the estimate already
		return
	}
	b.state = bbrStartup
}
