package netem

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
)

// distributions returns requests for jitter of 10 ms, wide against what timers are late.
func distributions() map[string]emulation.Impairments {
	const delay, jitter = 60 * time.Millisecond, 10 * time.Millisecond
	table := make(emulation.Table, 1000) // leans to one side
	for i := range table {
		x := float64(i) / float64(len(table))
		table[i] = int16(emulation.TableScale * (3*x*x - 1))
	}
	return map[string]emulation.Impairments{
		"none":    {Delay: delay},
		"uniform": {Delay: delay, Jitter: jitter},
		"normal":  {Delay: delay, Jitter: jitter, Distribution: emulation.Normal},
		"pareto":  {Delay: delay, Jitter: jitter, Distribution: emulation.Pareto},
		"table":   {Delay: delay, Jitter: jitter, Distribution: emulation.Empirical, JitterTable: &table},
		// The model's delays end at zero.
		"cut off": {Delay: jitter, Jitter: jitter, Distribution: emulation.Normal},
	}
}

// testDistributions holds the delays that netem gives to the model's, which has the
// same arrivals: mean, standard deviation, quantiles, and the whole of it. Packets
// are further apart than the jitter is wide, so that none waits for another; all
// distributions run at once, on several wires each. A wire without jitter tells how
// late the machine's timers are, which is taken off.
func testDistributions(t *testing.T) {
	const (
		wires, each = 12, 90
		apart       = 84 * time.Millisecond // more than eight standard deviations
	)
	rigs := map[string][]*watch{}
	flows := map[*watch]*flow{}
	for name, imp := range distributions() {
		for range wires {
			r := joined(t, 1500)
			r.must(Apply(r.ports[1], imp, 1))
			w := r.watch(fewFrames)
			rigs[name] = append(rigs[name], w)
			flows[w] = r.flow(0, 60)
		}
	}
	again(t, func() error {
		for w, f := range flows {
			w.arrivals, w.departures, f.sent = nil, nil, 0
		}
		for range each {
			for _, f := range flows {
				f.send(1)
			}
			time.Sleep(apart)
		}
		got, want := map[string][]float64{}, map[string][]float64{}
		for name, imp := range distributions() {
			for i, w := range rigs[name] {
				w.finish(each)
				got[name] = append(got[name], w.delays()...)
				want[name] = append(want[name], emulationtest.Delays(w.modelArrivals(), w.play(imp, uint64(i)))...)
			}
		}
		late := median(got["none"]) - want["none"][0]
		t.Logf("the median packet is %.3f ms late", 1e3*late)
		for name, delays := range got {
			for i := range delays {
				delays[i] -= late
			}
			if err := sameDelays(delays, want[name]); name != "none" && err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

func median(values []float64) float64 {
	return quantile(slices.Sorted(slices.Values(values)), 0.5)
}

// sameDelays compares two samples of delays in seconds, without the tenth at either
// end: a machine that is busy elsewhere makes some of them late by a lot.
func sameDelays(got, want []float64) error {
	const ms = 1e-3
	got, want = dither(got, ms), dither(want, ms)
	if p := emulationtest.SameDistribution(got, want); p < falseAlarm {
		return fmt.Errorf("the delays differ from the model's: p = %g, deciles in ms %.3f, want %.3f", p, deciles(got), deciles(want))
	}
	got, want = middle(got), middle(want)
	// Five standard errors of the difference of two means, and what timers are late.
	error5 := 5 * deviation(want) * math.Sqrt(1/float64(len(got))+1/float64(len(want)))
	if g, w := emulationtest.Mean(got), emulationtest.Mean(want); math.Abs(g-w) > error5+0.2*ms {
		return fmt.Errorf("mean %.3f ms, want %.3f", g/ms, w/ms)
	}
	if g, w := deviation(got), deviation(want); math.Abs(g-w) > 0.15*w {
		return fmt.Errorf("standard deviation %.3f ms, want %.3f within 15 %%", g/ms, w/ms)
	}
	for _, q := range []float64{0.05, 0.25, 0.5, 0.75, 0.95} {
		// Between the quantiles a little to both sides: seven standard errors of a share.
		half := 7 * math.Sqrt(q*(1-q)/float64(len(got)))
		low, high := quantile(want, q-half)-0.2*ms, quantile(want, q+half)+0.4*ms
		if g := quantile(got, q); g < low || g > high {
			return fmt.Errorf("quantile %v is %.3f ms, want %.3f to %.3f", q, g/ms, low/ms, high/ms)
		}
	}
	return nil
}

// dither adds noise to a sample, lest many equal values of the model differ from those
// of a timer that is late by microseconds.
func dither(values []float64, width float64) []float64 {
	random := rand.New(rand.NewPCG(1, uint64(len(values))))
	out := slices.Clone(values)
	for i := range out {
		out[i] += width * (random.Float64() - 0.5)
	}
	return out
}

// deciles returns the quantiles of a sample of seconds, in ms.
func deciles(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	var out []float64
	for i := 1; i < 10; i++ {
		out = append(out, 1e3*quantile(sorted, float64(i)/10))
	}
	return out
}

// middle returns a sample, sorted, without the tenth at either end.
func middle(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	cut := len(sorted) / 10
	return sorted[cut : len(sorted)-cut]
}

// quantile returns a quantile of a sorted sample.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(max(0, int(q*float64(len(sorted)))), len(sorted)-1)]
}

// deviation returns the standard deviation of a sample.
func deviation(values []float64) float64 {
	mean, sum := emulationtest.Mean(values), 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(values)-1))
}

// testSlots sends more than the slots carry: bursts of the size that was asked for,
// with gaps as the model's.
func testSlots(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		slot emulation.Slot
		size int // packets in a burst
	}{
		{"packets", emulation.Slot{Min: 4 * ms, Max: 12 * ms, Packets: 10}, 10},
		// Ends with the packet that reaches the number of bytes.
		{"bytes", emulation.Slot{Min: 4 * ms, Max: 12 * ms, Bytes: 74 * 6}, 6},
		{"fixed", emulation.Slot{Min: 6 * ms, Max: 6 * ms, Packets: 8}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			const slots = 200
			imp := emulation.Impairments{Slot: c.slot}
			r := joined(t, 1500)
			again(t, func() error {
				n := slots * c.size
				r.must(Apply(r.ports[1], imp, 1))
				w := r.watch(manyFrames)
				w.sendAll(r.flow(0, 60), n)
				got, err := gaps(w.kernel(), c.size)
				if err != nil {
					return err
				}
				want, err := gaps(w.play(imp, 1), c.size)
				r.must(err)
				if c.slot.Min == c.slot.Max {
					// Nothing random is left to compare but how late timers are.
					slices.Sort(got)
					if m := quantile(got, 0.5); math.Abs(m-c.slot.Min.Seconds()) > 0.3e-3 {
						return fmt.Errorf("slots are %.3f ms apart, want %v", m*1e3, c.slot.Min)
					}
					return nil
				}
				return sameDelays(got, want)
			})
		})
	}
}

// testLightSlots sends packets so far apart that each finds no slot that is open: each
// waits for its own, as in the model.
func testLightSlots(t *testing.T) {
	const wires, each, apart = 12, 60, 50 * time.Millisecond
	imp := emulation.Impairments{Slot: emulation.Slot{Min: 5 * time.Millisecond, Max: 45 * time.Millisecond, Packets: 3}}
	watches, flows := make([]*watch, wires), make([]*flow, wires)
	for i := range watches {
		r := joined(t, 1500)
		r.must(Apply(r.ports[1], imp, 1))
		watches[i], flows[i] = r.watch(fewFrames), r.flow(0, 60)
	}
	again(t, func() error {
		for i, w := range watches {
			w.arrivals, w.departures, flows[i].sent = nil, nil, 0
		}
		for range each {
			for _, f := range flows {
				f.send(1)
			}
			time.Sleep(apart)
		}
		var got, want []float64
		for i, w := range watches {
			w.finish(each)
			got = append(got, w.delays()...)
			want = append(want, emulationtest.Delays(w.modelArrivals(), w.play(imp, uint64(i)))...)
		}
		return sameDelays(got, want)
	})
}

// gaps returns the times between bursts of so many packets, in seconds. All but one
// in ten must have that size: a machine that is busy elsewhere tears some apart and
// joins others.
func gaps(departures []emulationtest.Departure, size int) ([]float64, error) {
	const within = time.Millisecond // of a burst
	type burst struct {
		start emulation.Time
		size  int
	}
	var bursts []burst
	for i, d := range departures {
		if i == 0 || d.At.Sub(departures[i-1].At) >= within {
			bursts = append(bursts, burst{start: d.At})
		}
		bursts[len(bursts)-1].size++
	}
	var out []float64
	for i := 1; i < len(bursts); i++ {
		if bursts[i-1].size == size {
			out = append(out, bursts[i].start.Sub(bursts[i-1].start).Seconds())
		}
	}
	if want := len(departures) / size; len(out) < want*9/10 {
		return nil, fmt.Errorf("%d bursts of %d packets, want %d: %v", len(out), size, want, bursts)
	}
	return out, nil
}
