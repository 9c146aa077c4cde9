package congest

import (
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

// rounds feeds a HyStart++ n rounds of 20 samples each from rtt, and returns in which
// round slow start ended, or -1.
func rounds(h *hystart, n int, rtt func(round, sample int) time.Duration) int {
	for round := range n {
		for sample := range 20 {
			if h.ack(Ack{RoundStart: sample == 0, LatestRTT: rtt(round, sample)}) {
				return round
			}
		}
	}
	return -1
}

func TestHystartExits(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name string
		rtt  func(round, sample int) time.Duration
		want int
	}{
		{"steady", func(int, int) time.Duration { return 50 * ms }, -1},
		// 50 ms: the threshold is 50/8 = 6.25 ms. The rise is seen in round 4, which counts
		// as the first of five of conservative slow start.
		{"risen for good", func(r, _ int) time.Duration { return 50*ms + time.Duration(max(0, r-3))*7*ms }, 9},
		{"risen by less than the threshold", func(r, _ int) time.Duration {
			if r < 4 {
				return 50 * ms
			}
			return 56 * ms
		}, -1},
		{"short path: 4 ms at least", func(r, _ int) time.Duration {
			if r < 4 {
				return ms
			}
			return 4900 * time.Microsecond
		}, -1},
		{"long path: 16 ms at most", func(r, _ int) time.Duration {
			if r < 4 {
				return 300 * ms
			}
			return 316 * ms
		}, 9},
		{"jitter", func(int, int) time.Duration { return 50*ms + time.Duration(noise.IntN(30))*ms }, -1},
		{"a bad round, then as before", func(r, _ int) time.Duration {
			if r == 4 {
				return 80 * ms
			}
			return 50 * ms
		}, -1},
		{"a late sample per round", func(_, s int) time.Duration {
			if s == 3 {
				return 200 * ms
			}
			return 50 * ms
		}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHystart()
			if got := rounds(&h, 40, tt.rtt); got != tt.want {
				t.Errorf("slow start ended in round %d, want %d", got, tt.want)
			}
		})
	}
}

// Fewer than eight samples in a round decide nothing.
func TestHystartNeedsSamples(t *testing.T) {
	h := newHystart()
	for round := range 20 {
		for sample := range 7 {
			if h.ack(Ack{RoundStart: sample == 0, LatestRTT: time.Duration(round+1) * 50 * ms}) || h.css {
				t.Fatalf("round %d: conservative slow start after seven samples", round)
			}
		}
	}
}

// Draft, section 4.2: growth is a quarter in conservative slow start, and slow start
// resumes when the RTT falls below its baseline.
func TestConservativeSlowStart(t *testing.T) {
	f := newFlow(t, "cubic")
	round := func(rtt time.Duration) (grown float64) {
		f.fill()
		before := f.window()
		f.advance(rtt)
		for n := len(f.sent) - f.done; n > 0; n-- {
			f.ack(1, rtt)
		}
		return float64(f.window()-before) / float64(before)
	}
	round(50 * ms)
	round(50 * ms)
	round(70 * ms) // seen after eight samples
	if got := round(70 * ms); got < 0.24 || got > 0.26 {
		t.Errorf("the window grew by %.2f of itself in conservative slow start, want 0.25", got)
	}
	round(50 * ms) // below the baseline: jitter
	if got := round(50 * ms); got < 0.99 {
		t.Errorf("the window grew by %.2f of itself once slow start resumed, want 1", got)
	}
	f.wantPhase(SlowStart)
	round(70 * ms)
	for range 5 {
		round(70 * ms)
	}
	f.wantPhase(CongestionAvoidance)
	if got := f.c.State().SSThresh; got == 0 {
		t.Error("no threshold after the end of slow start")
	}
}
