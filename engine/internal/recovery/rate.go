package recovery

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// rate samples the delivery rate (draft-cheng-iccrg-delivery-rate-estimation-02,
// section 3) and counts round trips by what was delivered.
type rate struct {
	delivered   wire.ByteCount // ever acknowledged
	lost        wire.ByteCount // ever lost
	deliveredAt clock.Time     // when delivered last changed
	firstSentAt clock.Time     // when the newest packet acknowledged was sent
	// limitedUntil is the value of delivered from which on no packet is in flight that
	// was sent while data was short; 0: the sender is not limited.
	limitedUntil wire.ByteCount
	roundEnd     wire.ByteCount
	round        uint64
	recent       int64 // smoothed rate, byte/s
}

// sent notes the present in p, of which inFlight bytes, p included, are in flight.
func (r *rate) sent(p *Sent, inFlight wire.ByteCount) {
	if p.InFlight && inFlight == p.Size {
		r.firstSentAt, r.deliveredAt = p.Time, p.Time
	}
	p.firstSentAt, p.deliveredAt = r.firstSentAt, r.deliveredAt
	p.delivered, p.lost, p.txInFlight = r.delivered, r.lost, inFlight
	p.appLimited = r.limitedUntil != 0
}

// sample ends the processing of an ACK, what it delivers counted, with p the newest
// packet that it newly acknowledged.
func (r *rate) sample(now clock.Time, p *Sent, minRTT time.Duration) (s congest.RateSample, roundStart bool) {
	r.deliveredAt = now
	r.firstSentAt = p.Time
	if r.limitedUntil != 0 && r.delivered > r.limitedUntil {
		r.limitedUntil = 0
	}
	if p.delivered >= r.roundEnd {
		r.roundEnd = r.delivered
		r.round++
		roundStart = true
	}
	s = congest.RateSample{
		AppLimited: p.appLimited, Lost: r.lost - p.lost,
		PriorDelivered: p.delivered, TxInFlight: p.txInFlight,
	}
	// The longer of the time it took to send and to acknowledge: neither a burst nor
	// compressed ACKs look like a fast path. Less than an RTT is no sample.
	interval := max(p.Time.Sub(p.firstSentAt), now.Sub(p.deliveredAt))
	if interval < minRTT || interval <= 0 {
		return s, roundStart
	}
	s.Delivered, s.Interval = r.delivered-p.delivered, interval
	s.Rate = int64(float64(s.Delivered) / interval.Seconds())
	// A sender without data shows no more than it sends.
	if !s.AppLimited || s.Rate > r.recent {
		if r.recent == 0 {
			r.recent = s.Rate
		}
		r.recent += (s.Rate - r.recent) / 8
	}
	return s, roundStart
}

// limit says that the sender has no more data, with inFlight bytes in flight.
func (r *rate) limit(inFlight wire.ByteCount) {
	r.limitedUntil = max(r.delivered+inFlight, 1)
}
