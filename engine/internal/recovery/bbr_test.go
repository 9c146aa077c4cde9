package recovery

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// bbrFlow is a bbr sender over l, from seed: the path's number in its group.
func bbrFlow(t *testing.T, l *link, rtt time.Duration, number int) *bottleneck {
	t.Helper()
	group, err := congest.NewGroup("bbr")
	if err != nil {
		t.Fatal(err)
	}
	for range number {
		group.New(congest.Config{Now: start})
	}
	c := group.New(congest.Config{Now: start})
	b := &bottleneck{
		link: l, rtt: rtt, every: 2, now: start, d: New(Config{Side: wire.Server, Controller: c}),
	}
	b.d.HandshakeConfirmed()
	return b
}

// bdp is what the link carries in d.
func (l *link) bdp(d time.Duration) wire.ByteCount { return wire.ByteCount(l.rate * d.Seconds()) }

// A link is filled, and the queue bounded by the window: 2 times the bandwidth-delay
// product, and a little more while it probes.
//
// At 1 % loss draft-ietf-ccwg-bbr, section 5.3.3.8.3, has the rate fall to 0.99^N in N
// round trips of Cruise, 63 at most: 0.74 on average, and 0.97 at 0.1 %.
func TestBBRFillsTheLink(t *testing.T) {
	tests := []struct {
		name  string
		mbit  float64
		rtt   time.Duration
		queue float64 // in RTTs' worth
		loss  float64
		want  float64
	}{
		{"clean", 50, 40 * ms, 4, 0, 0.9},
		{"clean and short", 20, 10 * ms, 4, 0, 0.9},
		{"half a queue", 50, 40 * ms, 0.5, 0, 0.9},
		{"0.1 % loss", 50, 40 * ms, 4, 0.001, 0.9},
		{"0.1 % loss, half a queue", 50, 40 * ms, 0.5, 0.001, 0.9},
		{"0.1 % loss, long", 100, 80 * ms, 2, 0.001, 0.9},
		{"1 % loss, short", 10, 20 * ms, 4, 0.01, 0.9},
		{"1 % loss", 50, 40 * ms, 4, 0.01, 0.74},
		{"1 % loss, half a queue", 50, 40 * ms, 0.5, 0.01, 0.74},
		{"1 % loss, long", 100, 80 * ms, 2, 0.01, 0.74},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLink(tt.mbit)
			l.queue, l.loss = wire.ByteCount(float64(l.bdp(tt.rtt))*tt.queue), tt.loss
			b := bbrFlow(t, l, tt.rtt, 0)
			b.run(t, 2*time.Second)
			l.deepest = 0
			share := b.run(t, 10*time.Second) / (1 - tt.loss)
			queue := float64(l.deepest) / float64(l.bdp(tt.rtt))
			t.Logf("%.3f of what the link delivers, queue up to %.2f BDP, %d of %d packets lost", share, queue, b.lost, b.next)
			if share < tt.want || share > 1.001 {
				t.Errorf("goodput is %.3f of the link's, want %.2f at least", share, tt.want)
			}
			if queue > 1.75 {
				t.Errorf("the queue was %.2f times the bandwidth-delay product, want 1.75 at most", queue)
			}
		})
	}
}

// draft-ietf-ccwg-bbr, section 5.1.1: the states follow each other.
func TestBBRStates(t *testing.T) {
	l := newLink(20)
	l.queue = 4 * l.bdp(40*ms)
	b := bbrFlow(t, l, 40*ms, 0)
	b.run(t, 12*time.Second)
	// Down passes at once when Drain left no more in flight than the path carries.
	want := []string{"startup", "drain", "probe_bw_cruise", "probe_bw_refill", "probe_bw_up", "probe_bw_down", "probe_bw_cruise"}
	if got := b.phases[:min(len(b.phases), len(want))]; !slices.Equal(got, want) {
		t.Errorf("states (-got +want):\n%s", cmp.Diff(got, want))
	}
	for i, phase := range b.phases {
		if i == 0 {
			continue
		}
		after := map[string][]string{
			"probe_bw_down":   {"probe_bw_cruise", "probe_bw_refill", "probe_rtt"},
			"probe_bw_cruise": {"probe_bw_refill", "probe_rtt"},
			"probe_bw_refill": {"probe_bw_up", "probe_bw_down", "probe_rtt"},
			"probe_bw_up":     {"probe_bw_down", "probe_rtt"},
			"probe_rtt":       {"probe_bw_cruise"},
		}
		if from := b.phases[i-1]; after[from] != nil && !slices.Contains(after[from], phase) {
			t.Errorf("%s follows %s", phase, from)
		}
	}
	// Section 10.10: once in 5 s without a lower RTT, for 200 ms.
	rtts := 0
	for _, phase := range b.phases {
		if phase == "probe_rtt" {
			rtts++
		}
	}
	if rtts < 1 || rtts > 2 {
		t.Errorf("ProbeRTT %d times in 12 s, want one or two: %v", rtts, b.phases)
	}
}

// Section 10.1: the estimate is within 2 % of the link's rate when Startup ends, which
// is after a plateau of three round trips.
func TestBBRFindsTheRate(t *testing.T) {
	for _, mbit := range []float64{2, 20, 200} {
		l := newLink(mbit)
		l.queue = 4 * l.bdp(40*ms)
		b := bbrFlow(t, l, 40*ms, 0)
		for i := 0; !slices.Contains(b.phases, "probe_bw_cruise"); i++ {
			if i == 2000 {
				t.Fatalf("%v Mbit/s: no cruise within 20 s: %v", mbit, b.phases)
			}
			b.run(t, 10*ms)
		}
		// Section 5.6.2: 1 % below the estimate.
		if got := float64(b.d.State().PacingRate) / 0.99 / l.rate; got < 0.98 || got > 1.02 {
			t.Errorf("%v Mbit/s: the estimate is %.3f of the link's rate", mbit, got)
		}
	}
}

// Sections 10.15 and 10.16: a link that gets faster is filled, one that gets slower is
// not overrun for long.
func TestBBRFollowsTheRate(t *testing.T) {
	l := newLink(10)
	l.queue = 4 * l.bdp(40*ms)
	b := bbrFlow(t, l, 40*ms, 0)
	b.run(t, 4*time.Second)
	l.rate *= 10
	l.queue *= 10
	b.run(t, 10*time.Second)
	if share := b.run(t, 5*time.Second); share < 0.85 {
		t.Errorf("10 s after the link got ten times faster, %.3f of it is used", share)
	}
	l.rate /= 10
	l.queue /= 10
	b.run(t, 10*time.Second)
	lost, sent := b.lost, b.next
	share := b.run(t, 5*time.Second)
	if share < 0.85 {
		t.Errorf("10 s after the link got ten times slower, %.3f of it is used", share)
	}
	if part := float64(b.lost-lost) / float64(b.next-sent); part > 0.05 {
		t.Errorf("10 s after the link got ten times slower, %.3f of what is sent is lost", part)
	}
}

// draft-ietf-ccwg-bbr, section 3.7: MUST treat CE marks as congestion. A queue that
// marks is kept shorter than one that does not.
func TestBBRHeedsMarks(t *testing.T) {
	queue := func(mark float64) (share, deepest float64) {
		l := newLink(20)
		l.queue = 10 * l.bdp(40*ms)
		l.mark = wire.ByteCount(mark * float64(l.bdp(40*ms)))
		b := bbrFlow(t, l, 40*ms, 0)
		b.run(t, 4*time.Second)
		l.deepest = 0
		share = b.run(t, 20*time.Second)
		return share, float64(l.deepest) / float64(l.bdp(40*ms))
	}
	_, without := queue(0)
	share, with := queue(0.1)
	if with > without*0.75 {
		t.Errorf("the queue is %.2f BDP with marks, %.2f without", with, without)
	}
	if share < 0.8 {
		t.Errorf("goodput with marks is %.3f of the link's rate, want 0.8 at least", share)
	}
}

// Two flows that start one after the other come to share a link.
func TestBBRConverges(t *testing.T) {
	for _, queue := range []float64{1, 4} {
		l := newLink(40)
		l.queue = wire.ByteCount(queue * float64(l.bdp(30*ms)))
		one := bbrFlow(t, l, 30*ms, 0)
		one.run(t, 3*time.Second)
		two := bbrFlow(t, l, 30*ms, 1)
		two.now = one.now
		runTogether(t, 15*time.Second, one, two)
		shares := runTogether(t, 30*time.Second, one, two)
		t.Logf("queue of %v BDP: %.3f", queue, shares)
		if sum := shares[0] + shares[1]; sum < 0.9 {
			t.Errorf("queue of %v BDP: %.3f of the link used together", queue, sum)
		}
		if least := min(shares[0], shares[1]); least < 0.25 {
			t.Errorf("queue of %v BDP: shares are %.3f, want a quarter of the link at least", queue, shares)
		}
	}
}

// A sender without data for a while starts again at the rate that it knew, without
// ProbeRTT: the pause drained the queue (section 10.11).
func TestBBRRestartsFromIdle(t *testing.T) {
	l := newLink(20)
	l.queue = 4 * l.bdp(40*ms)
	b := bbrFlow(t, l, 40*ms, 0)
	b.run(t, 3*time.Second)
	for b.d.BytesInFlight() > 0 {
		if len(b.arrivals) == 0 {
			t.Fatal("packets in flight and none to arrive")
		}
		b.now = max(b.now, b.arrivals[0].at)
		b.acknowledge(t)
	}
	b.d.SetAppLimited()
	b.now = b.now.Add(6 * time.Second)
	b.phases = nil
	share := b.run(t, time.Second)
	if slices.Contains(b.phases, "probe_rtt") || slices.Contains(b.phases, "startup") {
		t.Errorf("states after the pause: %v", b.phases)
	}
	if share < 0.85 {
		t.Errorf("goodput in the second after a pause is %.3f of the link's rate", share)
	}
}
