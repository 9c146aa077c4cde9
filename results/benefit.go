package results

import "math"

// AggregationBenefit says what using the paths together brought over the best of
// them alone: 1 is the sum of all, 0 the best one, negative worse than that, -1
// nothing at all. g is the goodput over all paths, alone that of the same engine
// on each path by itself, in one unit.
//
// It is false when that says nothing: fewer than two paths, a value that is
// negative or not finite, or none of the other paths carried anything alone.
//
// Source: the experimental aggregation benefit of De Coninck and Bonaventure,
// Multipath QUIC: Design and Evaluation, CoNEXT 2017, after Kaspar.
func AggregationBenefit(g float64, alone []float64) (float64, bool) {
	if len(alone) < 2 || !measured(g) {
		return 0, false
	}
	best, sum := 0.0, 0.0
	for _, a := range alone {
		if !measured(a) {
			return 0, false
		}
		best = max(best, a)
		sum += a
	}
	if g < best {
		return (g - best) / best, true
	}
	if sum <= best || math.IsInf(sum, 0) {
		return 0, false
	}
	return (g - best) / (sum - best), true
}

// measured is false for NaN, too.
func measured(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }

// FillBenefit sets AggregationBenefit of every multipath trial that has one: the
// same engine, with the same settings, ran on each of its paths alone in the same
// round. The scheduler is no setting of those: one path leaves it nothing to choose.
// A trial that failed, on either side, gives no value.
func FillBenefit(trials []Trial) {
	alone := newAloneIndex(trials)
	for i := range trials {
		t := &trials[i]
		t.AggregationBenefit = nil
		if len(t.Arm.Paths) < 2 || !t.OK() || t.Timed() {
			continue
		}
		var goodputs []float64
		for _, path := range t.Arm.Paths {
			g, ok := alone.goodput(aloneSettings(t.Arm), path, t.Round)
			if !ok {
				break
			}
			goodputs = append(goodputs, g)
		}
		if len(goodputs) < len(t.Arm.Paths) {
			continue
		}
		if b, ok := AggregationBenefit(t.GoodputBPS, goodputs); ok {
			t.AggregationBenefit = &b
		}
	}
}

// OK reports whether the trial ended without error and delivered every byte as
// it was sent.
func (t Trial) OK() bool { return t.Error == "" && t.Intact }

// settings is an arm without its paths, and without the MTU, which follows from
// them.
type settings struct {
	engine, scheduler, congestion, transmit string
	streams, connections                    int
}

func settingsOf(a Arm) settings {
	return settings{a.Engine, a.Scheduler, a.Congestion, a.Transmit, a.Streams, a.Connections}
}

// aloneSettings is what an arm has in common with the single-path arms that it is
// measured by.
func aloneSettings(a Arm) settings {
	s := settingsOf(a)
	s.scheduler = ""
	return s
}

type aloneKey struct {
	settings settings
	path     string
	round    int
}

// aloneIndex has the single-path trials, the first of each kind.
type aloneIndex map[aloneKey]Trial

func newAloneIndex(trials []Trial) aloneIndex {
	index := aloneIndex{}
	for _, t := range trials {
		if len(t.Arm.Paths) != 1 {
			continue
		}
		key := aloneKey{aloneSettings(t.Arm), t.Arm.Paths[0], t.Round}
		if _, ok := index[key]; !ok {
			index[key] = t
		}
	}
	return index
}

func (x aloneIndex) goodput(s settings, path string, round int) (float64, bool) {
	t, ok := x[aloneKey{s, path, round}]
	return t.GoodputBPS, ok && t.OK()
}
