package congest

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ackPhase is what acknowledgments say of a probe for bandwidth (draft-ietf-ccwg-bbr,
// section 2.14).
type ackPhase uint8

const (
	acksInit ackPhase = iota
	acksRefilling
	acksProbeStarting
	acksProbeFeedback
	acksProbeStopping
)

// bbrProbe is the state of ProbeBW and Drain.
type bbrProbe struct {
	drainStartRound uint64

	ackPhase           ackPhase
	isProbeSample      bool // samples are of packets sent to probe
	upAcked            wire.ByteCount
	probeUpAckedPerInc wire.ByteCount
	upRounds           int
	roundsSinceProbeUp uint64
	probeWait          time.Duration
	cycleStamp         clock.Time

	prevTooHigh, prevPrecautionary bool
}

// startDown also enters ProbeBW (section 5.3.3.9).
func (b *bbr) startDown(now clock.Time) {
	b.resetCongestionSignals()
	b.probeUpAckedPerInc = noVolume
	b.pickProbeWait()
	b.cycleStamp = now
	b.ackPhase = acksProbeStopping
	b.startRound()
	b.state = bbrDown
}

func (b *bbr) startRefill() {
	b.resetShortTermModel()
	b.upRounds, b.upAcked = 0, 0
	b.prevPrecautionary = false
	b.ackPhase = acksRefilling
	b.startRound()
	b.state = bbrRefill
}

func (b *bbr) startUp(a *Ack) {
	b.ackPhase = acksProbeStarting
	b.startRound()
	b.resetFullBW()
	b.fullBW = float64(a.Rate.Rate)
	b.state = bbrUp
	b.raiseLongtermSlope()
}

// updateCyclePhase is UpdateProbeBWCyclePhase.
func (b *bbr) updateCyclePhase(now clock.Time, a *Ack) {
	if !b.fullBWReached || b.adaptLongTermModel(a) {
		return
	}
	switch b.state {
	case bbrDown:
		if !b.timeToProbe(now) && b.timeToCruise(a) {
			b.state = bbrCruise
		}
	case bbrCruise:
		b.timeToProbe(now)
	case bbrRefill:
		if b.roundStart {
			b.isProbeSample = true
			b.startUp(a)
		}
	case bbrUp:
		if b.timeToGoDown(a) {
			b.prevTooHigh = false // no high loss yet
			b.startDown(now)
		}
	}
}

// timeToProbe starts a probe when it is time: section 5.3.3.8.
func (b *bbr) timeToProbe(now clock.Time) bool {
	rounds := min(b.targetInflight()/b.datagram, 63)
	if now <= b.cycleStamp.Add(b.probeWait) && b.roundsSinceProbeUp < uint64(rounds) {
		return false
	}
	b.startRefill()
	return true
}

// pickProbeWait draws the bounds of the wait: 2 to 3 s, and whether a round trip
// less.
func (b *bbr) pickProbeWait() {
	r := b.random()
	b.roundsSinceProbeUp = r & 1
	b.probeWait = 2*time.Second + time.Duration((r>>1)%uint64(time.Second))
}

// targetInflight is TargetInflight of the same section.
func (b *bbr) targetInflight() wire.ByteCount { return min(b.bdp(), b.cwnd) }

// timeToCruise reports whether Down is over: the queue is drained and there is room
// for others.
func (b *bbr) timeToCruise(a *Ack) bool {
	return a.InFlight <= b.inflightWithHeadroom() && a.InFlight <= b.inflight(b.maxBW(), 1)
}

// timeToGoDown reports whether Up is over: section 5.3.3.7.
func (b *bbr) timeToGoDown(a *Ack) bool {
	if b.prevTooHigh && a.InFlight >= b.inflightLongterm {
		b.prevPrecautionary = true
		return true
	}
	if b.cwndLimited() && b.cwnd >= b.inflightLongterm {
		// It is the bound that limits the rate.
		b.resetFullBW()
		b.fullBW = float64(a.Rate.Rate)
		return false
	}
	return b.fullBWNow
}

// inflightWithHeadroom is the bound less what is left to others.
func (b *bbr) inflightWithHeadroom() wire.ByteCount {
	if b.inflightLongterm == noVolume {
		return noVolume
	}
	headroom := max(b.datagram, wire.ByteCount(bbrHeadroom*float64(b.inflightLongterm)))
	return max(b.inflightLongterm-headroom, b.minPipe())
}

// raiseLongtermSlope doubles the growth of inflightLongterm per round trip.
func (b *bbr) raiseLongtermSlope() {
	growth := wire.ByteCount(1) << b.upRounds
	b.upRounds = min(b.upRounds+1, 30)
	b.probeUpAckedPerInc = max(b.cwnd/growth, b.datagram)
}

// probeLongtermUpward raises inflightLongterm as data is acknowledged in Up.
func (b *bbr) probeLongtermUpward(a *Ack) {
	if !b.cwndLimited() || b.cwnd < b.inflightLongterm {
		return // the bound is not in use
	}
	b.upAcked += a.Bytes
	if b.upAcked >= b.probeUpAckedPerInc {
		delta := b.upAcked / b.probeUpAckedPerInc
		b.upAcked -= delta * b.probeUpAckedPerInc
		b.inflightLongterm += delta * b.datagram
	}
	if b.roundStart {
		b.raiseLongtermSlope()
	}
}

// adaptLongTermModel is AdaptLongTermModel. It reports whether it changed the state.
func (b *bbr) adaptLongTermModel(a *Ack) bool {
	if b.ackPhase == acksProbeStarting && b.roundStart {
		b.ackPhase = acksProbeFeedback
	}
	if b.ackPhase == acksProbeStopping && b.roundStart {
		// The last sample of the probe was before.
		b.isProbeSample = false
		b.ackPhase = acksInit
		if b.probingBW() && !a.AppLimited {
			b.advanceMaxBWFilter()
		}
		// Section 5.3.3.6: the cautious probe went well.
		if b.probingBW() && b.prevPrecautionary && !b.prevTooHigh {
			b.startRefill()
			return true
		}
	}
	if tooHigh(a.Rate.Lost, a.Rate.TxInFlight) || b.inflightLongterm == noVolume {
		return false
	}
	b.inflightLongterm = max(b.inflightLongterm, a.Rate.TxInFlight)
	if b.state == bbrUp {
		b.probeLongtermUpward(a)
	}
	return false
}
