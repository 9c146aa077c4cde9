package results

import (
	"math"
	"testing"
)

// timedStory is three rounds of frames over two paths and over each alone, the last of
// which failed.
func timedStory() []Trial {
	var s story
	for round := 1; round <= 3; round++ {
		for _, links := range [][]string{{"lte", "wifi"}, {"lte"}, {"wifi"}} {
			t := s.trial(round, "tquic", 5, links...)
			t.CBR = &CBR{Frames: 100, Delivered: 98, Late: int64(round), Lost: 2, GapMaxMS: float64(10 * round)}
			t.Latency = &Latency{P50: 1, P90: 2, P99: float64(10 * round), P999: 4, Max: 5}
			if round == 3 {
				t.Error = "killed"
			}
		}
	}
	return s
}

// What goes by the clock has the medians of its own figures, and no aggregation benefit:
// its goodput is what was asked for.
func TestFigures(t *testing.T) {
	trials := timedStory()
	FillBenefit(trials)
	arms := Summarize(trials)
	for _, a := range arms {
		if a.AggregationBenefit != nil {
			t.Errorf("%v: a benefit of %v", a.Arm.Paths, *a.AggregationBenefit)
		}
		for name, want := range map[string]float64{FigureLate: 0.015, FigureLost: 0.02, FigureGapMax: 15, FigureP99: 15, FigureP50: 1} {
			if got := a.Figures[name]; got.N != 2 || math.Abs(got.Median-want) > 1e-12 {
				t.Errorf("%v: %s is %+v, want %v of 2", a.Arm.Paths, name, got, want)
			}
		}
	}
	var s story
	s.trial(1, "tcp", 5, "lte")
	if f := Summarize(s)[0].Figures; f != nil {
		t.Errorf("a bulk transfer has figures: %v", f)
	}
}

func TestFiguresOfEachKind(t *testing.T) {
	for name, test := range map[string]struct {
		trial Trial
		want  map[string]float64
	}{
		"rpc":            {Trial{RPC: &RPC{Requests: 10, Unanswered: 1}}, map[string]float64{FigureUnanswered: 0.1, FigureGapMax: 0}},
		"handshake":      {Trial{Handshake: &Handshake{Done: 3, Failed: 1, PerS: 7, Dial: &Latency{P50: 2}}}, map[string]float64{FigureFailed: 0.25, FigurePerS: 7, FigureDialP50: 2}},
		"nothing at all": {Trial{CBR: &CBR{}}, map[string]float64{FigureLate: 0, FigureLost: 0}},
	} {
		got := test.trial.figures()
		for figure, want := range test.want {
			if v, ok := got[figure]; !ok || v != want {
				t.Errorf("%s: %s is %v, want %v", name, figure, v, want)
			}
		}
	}
}
