package congest

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// bbrSignals are what bbr knows of congestion (draft-ietf-ccwg-bbr, section
// 2.10).
type bbrSignals struct {
	// The largest rate and volume delivered in this round trip.
	bwLatest       float64
	inflightLatest wire.ByteCount

	// Round trips of their own: each starts with the first loss after the last.
	lossRoundDelivered wire.ByteCount
	lossRoundStart     bool
	isLossInRound      bool
	// Of the round trip: how many stretches of packets were lost, and what was marked.
	lossRanges int
	lastLost   wire.PacketNumber
	marked     wire.ByteCount

	recoveryStart clock.Time // 0: none
	recovering    bool
}

// OnPacketLost implements PacketLossObserver: section 5.5.10.2.
func (b *bbr) OnPacketLost(now clock.Time, p LostPacket) {
	b.noteLoss(p.Delivered)
	if p.Number != b.lastLost+1 {
		b.lossRanges++
	}
	b.lastLost = p.Number
	if b.isProbeSample && tooHigh(p.LostSince, p.TxInFlight) {
		b.handleInflightTooHigh(now, inflightAtLoss(p), p.AppLimited)
	}
}

// OnLoss begins a recovery period.
func (b *bbr) OnLoss(now clock.Time, l Loss) {
	if l.CE {
		// draft-ietf-ccwg-bbr, section 3.7: MUST treat CE marks as congestion.
		b.noteLoss(l.Delivered)
	}
	if l.LargestSent > b.recoveryStart {
		b.saveCwnd()
		b.recoveryStart, b.recovering = now, true
	}
	if l.Persistent {
		// Section 5.6.4.4: upon a retransmission timeout, a single packet. RFC 9002, section 7.6.2: the window MUST be reduced to the minimum.
		b.saveCwnd()
		b.recoveryStart, b.recovering = now, true
		b.cwnd = minimumWindow(b.datagram)
	}
}

// noteLoss begins a round trip with the first loss of one.
func (b *bbr) noteLoss(delivered wire.ByteCount) {
	b.delivered = delivered
	if b.isLossInRound {
		return
	}
	b.lossRoundDelivered = delivered
	b.saveCwnd()
	b.isLossInRound = true
}

// noteMarks takes in CE marks: as many bytes as they may have been, as if lost.
func (b *bbr) noteMarks(now clock.Time, a *Ack) {
	b.marked += wire.ByteCount(min(a.CE, 1<<20)) * b.datagram
	if a.CE > 0 && b.isProbeSample && tooHigh(b.marked, a.Rate.TxInFlight) {
		b.handleInflightTooHigh(now, a.Rate.TxInFlight, a.AppLimited)
	}
}

// handleInflightTooHigh is HandleInflightTooHigh, at txInFlight.
func (b *bbr) handleInflightTooHigh(now clock.Time, txInFlight wire.ByteCount, appLimited bool) {
	b.prevTooHigh = true
	b.isProbeSample = false // one reaction per probe
	if !appLimited {
		b.inflightLongterm = max(txInFlight, wire.ByteCount(bbrBeta*float64(b.targetInflight())))
	}
	if b.state == bbrUp {
		b.startDown(now)
	}
}

// inflightAtLoss is InflightAtLoss: the volume at which losses crossed LossThresh,
// which was with packet p.
func inflightAtLoss(p LostPacket) wire.ByteCount {
	inflight, lost := float64(p.TxInFlight-p.Bytes), float64(p.LostSince-p.Bytes)
	prefix := (bbrLossThresh*inflight - lost) / (1 - bbrLossThresh)
	return wire.ByteCount(inflight + prefix)
}

// updateLatestDeliverySignals is section 5.5.10.3.
func (b *bbr) updateLatestDeliverySignals(a *Ack) {
	b.bwLatest = max(b.bwLatest, float64(a.Rate.Rate))
	b.inflightLatest = max(b.inflightLatest, a.deliveredSince())
	b.lossRoundStart = a.Rate.PriorDelivered >= b.lossRoundDelivered
	if b.lossRoundStart {
		b.lossRoundDelivered = b.delivered
	}
}

func (b *bbr) advanceLatestDeliverySignals(a *Ack) {
	if b.lossRoundStart {
		b.bwLatest, b.inflightLatest = float64(a.Rate.Rate), a.deliveredSince()
		b.lossRanges, b.lastLost, b.marked = 0, wire.NoPacket, 0
	}
}

func (b *bbr) resetCongestionSignals() {
	b.isLossInRound, b.bwLatest, b.inflightLatest = false, 0, 0
}

func (b *bbr) updateCongestionSignals(a *Ack) {
	b.updateRound(a)
	b.updateMaxBW(a)
	if !b.lossRoundStart {
		return
	}
	if b.isLossInRound && !b.accelerating() {
		b.lowerBounds()
	}
	b.isLossInRound = false
}

// lowerBounds adapts the short-term model to a round trip with losses (InitLowerBounds
// and LossLowerBounds).
func (b *bbr) lowerBounds() {
	if b.bwShortterm == noRate {
		b.bwShortterm = b.maxBW()
	}
	if b.inflightShortterm == noVolume {
		b.inflightShortterm = b.cwnd
	}
	b.bwShortterm = max(b.bwLatest, bbrBeta*b.bwShortterm)
	b.inflightShortterm = max(b.inflightLatest, wire.ByteCount(bbrBeta*float64(b.inflightShortterm)))
}

// deliveredSince is RS.delivered: what was delivered since the newest packet
// acknowledged was sent.
func (a *Ack) deliveredSince() wire.ByteCount { return a.Delivered - a.Rate.PriorDelivered }
