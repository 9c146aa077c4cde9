package results

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNewEstimate(t *testing.T) {
	tests := []struct {
		name    string
		samples []float64
		want    Estimate
	}{
		{"none", nil, Estimate{}},
		{"one", []float64{5}, Estimate{Median: 5, Min: 5, Max: 5, N: 1}},
		{"three, unsorted", []float64{3, 1, 2}, Estimate{Median: 2, Min: 1, Max: 3, N: 3}},
		{"four: the middle of the two", []float64{4, 1, 2, 3}, Estimate{Median: 2.5, Min: 1, Max: 4, N: 4}},
		{"five: no interval of 95 % yet", []float64{1, 2, 3, 4, 5}, Estimate{Median: 3, Min: 1, Max: 5, N: 5}},
		// 1 - 2 (1/2)^6 = 96.9 %: the whole range is the interval.
		{"six: the range", []float64{6, 5, 4, 3, 2, 1}, Estimate{Median: 3.5, Lo: ptr(1.0), Hi: ptr(6.0), Min: 1, Max: 6, N: 6}},
		// Binomial(10, 1/2) between 2 and 8: 97.9 %; between 3 and 7 only 89.1 %.
		{"ten: second to ninth", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, Estimate{Median: 5.5, Lo: ptr(2.0), Hi: ptr(9.0), Min: 1, Max: 10, N: 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.samples)
			if diff := cmp.Diff(tt.want, NewEstimate(tt.samples)); diff != "" {
				t.Errorf("estimate (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, tt.samples) {
				t.Errorf("the borrowed samples were changed to %v", tt.samples)
			}
		})
	}
}

// The interval holds the true median in at least 95 of 100 experiments. A seeded
// sample of a skewed distribution: no luck involved from run to run.
func TestEstimateCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const experiments = 4000
	for _, n := range []int{6, 7, 10, 25} {
		covered := 0
		for range experiments {
			samples := make([]float64, n)
			for i := range samples {
				samples[i] = rng.ExpFloat64()
			}
			e := NewEstimate(samples)
			if *e.Lo <= math.Ln2 && math.Ln2 <= *e.Hi {
				covered++
			}
		}
		// Three standard deviations of a count of 4000 at 95 % are 41.
		if covered < experiments*95/100-41 {
			t.Errorf("n=%d: the interval held the median in %d of %d experiments, want 95 %%", n, covered, experiments)
		}
	}
}

func TestEstimateIsOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(rapid.Float64Range(0, 1e12), 1, 40).Draw(t, "samples")
		e := NewEstimate(samples)
		if e.N != len(samples) || e.Min > e.Median || e.Median > e.Max {
			t.Fatalf("got %+v: min, median and max are not in order", e)
		}
		if (e.Lo == nil) != (len(samples) < 6) || (e.Lo == nil) != (e.Hi == nil) {
			t.Fatalf("n=%d: got lo %v and hi %v, want both from 6 samples on", len(samples), e.Lo, e.Hi)
		}
		if e.Lo != nil && (*e.Lo < e.Min || *e.Lo > e.Median || *e.Hi < e.Median || *e.Hi > e.Max) {
			t.Fatalf("got %v .. %v around %+v", *e.Lo, *e.Hi, e)
		}
	})
}
