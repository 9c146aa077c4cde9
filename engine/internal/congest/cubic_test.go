package congest

import (
	"math"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// avoiding returns a CUBIC flow at the start of congestion avoidance after a loss at a
// window of n datagrams.
func avoiding(t *testing.T, n int, rtt time.Duration) (*flow, *cubic) {
	t.Helper()
	f := newFlow(t, "cubic")
	f.srtt = rtt
	c, err := New("cubic", Config{Datagram: dgram, InitialWindow: wire.ByteCount(n) * dgram, Now: f.now})
	if err != nil {
		t.Fatal(err)
	}
	f.c = c
	f.fill()
	f.advance(rtt)
	f.lose(1)
	f.recover()
	return f, c.(*cubic)
}

func segments(window wire.ByteCount) float64 { return float64(window) / float64(dgram) }

// RFC 9438, section 4.6: window and threshold MUST be reduced to 0.7 of what was.
func TestCubicDecrease(t *testing.T) {
	f, _ := avoiding(t, 100, 100*ms)
	if got := segments(f.window()); math.Abs(got-70) > 0.1 {
		t.Errorf("window = %.2f segments after a loss at 100, want 70", got)
	}
	if got := f.c.State().SSThresh; got != 70*dgram {
		t.Errorf("threshold = %d, want %d", got, 70*dgram)
	}
}

// RFC 9438, sections 4.4 and 4.5: the window MUST grow towards the curve of section
// 4.2: with W_max of 400 segments and a window of 280, K is cbrt(120/0.4) = 6.694 s,
// and the window follows 0.4*(t-K)^3+400.
// Acknowledgments take it towards the value one RTT ahead.
func TestCubicFollowsTheCurve(t *testing.T) {
	const rtt = 100 * ms
	f, _ := avoiding(t, 400, rtt)
	start := f.now
	curve := func(t float64) float64 { return 0.4*math.Pow(t-6.6943, 3) + 400 }
	for _, at := range []float64{0.5, 1, 2, 4, 6.6943, 8, 10, 12} {
		f.run(time.Duration(at*1e9) - f.now.Sub(start))
		got := segments(f.window())
		// 0.1 for packets that do not fill a segment's worth of time exactly.
		if low, high := curve(at)-0.1, curve(at+rtt.Seconds())+0.1; got < low || got > high {
			t.Errorf("window = %.2f segments at %.1f s, want %.2f to %.2f", got, at, low, high)
		}
	}
}

// RFC 9438, section 4.3: on a short path the window grows like Reno's: 3*0.3/1.7 =
// 0.529 segments per RTT, and one segment once it is what it was before the loss.
func TestCubicRenoFriendly(t *testing.T) {
	const rtt = 5 * ms
	f, c := avoiding(t, 20, rtt)
	begin := segments(f.window())
	f.run(8 * rtt)
	if got := (segments(f.window()) - begin) / 8; math.Abs(got-0.529) > 0.06 {
		t.Errorf("%.3f segments per RTT, want 0.529", got)
	}
	for c.wEst < c.prior {
		f.run(rtt)
	}
	begin = segments(f.window())
	f.run(8 * rtt)
	if got := (segments(f.window()) - begin) / 8; math.Abs(got-1) > 0.1 {
		t.Errorf("%.3f segments per RTT beyond the earlier maximum, want 1", got)
	}
}

// RFC 9438, section 4.7: a loss below the last maximum lowers it further, to
// (1+0.7)/2 of the window.
func TestCubicFastConvergence(t *testing.T) {
	f, c := avoiding(t, 100, 100*ms)
	f.run(100 * ms)
	before := c.window
	f.advance(ms)
	f.send(1)
	f.done = len(f.sent) - 1
	f.lose(1)
	if got, want := c.wMax, before*0.85; math.Abs(got-want) > 1 {
		t.Errorf("W_max = %.0f, want %.0f", got, want)
	}
	if got, want := c.window, before*0.7; math.Abs(got-want) > 1 {
		t.Errorf("window = %.0f, want %.0f", got, want)
	}
}

// RFC 9438, section 4.2: t MUST NOT include periods in which the window was not updated
// for lack of data.
func TestCubicClockStopsWithoutData(t *testing.T) {
	const rtt = 100 * ms
	pauses := map[string]func(f *flow){
		"idle": func(f *flow) {
			f.ackAll()
			f.advance(time.Minute)
		},
		"little data": func(f *flow) {
			f.ackAll()
			for range 600 {
				f.send(1)
				f.advance(rtt)
				f.ackAll()
			}
		},
	}
	for name, pause := range pauses {
		t.Run(name, func(t *testing.T) {
			f, c := avoiding(t, 100, rtt)
			f.run(time.Second)
			before, elapsed := segments(f.window()), c.elapsed
			pause(f)
			if got := segments(f.window()); got > before+2 {
				t.Errorf("window grew from %.2f to %.2f segments without data", before, got)
			}
			if c.elapsed > elapsed+rtt {
				t.Errorf("t = %v after a pause, %v before", c.elapsed, elapsed)
			}
			f.run(5 * rtt)
			if got := c.elapsed - elapsed; got < 3*rtt || got > 7*rtt {
				t.Errorf("t rose by %v in 500 ms with data", got)
			}
		})
	}
}

// RFC 9438, section 4.2: the target is at most 1.5 times the window.
func TestCubicGrowthIsBounded(t *testing.T) {
	const rtt = 2 * time.Second // W_cubic(t+RTT) is far ahead
	f, _ := avoiding(t, 10, rtt)
	for range 10 {
		before := f.window()
		f.fill()
		f.advance(rtt)
		f.ackAll()
		if got := float64(f.window()) / float64(before); got > 1.501 {
			t.Fatalf("window grew to %.2f of itself in one RTT, want 1.5 at most", got)
		}
	}
}

// RFC 9438, section 4.8: after persistent congestion the first stage of congestion
// avoidance has K = 0 and W_max = the window.
func TestCubicAfterPersistentCongestion(t *testing.T) {
	f, c := avoiding(t, 100, 100*ms)
	f.fill()
	f.loss(5, Loss{Persistent: true})
	f.ackAll()
	for f.c.State().Phase == SlowStart {
		f.run(f.srtt)
	}
	f.run(f.srtt)
	if c.k != 0 || c.origin < float64(f.c.State().SSThresh) {
		t.Errorf("K = %.2f and W_max = %.0f, want 0 and the threshold %d", c.k, c.origin, f.c.State().SSThresh)
	}
}

// RFC 9438, section 4.10: slow start that ends without a loss begins congestion
// avoidance with K = 0 and cwnd_prior = cwnd.
func TestCubicAfterHystart(t *testing.T) {
	f := newFlow(t, "cubic")
	c := f.c.(*cubic)
	rtt := 50 * ms
	for f.c.State().SSThresh == 0 {
		if f.window() > 10_000*dgram {
			t.Fatal("slow start did not end on a growing RTT")
		}
		f.fill()
		f.advance(rtt)
		for n := len(f.sent) - f.done; n > 0; n-- {
			f.ack(1, rtt)
		}
		rtt += 10 * ms
	}
	f.wantPhase(CongestionAvoidance)
	if !c.epoch || c.k != 0 || c.prior != float64(c.State().SSThresh) {
		t.Errorf("epoch %v, K = %.2f, cwnd_prior = %.0f, want one with 0 and %d", c.epoch, c.k, c.prior, c.State().SSThresh)
	}
}
