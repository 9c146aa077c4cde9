package trace

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// TestMean: a trace is scaled to the mean that is asked for, and keeps its shape.
func TestMean(t *testing.T) {
	for _, m := range Models() {
		s := Settings{Model: m, Duration: 20 * time.Second, Seed: 3}
		plain, err := s.Trace()
		if err != nil {
			t.Fatal(err)
		}
		own := plain.MeanRate()
		for _, mean := range []emulation.Rate{1e6, 7e6, 120e6} {
			s.Mean = mean
			got, err := s.Trace()
			if err != nil {
				t.Fatal(err)
			}
			if diff := float64(got.MeanRate()-mean) / float64(mean); diff < -0.005 || diff > 0.005 {
				t.Errorf("%s: mean %d, want %d", m, got.MeanRate(), mean)
			}
			// The first half has the same share of the whole.
			half := func(t emulation.Trace) float64 {
				n, _ := slices.BinarySearch(t, 10_000)
				return float64(n) / float64(len(t))
			}
			if a, b := half(plain), half(got); a-b > 0.02 || b-a > 0.02 {
				t.Errorf("%s at %d of %d: the first half has %.3f, unscaled %.3f", m, mean, own, b, a)
			}
		}
	}
}

// TestSteps: steps have the mean rate of their window.
func TestSteps(t *testing.T) {
	s := Settings{Model: Starlink, Duration: 30 * time.Second, Seed: 5}
	trace, err := s.Trace()
	if err != nil {
		t.Fatal(err)
	}
	steps, err := s.Steps(500 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if steps.Period != s.Duration || steps.Columns != emulation.StepRate || len(steps.Steps) != 60 {
		t.Fatalf("%d steps, period %v", len(steps.Steps), steps.Period)
	}
	for i, step := range steps.Steps {
		from, _ := slices.BinarySearch(trace, uint32(500*i+1))
		to, _ := slices.BinarySearch(trace, uint32(500*i+501))
		want := float64(to-from) * opportunityBits * 2
		if at := time.Duration(i) * 500 * time.Millisecond; step.At != at {
			t.Errorf("step %d is at %v, want %v", i, step.At, at)
		}
		if diff := float64(step.Rate) - want; diff < -0.02*want-opportunityBits*2 || diff > 0.02*want+opportunityBits*2 {
			t.Errorf("step at %v has %d bit/s, the trace %.0f", step.At, step.Rate, want)
		}
	}
}

func TestSettingsRefused(t *testing.T) {
	good := Settings{Model: LTE, Duration: time.Second}
	if _, err := good.Trace(); err != nil {
		t.Error(err)
	}
	for want, s := range map[string]Settings{
		"no model":                         {Model: "wimax", Duration: time.Second},
		"duration 1ms":                     {Model: LTE, Duration: time.Millisecond},
		"mean -1 bit/s":                    {Model: LTE, Duration: time.Second, Mean: -1},
		"more than 16777216 opportunities": {Model: LTE, Duration: time.Minute, Mean: 1e12},
	} {
		if _, err := s.Trace(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, window := range []time.Duration{0, -1, time.Microsecond, 2 * time.Second, 1500 * time.Microsecond} {
		if _, err := good.Steps(window); err == nil {
			t.Errorf("a window of %v is taken", window)
		}
	}
}
