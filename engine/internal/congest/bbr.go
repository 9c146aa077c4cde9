package congest

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The states of bbr (draft-ietf-ccwg-bbr, section 5.1.1).
type bbrState uint8

const (
	bbrStartup bbrState = iota
	bbrDrain
	bbrDown
	bbrCruise
	bbrRefill
	bbrUp
	bbrProbeRTT
)

// bbrModes are the gains and names of the states: the table of section 5.6.1.
var bbrModes = [...]struct {
	phase        string
	pacing, cwnd float64
}{
	bbrStartup:  {"startup", 2.77, 2},
	bbrDrain:    {"drain", 0.5, 2},
	bbrDown:     {"probe_bw_down", 0.90, 2},
	bbrCruise:   {"probe_bw_cruise", 1, 2},
	bbrRefill:   {"probe_bw_refill", 1, 2},
	bbrUp:       {"probe_bw_up", 1.25, 2.25},
	bbrProbeRTT: {"probe_rtt", 1, 0.5},
}

// Constants of section 2.8 and those after it.
const (
	bbrLossThresh       = 0.02
	bbrBeta             = 0.7
	bbrHeadroom         = 0.15
	bbrPacingMargin     = 0.99 // 1 - PacingMarginPercent/100
	bbrMinPipe          = 4    // datagrams
	bbrStartupLosses    = 6    // StartupFullLossCnt: separate losses in a round trip
	bbrAckedFilterLen   = 10   // round trips
	bbrMinRTTFilterLen  = 10 * time.Second
	bbrProbeRTTInterval = 5 * time.Second
	bbrProbeRTTDuration = 200 * time.Millisecond
)

// bbrQueue is how much of a queue a window may fill while nothing is probed. It is not
// the draft's: see target.
const bbrQueue = 3 * time.Millisecond

// Without a bound yet.
const (
	noVolume wire.ByteCount = math.MaxInt64
	noRate                  = math.MaxFloat64
)

// bbr is BBRv3 as draft-ietf-ccwg-bbr has it: a model of the path, rate and volume,
// and a state machine that probes for what the model should be. Fields bear the
// draft's names, rates are byte/s.
type bbr struct {
	datagram wire.ByteCount
	initial  wire.ByteCount // configured initial window, 0: the RFC's
	random   func() uint64
	state    bbrState
	fresh    bool // nothing was acknowledged yet
	timed    bool // the RTT was sampled

	// Round trips, as packets count them.
	delivered          wire.ByteCount
	nextRoundDelivered wire.ByteCount
	roundCount         uint64
	roundStart         bool
	limited            [2]bool // the window was full in this round trip, in the one before

	bbrModel
	bbrProbe
	bbrSignals
	bbrRTT
	bbrControl
}

func newBBR(c Config) *bbr {
	b := &bbr{datagram: max(c.Datagram, minDatagram), initial: c.InitialWindow, random: c.Random, fresh: true}
	b.minRTT, b.probeRTTMinDelay, b.shortest = noRTT, noRTT, noRTT
	b.minRTTStamp, b.probeRTTMinStamp, b.extraAckedStart = c.Now, c.Now, c.Now
	b.inflightLongterm, b.probeUpAckedPerInc = noVolume, noVolume
	b.lastLost = wire.NoPacket
	b.resetShortTermModel()
	b.cwnd = b.initialCwnd()
	// Section 5.6.2: as if the RTT were 1 ms, until it is known.
	b.initPacingRate(time.Millisecond)
	return b
}

func (b *bbr) initialCwnd() wire.ByteCount {
	if b.initial != 0 {
		return max(b.initial, minimumWindow(b.datagram))
	}
	return initialWindow(b.datagram)
}

// OnSent notes a restart from idle, and whether the window is full.
func (b *bbr) OnSent(now clock.Time, s Sent) {
	if s.InFlight == s.Bytes && s.AppLimited {
		b.restartFromIdle(now)
	}
	if s.InFlight+b.datagram > b.cwnd {
		b.limited[0] = true
	}
}

// restartFromIdle is section 5.4.
func (b *bbr) restartFromIdle(now clock.Time) {
	b.idleRestart = true
	b.extraAckedStart = now
	switch {
	case b.probingBW():
		b.setPacingRate(1)
	case b.state == bbrProbeRTT:
		b.checkProbeRTTDone(now)
	}
}

// OnAck updates the model and the state, then what follows from them: section
// 5.2.3.
func (b *bbr) OnAck(now clock.Time, a Ack) {
	b.delivered = a.Delivered
	b.fresh = false
	if !b.timed && a.MinRTT > 0 {
		b.timed = true
		b.initPacingRate(a.SmoothedRTT)
	}
	b.noteMarks(now, &a)

	b.updateLatestDeliverySignals(&a)
	b.updateCongestionSignals(&a)
	b.updateAckAggregation(now, &a)
	b.checkFullBW(&a)
	b.checkStartupDone(&a)
	b.checkDrainDone(now, &a)
	b.updateCyclePhase(now, &a)
	b.updateMinRTT(now, &a)
	b.checkProbeRTT(now, &a)
	b.advanceLatestDeliverySignals(&a)
	b.bw = min(b.maxBW(), b.bwShortterm)

	if b.recovering && a.LargestSent > b.recoveryStart {
		b.recovering = false
		b.restoreCwnd()
	}
	b.setPacingRate(bbrModes[b.state].pacing)
	b.setSendQuantum()
	b.setCwnd(&a)
}

// SetDatagram implements DatagramSizer.
func (b *bbr) SetDatagram(size wire.ByteCount) {
	b.datagram = max(size, minDatagram)
	// RFC 9002, section 7.2: the initial window SHOULD be recalculated.
	if b.fresh {
		b.cwnd = b.initialCwnd()
	}
	b.cwnd = max(b.cwnd, minimumWindow(b.datagram))
}

// State implements Controller. There is no threshold: after Startup, SSThresh is what
// no window is below.
func (b *bbr) State() State {
	s := State{
		Window: b.cwnd, PacingRate: max(int64(b.pacingRate), 1), Phase: bbrModes[b.state].phase,
		// Section 5.3.4.3: low rates meanwhile are of our own making.
		SelfLimited: b.state == bbrProbeRTT,
	}
	if b.fullBWReached {
		s.SSThresh = minimumWindow(b.datagram)
	}
	return s
}

// updateRound is section 5.5.1.
func (b *bbr) updateRound(a *Ack) {
	b.roundStart = a.Rate.PriorDelivered >= b.nextRoundDelivered
	b.noteRTT(a.LatestRTT, b.roundStart, b.state == bbrUp)
	if !b.roundStart {
		return
	}
	b.startRound()
	b.roundCount++
	b.roundsSinceProbeUp++
	b.limited[0], b.limited[1] = false, b.limited[0]
}

func (b *bbr) startRound() { b.nextRoundDelivered = b.delivered }

// cwndLimited reports whether the window was full in the last round trip.
func (b *bbr) cwndLimited() bool { return b.limited[0] || b.limited[1] }

// probingBW reports whether the state is one of ProbeBW's.
func (b *bbr) probingBW() bool { return b.state >= bbrDown && b.state <= bbrUp }

// accelerating reports whether the state is one that looks for more bandwidth
// (IsProbingBW).
func (b *bbr) accelerating() bool {
	return b.state == bbrStartup || b.state == bbrRefill || b.state == bbrUp
}
