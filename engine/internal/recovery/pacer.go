package recovery

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// trainPackets is how many packets a burst has room for at least: what makes one
	// system call per train worth it.
	trainPackets = 16
	// maxBurst is the largest burst after a pause: one UDP_SEGMENT send.
	maxBurst wire.ByteCount = 64 << 10
	// burstTime is how much a burst is worth at higher rates.
	burstTime = 2 * time.Millisecond
	// trainTime is how much credit a train waits for: timers are no finer.
	trainTime = time.Millisecond
	// maxLate is how late a timer may be with nothing lost by it.
	maxLate = 5 * time.Millisecond
	// unpacedRTT: below it packets are acknowledged faster than timers run.
	unpacedRTT = time.Millisecond
)

// pacer is a token bucket (RFC 9002, section 7.7). Tokens are bytes.
type pacer struct {
	tokens float64
	filled clock.Time // when tokens was brought up to date; 0: never
	burst  wire.ByteCount
	// waiting: the last answer was to come back later. The bucket is deeper then, so
	// that what a late timer costs is caught up with.
	waiting bool
}

// depth returns how large a burst may be at rate byte/s.
func (p *pacer) depth(rate float64, datagram wire.ByteCount) float64 {
	if p.burst != 0 {
		return float64(p.burst)
	}
	atRate := min(rate*burstTime.Seconds(), float64(maxBurst))
	return max(atRate, float64(min(trainPackets*datagram, maxBurst)), float64(datagram))
}

// refill brings the tokens up to date.
func (p *pacer) refill(now clock.Time, rate float64, datagram wire.ByteCount) {
	depth := p.depth(rate, datagram)
	if p.filled.IsZero() {
		p.tokens, p.filled = depth, now
		return
	}
	if p.waiting {
		depth += rate * maxLate.Seconds()
	}
	p.tokens = max(p.tokens, min(p.tokens+rate*now.Sub(p.filled).Seconds(), depth))
	p.filled = now
}

// allow returns how much of want may leave now at rate byte/s, or 0 and when to ask
// again. Up to a train's worth it is all or nothing: small change is not worth a call.
func (p *pacer) allow(now clock.Time, want wire.ByteCount, rate float64, datagram wire.ByteCount) (wire.ByteCount, clock.Time) {
	p.refill(now, rate, datagram)
	train := min(max(rate*trainTime.Seconds(), 2*float64(datagram)), p.depth(rate, datagram))
	need := min(float64(want), train)
	if p.tokens+0.5 >= need {
		p.waiting = false
		return min(want, max(wire.ByteCount(p.tokens), wire.ByteCount(need))), now
	}
	p.waiting = true
	wait := (need - p.tokens) / rate * float64(time.Second)
	if wait >= math.MaxInt64/2 {
		return 0, clock.Never
	}
	return 0, now.Add(time.Duration(math.Ceil(wait)))
}

// sent takes n bytes away. Probes may take more than there is; what they owe is
// bounded by one burst.
func (p *pacer) sent(n wire.ByteCount) {
	p.tokens = max(p.tokens-float64(n), -float64(maxBurst))
}

// idle says that there is nothing to send: what was saved for a late timer is gone.
func (p *pacer) idle() {
	p.waiting = false
	p.tokens = min(p.tokens, float64(maxBurst))
}
