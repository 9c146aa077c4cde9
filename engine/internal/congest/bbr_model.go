package congest

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// bbrModel is what bbr knows of the path (draft-ietf-ccwg-bbr, sections 2.9 and
// 5.5).
type bbrModel struct {
	bw float64 // the lesser of maxBW and bwShortterm
	// maxBWFilter has the largest rate of the previous and of this cycle of ProbeBW.
	maxBWFilter [2]float64
	bwShortterm float64

	inflightLongterm, inflightShortterm wire.ByteCount

	extraAckedStart     clock.Time
	extraAckedDelivered wire.ByteCount
	extraAcked          maxFilter

	fullBWReached, fullBWNow bool
	fullBW                   float64
	fullBWCount              int
}

func (m *bbrModel) maxBW() float64 { return max(m.maxBWFilter[0], m.maxBWFilter[1]) }

// updateMaxBW is section 5.5.5.
func (m *bbrModel) updateMaxBW(a *Ack) {
	rate := float64(a.Rate.Rate)
	if rate > 0 && (rate >= m.maxBW() || !a.AppLimited) {
		m.maxBWFilter[1] = max(m.maxBWFilter[1], rate)
	}
}

// advanceMaxBWFilter begins a cycle. One without a sample leaves the old ones.
func (m *bbrModel) advanceMaxBWFilter() {
	if m.maxBWFilter[1] > 0 {
		m.maxBWFilter = [2]float64{m.maxBWFilter[1], 0}
	}
}

func (m *bbrModel) resetShortTermModel() {
	m.bwShortterm, m.inflightShortterm = noRate, noVolume
}

func (m *bbrModel) resetFullBW() { m.fullBW, m.fullBWCount, m.fullBWNow = 0, 0, false }

// updateAckAggregation is section 5.5.9: how much more is acknowledged at
// once than the rate explains.
func (b *bbr) updateAckAggregation(now clock.Time, a *Ack) {
	expected := volume(b.bw, now.Sub(b.extraAckedStart))
	if b.extraAckedDelivered <= expected {
		b.extraAckedDelivered, b.extraAckedStart, expected = 0, now, 0
	}
	b.extraAckedDelivered += a.Bytes
	extra := min(b.extraAckedDelivered-expected, b.cwnd)
	length := uint64(1) // in Startup, one round trip is remembered
	if b.fullBWReached {
		length = bbrAckedFilterLen
	}
	b.extraAcked.update(int64(extra), b.roundCount, length)
}

// checkFullBW looks for a plateau of the rate: section 5.3.1.2. An acknowledgment
// without a rate says nothing.
func (b *bbr) checkFullBW(a *Ack) {
	if b.fullBWNow || !b.roundStart || a.AppLimited || a.Rate.Rate == 0 {
		return
	}
	if rate := float64(a.Rate.Rate); rate >= b.fullBW*1.25 {
		b.resetFullBW()
		b.fullBW = rate
		return
	}
	b.fullBWCount++
	b.fullBWNow = b.fullBWCount >= 3
	b.fullBWReached = b.fullBWReached || b.fullBWNow
}

// checkStartupDone is section 5.3.1.
func (b *bbr) checkStartupDone(a *Ack) {
	if b.state != bbrStartup {
		return
	}
	b.checkStartupHighLoss(a)
	if b.fullBWReached {
		b.state, b.drainStartRound = bbrDrain, b.roundCount
	}
}

// checkStartupHighLoss is section 5.3.1.3, at the end of
// a round trip that began with a loss.
func (b *bbr) checkStartupHighLoss(a *Ack) {
	if b.fullBWReached || !b.lossRoundStart || !b.recovering {
		return
	}
	lost := b.lossRanges >= bbrStartupLosses && tooHigh(a.Rate.Lost, a.Rate.TxInFlight)
	if !lost && !tooHigh(b.marked, b.inflightLatest) {
		return
	}
	b.fullBWNow, b.fullBWReached = true, true
	b.inflightLongterm = max(b.bdp(), b.inflightLatest)
}

// checkDrainDone is section 5.3.2.
func (b *bbr) checkDrainDone(now clock.Time, a *Ack) {
	if b.state == bbrDrain && (a.InFlight <= b.inflight(b.bw, 1) || b.roundCount > b.drainStartRound+3) {
		b.startDown(now)
	}
}

// bdp is BBR.bdp, 0 while nothing is known.
func (b *bbr) bdp() wire.ByteCount {
	if b.minRTT == noRTT {
		return 0
	}
	return volume(b.bw, b.minRTT)
}

// bdpMultiple is BDPMultiple of section 5.6.4.2.
func (b *bbr) bdpMultiple(bw, gain float64) wire.ByteCount {
	if b.minRTT == noRTT {
		return b.initialCwnd()
	}
	return volume(gain*bw, b.minRTT)
}

// inflight is Inflight of the same section.
func (b *bbr) inflight(bw, gain float64) wire.ByteCount {
	return b.quantizationBudget(b.bdpMultiple(bw, gain))
}

// quantizationBudget makes room for what leaves and is acknowledged in lumps.
func (b *bbr) quantizationBudget(limit wire.ByteCount) wire.ByteCount {
	if b.state != bbrUp { // whose gain leaves room
		limit += volume(b.bw, b.jitter())
	}
	// Section 5.5.8.2: the send quantum.
	limit = max(limit, b.sendQuantum, b.minPipe())
	if b.state == bbrUp {
		limit += 2 * b.datagram
	}
	return limit
}

func (b *bbr) minPipe() wire.ByteCount { return bbrMinPipe * b.datagram }

// volume is what passes at rate byte/s in d.
func volume(rate float64, d time.Duration) wire.ByteCount {
	// A bound far from overflow: no window is near it.
	return wire.ByteCount(min(rate*d.Seconds(), 1<<50))
}

// tooHigh reports whether more than LossThresh of a volume in flight was lost
// (IsInflightTooHigh).
func tooHigh(lost, inFlight wire.ByteCount) bool {
	return float64(lost) > bbrLossThresh*float64(inFlight)
}
