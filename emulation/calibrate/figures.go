package calibrate

import (
	"math"
	"slices"
)

// figure is one of what is compared.
type figure uint8

// The figures.
const (
	delay      figure = iota // ms, mean of the pulses
	spread                   // ms, standard deviation of the pulses' delays
	rate                     // bit/s of frames, of the train as it came
	queue                    // ms, the longest wait in the train
	loss                     // share of pulses and stream
	burst                    // packets, mean length of runs of losses in the stream
	reordered                // share of what came of pulses and stream
	duplicated               // share
	largest                  // bytes of IP packet
	numFigures
)

// figures are an observation's; NaN stands for what it does not tell.
type figures [numFigures]float64

// leastBursts is how many runs of losses make a mean, leastRate how many packets of a
// train a rate.
const (
	leastBursts = 20
	leastRate   = 50
)

// compute returns an observation's figures.
func compute(o observation) figures {
	var f figures
	for i := range f {
		f[i] = math.NaN()
	}
	first := firsts(o)
	delays := delaysOf(o, first, pulse)
	f[delay], f[spread] = meanOf(delays)
	f[rate] = trainRateOf(o, first)
	if waits := delaysOf(o, first, train); len(waits) > 0 && len(delays) > 0 {
		f[queue] = medianOf(waits[len(waits)/2:]) - medianOf(delays)
	}
	f.countLosses(o, first)
	f.countOrder(o)
	for i, at := range first {
		if s := o.sent[i]; s.phase == sizes && at != 0 && !(f[largest] >= float64(s.size)) {
			f[largest] = float64(s.size)
		}
	}
	return f
}

// firsts returns when each packet came first; 0: never.
func firsts(o observation) []int64 {
	first := make([]int64, len(o.sent))
	for _, a := range o.arrivals {
		if a.index < len(first) && first[a.index] == 0 {
			first[a.index] = a.at
		}
	}
	return first
}

func delaysOf(o observation, first []int64, p phase) []float64 {
	var d []float64
	for i, at := range first {
		if s := o.sent[i]; s.phase == p && at != 0 {
			d = append(d, float64(at-s.at)/1e6)
		}
	}
	return d
}

// meanOf returns mean and standard deviation without the slowest twentieth, which on a
// busy machine are the scheduler's.
func meanOf(d []float64) (mean, deviation float64) {
	d = slices.Sorted(slices.Values(d))
	d = d[:len(d)-len(d)/20]
	if len(d) == 0 {
		return math.NaN(), math.NaN()
	}
	for _, v := range d {
		mean += v / float64(len(d))
	}
	for _, v := range d {
		deviation += (v - mean) * (v - mean) / float64(len(d))
	}
	return mean, math.Sqrt(deviation)
}

func medianOf(d []float64) float64 { return slices.Sorted(slices.Values(d))[len(d)/2] }

// trainRateOf returns the rate at which the second half of a train came: by then the
// queue has filled.
func trainRateOf(o observation, first []int64) float64 {
	var came []int
	for i, at := range first {
		if o.sent[i].phase == train && at != 0 {
			came = append(came, i)
		}
	}
	if len(came) < leastRate {
		return math.NaN()
	}
	slices.SortFunc(came, func(a, b int) int { return int(first[a] - first[b]) })
	half := came[len(came)/2:]
	var bits float64
	for _, i := range half[1:] {
		bits += 8 * float64(o.sent[i].size+ethernetHeader)
	}
	return bits / (float64(first[half[len(half)-1]]-first[half[0]]) / 1e9)
}

func (f *figures) countLosses(o observation, first []int64) {
	var n, lost, runs, inRuns float64
	run := false
	for i, at := range first {
		p := o.sent[i].phase
		if p != pulse && p != stream {
			continue
		}
		n++
		if at != 0 {
			run = false
			continue
		}
		lost++
		if p == stream {
			inRuns++
			if !run {
				runs++
			}
			run = true
		}
	}
	if n > 0 {
		f[loss] = lost / n
	}
	if runs >= leastBursts {
		f[burst] = inRuns / runs
	}
}

func (f *figures) countOrder(o observation) {
	var n, late, again float64
	seen := make([]bool, len(o.sent))
	newest := -1
	for _, a := range o.arrivals {
		if a.index >= len(seen) || o.sent[a.index].phase > stream {
			continue
		}
		n++
		switch {
		case seen[a.index]:
			again++
		case a.index < newest:
			late++
		}
		seen[a.index] = true
		newest = max(newest, a.index)
	}
	if n > 0 {
		f[reordered], f[duplicated] = late/n, again/n
	}
}
