package recovery

import (
	"testing"
	"time"
)

func TestRTTUpdate(t *testing.T) {
	first := RTT{Latest: 100 * ms, Min: 100 * ms, Smoothed: 100 * ms, Var: 50 * ms, HasSample: true}
	tests := []struct {
		name          string
		sample, delay time.Duration
		want          RTT
	}{
		// rttvar = 3/4*50 + 1/4*|100-180|, smoothed = 7/8*100 + 1/8*180
		{"slower", 180 * ms, 0, RTT{180 * ms, 100 * ms, 110 * ms, 57500 * time.Microsecond, true}},
		{"less the delay", 180 * ms, 80 * ms, RTT{180 * ms, 100 * ms, 100 * ms, 37500 * time.Microsecond, true}},
		// RFC 9002, section 5.3: MUST NOT subtract the delay if that gives less than min_rtt.
		{"too large a delay", 180 * ms, 81 * ms, RTT{180 * ms, 100 * ms, 110 * ms, 57500 * time.Microsecond, true}},
		// Section 5.2: MUST set min_rtt to the lesser of it and the sample.
		{"faster", 20 * ms, 0, RTT{20 * ms, 20 * ms, 90 * ms, 57500 * time.Microsecond, true}},
		{"no time at all", 0, 0, RTT{1, 1, 87500 * time.Microsecond, 62499999, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := first
			got.update(tt.sample, tt.delay)
			if got != tt.want {
				t.Errorf("RTT = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRTTFirstSample(t *testing.T) {
	r := newRTT(DefaultInitialRTT)
	if r.timeout() != 999*ms {
		t.Errorf("first PTO = %v, want about 1 s", r.timeout())
	}
	r.update(40*ms, 30*ms)
	// RFC 9002, section 5.2: MUST set min_rtt to the first sample; section 5.3: without
	// the delay.
	if want := (RTT{40 * ms, 40 * ms, 40 * ms, 20 * ms, true}); r != want {
		t.Errorf("RTT = %+v, want %+v", r, want)
	}
}

// RFC 9002, sections 6.1.2 and 6.2.1: both timers MUST be at least the granularity.
func TestRTTGranularity(t *testing.T) {
	r := RTT{Latest: 10, Min: 10, Smoothed: 10, HasSample: true}
	if got := r.lossDelay(); got != ms {
		t.Errorf("time threshold = %v, want 1ms", got)
	}
	r.Latest = 80 * ms // section 6.1.2: the larger of smoothed and latest
	if got := r.lossDelay(); got != 90*ms {
		t.Errorf("time threshold = %v after a sample of 80 ms, want 90ms", got)
	}
	if got := r.timeout(); got != ms+10 {
		t.Errorf("PTO = %v, want 1ms and the RTT", got)
	}
}
