package congest

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// bbrControl is what bbr decides (draft-ietf-ccwg-bbr, section 5.6).
type bbrControl struct {
	cwnd        wire.ByteCount
	priorCwnd   wire.ByteCount // last known good one
	pacingRate  float64
	sendQuantum wire.ByteCount
}

// maxQuantum is 64 KBytes of section 5.6.3.
const maxQuantum wire.ByteCount = 64 << 10

// initPacingRate is section 5.6.2, before there is a rate sample.
func (b *bbr) initPacingRate(srtt time.Duration) {
	b.pacingRate = bbrModes[bbrStartup].pacing * float64(b.initialCwnd()) / max(srtt, 1).Seconds()
	b.setSendQuantum()
}

// setPacingRate is SetPacingRateWithGain. A rate is never less than a datagram a
// second: what is due must leave at some time.
func (b *bbr) setPacingRate(gain float64) {
	rate := max(gain*b.bw*bbrPacingMargin, float64(b.datagram))
	if b.fullBWReached || rate > b.pacingRate {
		b.pacingRate = rate
	}
}

// setSendQuantum is section 5.6.3. The pacer has trains of its own; this is
// the allowance for them.
func (b *bbr) setSendQuantum() {
	quantum := min(volume(b.pacingRate, time.Millisecond), maxQuantum)
	b.sendQuantum = max(quantum, 2*b.datagram)
}

// setCwnd is sections 5.6.4.6 and 5.6.4.5.
func (b *bbr) setCwnd(a *Ack) {
	limit := b.quantizationBudget(b.target() + wire.ByteCount(b.extraAcked.max()))
	switch {
	case b.fullBWReached:
		b.cwnd = min(b.cwnd+a.Bytes, limit)
	case b.cwnd < limit || b.delivered < b.initialCwnd():
		b.cwnd += a.Bytes
	}
	b.cwnd = max(b.cwnd, b.minPipe())
	if b.state == bbrProbeRTT {
		b.cwnd = min(b.cwnd, b.probeRTTCwnd())
	}
	b.boundCwnd()
}

// target is the volume that the state's gain asks for. Where nothing is probed the draft
// leaves room for a queue as long as the round trip, which fills where round trips vary:
// the largest rate seen is more than the path's, and pacing by it never drains. A queue
// delays what other paths lost and is to be repeated here, so it is bounded to bbrQueue,
// beside the room that jitter needs.
func (b *bbr) target() wire.ByteCount {
	target := b.bdpMultiple(b.bw, bbrModes[b.state].cwnd)
	if (b.state == bbrDown || b.state == bbrCruise) && b.minRTT != noRTT {
		target = min(target, volume(b.bw, b.minRTT+bbrQueue))
	}
	return target
}

// boundCwnd is section 5.6.4.7.
func (b *bbr) boundCwnd() {
	limit := noVolume
	switch b.state {
	case bbrDown, bbrRefill, bbrUp:
		limit = b.inflightLongterm
	case bbrCruise, bbrProbeRTT:
		limit = b.inflightWithHeadroom()
	}
	limit = max(min(limit, b.inflightShortterm), b.minPipe())
	b.cwnd = min(b.cwnd, limit)
}

func (b *bbr) probeRTTCwnd() wire.ByteCount {
	return max(b.bdpMultiple(b.bw, bbrModes[bbrProbeRTT].cwnd), b.minPipe())
}

// saveCwnd keeps the window from before a loss or ProbeRTT.
func (b *bbr) saveCwnd() {
	if !b.recovering && b.state != bbrProbeRTT {
		b.priorCwnd = b.cwnd
	} else {
		b.priorCwnd = max(b.priorCwnd, b.cwnd)
	}
}

func (b *bbr) restoreCwnd() { b.cwnd = max(b.cwnd, b.priorCwnd) }
