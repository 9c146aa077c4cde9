package recovery

import "time"

// granularity is kGranularity of RFC 9002, section 6.1.2.
const granularity = time.Millisecond

// DefaultInitialRTT is the RTT before there is a sample (RFC 9002, section 6.2.2).
const DefaultInitialRTT = 333 * time.Millisecond

// RTT is the round-trip time of a path (RFC 9002, section 5).
type RTT struct {
	Latest, Min, Smoothed, Var time.Duration
	HasSample                  bool
}

// newRTT is section 5.3: before a sample.
func newRTT(initial time.Duration) RTT { return RTT{Smoothed: initial, Var: initial / 2} }

// update takes in a sample. delay is what the peer says it waited, already limited to
// what it may.
func (r *RTT) update(sample, delay time.Duration) {
	sample = max(sample, 1) // a rate divides by it
	r.Latest = sample
	if !r.HasSample {
		// Section 5.2: MUST set min_rtt to the first sample.
		*r = RTT{Latest: sample, Min: sample, Smoothed: sample, Var: sample / 2, HasSample: true}
		return
	}
	// Section 5.2: min_rtt MUST be the lesser of it and the sample.
	r.Min = min(r.Min, sample)
	// Section 5.3: MUST NOT subtract the delay when that gives less than min_rtt.
	if sample >= r.Min+delay {
		sample -= delay
	}
	r.Var = (3*r.Var + (r.Smoothed - sample).Abs()) / 4
	r.Smoothed = (7*r.Smoothed + sample) / 8
}

// timeout is the PTO of section 6.2.1 without the peer's delay: MUST be at least the
// granularity.
func (r *RTT) timeout() time.Duration { return r.Smoothed + max(4*r.Var, granularity) }

// lossDelay is section 6.1.2: 9/8 of the RTT; MUST be at least the granularity.
func (r *RTT) lossDelay() time.Duration {
	rtt := max(r.Smoothed, r.Latest)
	return max(rtt+rtt/8, granularity)
}
