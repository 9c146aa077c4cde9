package trace

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

func generate(t *testing.T, m Model, d time.Duration, seed uint64) emulation.Trace {
	t.Helper()
	trace, err := Generate(m, d, seed)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// perSecond returns the megabits of each second.
func perSecond(trace emulation.Trace) []float64 {
	rates := make([]float64, int(trace.Period().Seconds()))
	for _, ms := range trace {
		rates[min(int(ms)/1000, len(rates)-1)] += opportunityBits / 1e6
	}
	return rates
}

func TestGenerate(t *testing.T) {
	for _, m := range Models() {
		t.Run(string(m), func(t *testing.T) {
			long := generate(t, m, 30*time.Second, 1)
			if err := long.Validate(); err != nil {
				t.Error(err)
			}
			if got := long.Period(); got != 30*time.Second {
				t.Errorf("the period is %v, want 30s", got)
			}
			if !slices.Equal(generate(t, m, 30*time.Second, 1), long) {
				t.Error("equal seeds give different traces")
			}
			if slices.Equal(generate(t, m, 30*time.Second, 2), long) {
				t.Error("different seeds give equal traces")
			}
			short := generate(t, m, 10*time.Second, 1)
			if n := len(short) - 1; !slices.Equal(short[:n], long[:n]) {
				t.Error("the longer trace begins otherwise than the shorter")
			}
			wantDelivered(t, long)
		})
	}
	for _, tc := range []struct {
		model Model
		d     time.Duration
	}{{"6g", time.Second}, {LTE, 0}, {LTE, MaxDuration + time.Millisecond}, {LTE, time.Second + 1}} {
		if _, err := Generate(tc.model, tc.d, 1); err == nil {
			t.Errorf("%s for %v was generated", tc.model, tc.d)
		}
	}
}

// spread returns mean, deviation and greatest of values.
func spread(values []float64) (mean, deviation, most float64) {
	for _, v := range values {
		mean += v / float64(len(values))
		most = max(most, v)
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation), most
}

// longestGap returns the longest time without an opportunity, ms.
func longestGap(trace emulation.Trace) uint32 {
	longest := trace[0]
	for i := range trace[1:] {
		longest = max(longest, trace[i+1]-trace[i])
	}
	return longest
}

// Ten minutes of several seeds have the figures that each model's comment quotes.
func TestLTEFigures(t *testing.T) {
	var rates []float64
	gap := uint32(0)
	for seed := range uint64(2) {
		trace := generate(t, LTE, MaxDuration, seed)
		rates = append(rates, perSecond(trace)...)
		gap = max(gap, longestGap(trace))
	}
	mean, deviation, most := spread(rates)
	if mean < 5 || mean > 17 || deviation < 0.6*mean || deviation > 0.8*mean || most > 62 {
		t.Errorf("mean %.1f, deviation %.1f, most %.1f Mbit/s", mean, deviation, most)
	}
	if gap < 1000 || gap > 5500 {
		t.Errorf("the longest gap is %d ms", gap)
	}
}

func TestNRFigures(t *testing.T) {
	var rates []float64
	for seed := range uint64(3) {
		rates = append(rates, perSecond(generate(t, NR, MaxDuration, seed))...)
	}
	slices.Sort(rates)
	median, tenth, most := rates[len(rates)/2], rates[len(rates)*9/10], rates[len(rates)-1]
	if median < 20 || median > 40 || tenth < 150 || tenth > 260 || most > 334 || rates[0] > 0.1 {
		t.Errorf("median %.1f, 90th percentile %.1f, most %.1f, least %.1f Mbit/s", median, tenth, most, rates[0])
	}
}

// The rate changes at seconds 12, 27, 42 and 57, and is degraded after that for
// less than a second.
func TestStarlinkEpochs(t *testing.T) {
	trace := generate(t, Starlink, time.Minute, 3)
	during := func(from, to uint32) float64 { // Mbit/s
		i, _ := slices.BinarySearch(trace, from)
		j, _ := slices.BinarySearch(trace, to)
		return float64(j-i) * opportunityBits / 1e3 / float64(to-from)
	}
	for _, boundary := range []uint32{12_000, 27_000, 42_000} {
		before, at, after := during(boundary-2000, boundary), during(boundary, boundary+100), during(boundary+1000, boundary+14_000)
		if at > 0.6*after {
			t.Errorf("at %d ms the rate is %.0f, later %.0f Mbit/s: want it degraded", boundary, at, after)
		}
		if math.Abs(before-after) < 1 {
			t.Errorf("at %d ms the rate stays %.0f Mbit/s", boundary, before)
		}
		if after < 45 || after > 300 {
			t.Errorf("after %d ms the rate is %.0f Mbit/s", boundary, after)
		}
	}
}

// A second has several fades: the rate of 10 ms goes from near the best to below
// half of the mean.
func TestWiFiFades(t *testing.T) {
	trace := generate(t, WiFiFading, time.Minute, 1)
	slices10 := make([]float64, 6000) // Mbit/s; the last one has 11 ms
	for _, ms := range trace {
		slices10[min(ms/10, 5999)] += opportunityBits / 1e4
	}
	mean, deviation, most := spread(slices10)
	if mean < 15 || mean > 40 || deviation < 0.25*mean || most > 65*wifiCarries*1.1+1.3 {
		t.Errorf("mean %.1f, deviation %.1f, most %.1f Mbit/s", mean, deviation, most)
	}
	fades := 0
	for i := range slices10[1:] {
		if slices10[i] >= mean/2 && slices10[i+1] < mean/2 {
			fades++
		}
	}
	if fades < 60 || fades > 1500 {
		t.Errorf("%d fades in a minute", fades)
	}
}
