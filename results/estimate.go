package results

import (
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

const confidence = 0.95

// NewEstimate returns the median of the samples with its 95 % interval, from
// order statistics alone: nothing is assumed about the distribution. Below 6
// samples no interval of that confidence exists, and Lo and Hi are nil. With no
// samples N is 0 and the other numbers mean nothing.
//
// The samples are borrowed. One that is not finite makes the estimate so, and the
// store refuses it.
func NewEstimate(samples []float64) Estimate {
	if len(samples) == 0 {
		return Estimate{}
	}
	sorted := slices.Clone(samples)
	thresholds := benchmath.DefaultThresholds
	sum := benchmath.AssumeNothing.Summary(benchmath.NewSample(sorted, &thresholds), confidence)
	e := Estimate{Median: sum.Center, Min: slices.Min(samples), Max: slices.Max(samples), N: len(samples)}
	if !math.IsInf(sum.Lo, 0) && !math.IsInf(sum.Hi, 0) {
		e.Lo, e.Hi = &sum.Lo, &sum.Hi
	}
	return e
}

// median returns nil when there are no samples.
func median(samples []float64) *float64 {
	if len(samples) == 0 {
		return nil
	}
	return new(NewEstimate(samples).Median)
}
