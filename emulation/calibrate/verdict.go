package calibrate

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Verdict is what a probe found.
type Verdict struct {
	Checks []Check
	// Sent and Lost are packets, of all phases.
	Sent, Lost int
}

// OK reports whether every check passed.
func (v Verdict) OK() bool {
	for _, c := range v.Checks {
		if !c.OK {
			return false
		}
	}
	return true
}

// Check is one figure against what was asked.
type Check struct {
	Name string  // delay, spread, rate, queue, loss, burst, reordered, duplicated, mtu, receiver
	Unit string  // ms, bit/s, packets, bytes; empty: a share
	Want float64 // the model's mean
	Got  float64
	Low  float64 // the bounds within which it passes
	High float64
	OK   bool
}

// rivals is how many models, each with a seed of its own, say how much chance may do;
// deviations how many standard deviations of theirs it may be. Nine checks a direction
// and a chance of 1 in 10^5 each (normal, two-sided 4.4) leave a link's verdict to
// chance less than once in 5000.
const (
	rivals     = 24
	deviations = 4.5
)

// Probe sends packets from one end of a direction to the other and compares what comes
// with what the model makes of them. started, which may be nil, is asked afterwards when
// the lab's clock started, CLOCK_MONOTONIC in ns; 0: with the first packet of the probe.
// The ends must be connected. An error says that nothing was learnt.
func Probe(ctx context.Context, from, to *End, r Request, f Form, started func(context.Context) (int64, error)) (Verdict, error) {
	items := plan(r, f)
	planned := planner{Request: r}
	o, err := probe(ctx, from, to, items, r.Headers, patience(r, planned.queueTime()))
	if err != nil {
		return Verdict{}, fmt.Errorf("calibrate: %w", err)
	}
	start, err := startOf(ctx, started)
	if err != nil {
		return Verdict{}, fmt.Errorf("calibrate: %w", err)
	}
	return judge(r, f, o, start)
}

// startOf asks when the clock started, and returns it as CLOCK_REALTIME; 0: with the
// first packet.
func startOf(ctx context.Context, started func(context.Context) (int64, error)) (int64, error) {
	if started == nil {
		return 0, nil
	}
	at, err := started(ctx)
	if err != nil || at == 0 {
		return 0, err
	}
	now, err := clockOf(unix.CLOCK_REALTIME)
	if err != nil {
		return 0, err
	}
	monotonic, err := clockOf(unix.CLOCK_MONOTONIC)
	return at + now - monotonic, err
}

// patience returns how long the last packet of a probe is waited for.
func patience(r Request, wait time.Duration) time.Duration {
	longest := r.Impairments.Delay + 4*r.Impairments.Jitter + wait
	if s := r.Impairments.Steps; s != nil {
		for _, step := range s.Steps {
			longest = max(longest, step.Delay+wait)
		}
	}
	return longest + r.Impairments.Slot.Max + 100*time.Millisecond
}

// judge compares what was observed with what the model says.
func judge(r Request, f Form, o observation, start int64) (Verdict, error) {
	v := Verdict{Sent: len(o.sent)}
	got := compute(o)
	for _, at := range firsts(o) {
		if at == 0 {
			v.Lost++
		}
	}
	var all []figures
	for seed := range uint64(rivals) {
		m, err := expect(r, o.sent, start, seed)
		if err != nil {
			return v, fmt.Errorf("calibrate: %w", err)
		}
		all = append(all, compute(m))
	}
	planned := planner{Request: r}
	for which := range numFigures {
		if (which == rate || which == queue) && !planned.fills() {
			continue
		}
		if c, ok := check(which, got[which], all, f, v.Sent); ok {
			v.Checks = append(v.Checks, c)
		}
	}
	// A receiver that was too slow looks like a lossy path.
	v.Checks = append(v.Checks, Check{Name: "receiver", Unit: "packets", Got: float64(o.overflow), OK: o.overflow == 0})
	return v, nil
}

var checkNames = [numFigures]struct{ name, unit string }{
	delay: {"delay", "ms"}, spread: {"spread", "ms"}, rate: {"rate", "bit/s"}, queue: {"queue", "ms"},
	loss: {"loss", ""}, burst: {"burst", "packets"}, reordered: {"reordered", ""}, duplicated: {"duplicated", ""},
	largest: {"mtu", "bytes"},
}

// check compares one figure; false when the model does not have it.
func check(which figure, got float64, all []figures, f Form, packets int) (Check, bool) {
	var mean, square, n float64
	for i := range all {
		if v := all[i][which]; !math.IsNaN(v) {
			mean, square, n = mean+v, square+v*v, n+1
		}
	}
	if n < float64(len(all))/2 {
		return Check{}, false
	}
	mean /= n
	chance := deviations * math.Sqrt(max(square/n-mean*mean, 0))
	margin := chance + tolerance(which, mean, f, packets)
	c := Check{
		Name: checkNames[which].name, Unit: checkNames[which].unit,
		Want: mean, Got: got, Low: max(mean-margin, 0), High: mean + margin,
	}
	c.OK = got >= c.Low && got <= c.High
	return c, true
}

// tolerance returns how much a figure may be off beyond chance.
func tolerance(which figure, mean float64, f Form, packets int) float64 {
	milliseconds := func(d time.Duration) float64 { return float64(d) / 1e6 }
	switch which {
	case delay:
		return max(f.DelayShare*mean, milliseconds(f.Delay))
	case spread:
		return max(0.1*mean, milliseconds(f.Delay))
	case rate:
		return f.RateShare * mean
	case queue:
		return max(f.QueueShare*mean, milliseconds(f.Queue))
	case burst:
		return f.BurstShare * mean
	case loss, reordered, duplicated:
		if mean > 0 {
			// Where few are expected the normal distribution is none; and a packet that is late by
			// a hair finds the queue full that the model's found free.
			return 3/float64(packets) + 0.05*mean
		}
	}
	return 0
}
