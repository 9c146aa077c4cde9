package results

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAggregationBenefit(t *testing.T) {
	tests := []struct {
		name   string
		g      float64
		alone  []float64
		want   float64
		wantOK bool
	}{
		{"the sum", 80, []float64{30, 50}, 1, true},
		{"halfway", 65, []float64{30, 50}, 0.5, true},
		{"more than the sum", 95, []float64{30, 50}, 1.5, true},
		{"as the best alone", 50, []float64{30, 50}, 0, true},
		{"worse than the best alone", 25, []float64{30, 50}, -0.5, true},
		{"nothing came", 0, []float64{30, 50}, -1, true},
		{"three paths", 60, []float64{20, 40, 20}, 0.5, true},
		{"one path", 50, []float64{50}, 0, false},
		{"no path", 50, nil, 0, false},
		{"the other path is dead", 50, []float64{0, 50}, 0, false},
		{"the other path is dead, and it hurt", 25, []float64{0, 50}, -0.5, true},
		{"all paths are dead", 0, []float64{0, 0}, 0, false},
		{"no number", math.NaN(), []float64{30, 50}, 0, false},
		{"no number alone", 50, []float64{math.NaN(), 50}, 0, false},
		{"infinite", math.Inf(1), []float64{30, 50}, 0, false},
		{"negative", -1, []float64{30, 50}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := AggregationBenefit(tt.g, tt.alone)
			if got != tt.want || ok != tt.wantOK {
				t.Errorf("got %v, %v; want %v, %v", got, ok, tt.want, tt.wantOK)
			}
		})
	}
}

func TestAggregationBenefitIsFinite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.Float64().Draw(t, "g")
		alone := rapid.SliceOfN(rapid.Float64(), 0, 4).Draw(t, "alone")
		got, ok := AggregationBenefit(g, alone)
		if ok && (math.IsNaN(got) || math.IsInf(got, 0) || got < -1) {
			t.Fatalf("AggregationBenefit(%v, %v) = %v", g, alone, got)
		}
	})
}

// story builds trials line by line.
type story []Trial

func (s *story) trial(round int, engine string, bps float64, paths ...string) *Trial {
	*s = append(*s, Trial{Round: round, Arm: Arm{Engine: engine, Paths: paths, Streams: 1}, GoodputBPS: bps, Intact: true})
	return &(*s)[len(*s)-1]
}

func (s story) benefits() []any {
	FillBenefit(s)
	out := make([]any, len(s))
	for i, t := range s {
		if t.AggregationBenefit != nil {
			out[i] = *t.AggregationBenefit
		}
	}
	return out
}

func TestFillBenefit(t *testing.T) {
	tests := []struct {
		name string
		tell func(s *story)
		want []any
	}{
		{"the same round's trials count", func(s *story) {
			s.trial(1, "bond", 30, "lte")
			s.trial(1, "bond", 50, "wifi")
			s.trial(1, "bond", 80, "lte", "wifi")
			s.trial(2, "bond", 65, "lte", "wifi")
			s.trial(2, "bond", 40, "lte")
			s.trial(2, "bond", 60, "wifi")
		}, []any{nil, nil, 1.0, 0.125, nil, nil}},
		{"another round does not count", func(s *story) {
			s.trial(1, "bond", 30, "lte")
			s.trial(2, "bond", 30, "lte")
			s.trial(1, "bond", 50, "wifi")
			s.trial(2, "bond", 65, "lte", "wifi")
		}, []any{nil, nil, nil, nil}},
		{"arms that differ in their scheduler share the paths alone", func(s *story) {
			s.trial(1, "bond", 80, "lte", "wifi").Arm.Scheduler = "ecf"
			s.trial(1, "bond", 65, "lte", "wifi").Arm.Scheduler = "minrtt"
			s.trial(1, "bond", 30, "lte")
			s.trial(1, "bond", 50, "wifi")
		}, []any{1.0, 0.5, nil, nil}},
		{"another congestion control does not count", func(s *story) {
			s.trial(1, "bond", 80, "lte", "wifi").Arm.Congestion = "bbr"
			s.trial(1, "bond", 30, "lte")
			s.trial(1, "bond", 50, "wifi").Arm.Congestion = "bbr"
		}, []any{nil, nil, nil}},
		{"another engine does not count", func(s *story) {
			s.trial(1, "tcp", 30, "lte")
			s.trial(1, "tcp", 50, "wifi")
			s.trial(1, "mptcp", 80, "lte", "wifi")
		}, []any{nil, nil, nil}},
		{"other settings do not count", func(s *story) {
			s.trial(1, "bond", 30, "lte")
			s.trial(1, "bond", 50, "wifi").Arm.Streams = 4
			s.trial(1, "bond", 80, "lte", "wifi")
		}, []any{nil, nil, nil}},
		{"the MTU follows from the paths and may differ", func(s *story) {
			s.trial(1, "bond", 30, "lte").Arm.MTU = 1400
			s.trial(1, "bond", 50, "wifi").Arm.MTU = 1500
			s.trial(1, "bond", 80, "lte", "wifi").Arm.MTU = 1400
		}, []any{nil, nil, 1.0}},
		{"a path that was never alone", func(s *story) {
			s.trial(1, "bond", 30, "lte")
			s.trial(1, "bond", 80, "lte", "wifi")
		}, []any{nil, nil}},
		{"a failed trial alone in that round, whatever the others say", func(s *story) {
			s.trial(1, "bond", 30, "lte")
			s.trial(1, "bond", 5, "wifi").Intact = false
			s.trial(2, "bond", 50, "wifi")
			s.trial(2, "bond", 30, "lte")
			s.trial(1, "bond", 80, "lte", "wifi")
			s.trial(2, "bond", 80, "lte", "wifi")
		}, []any{nil, nil, nil, nil, nil, 1.0}},
		{"the bond's trial failed", func(s *story) {
			s.trial(1, "bond", 30, "lte")
			s.trial(1, "bond", 50, "wifi")
			s.trial(1, "bond", 80, "lte", "wifi").Error = "agent died"
		}, []any{nil, nil, nil}},
		{"a stale value goes", func(s *story) {
			s.trial(1, "bond", 80, "lte", "wifi").AggregationBenefit = ptr(0.5)
		}, []any{nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s story
			tt.tell(&s)
			if diff := cmp.Diff(tt.want, s.benefits()); diff != "" {
				t.Errorf("benefits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSummarize(t *testing.T) {
	var s story
	s.trial(1, "mptcp", 70, "lte", "wifi").AggregationBenefit = ptr(0.5)
	s.trial(1, "tcp", 50, "wifi")
	s.trial(2, "tcp", 52, "wifi")
	s.trial(2, "mptcp", 999, "lte", "wifi").Intact = false
	s.trial(3, "tcp", 54, "wifi").Error = "killed"
	s.trial(3, "mptcp", 74, "lte", "wifi").AggregationBenefit = ptr(0.75)
	s.trial(3, "udp", 1, "lte").Error = "no route"
	want := []ArmSummary{
		{
			Arm:     Arm{Engine: "mptcp", Paths: []string{"lte", "wifi"}, Streams: 1},
			Goodput: Estimate{Median: 72, Min: 70, Max: 74, N: 2}, Failed: 1, AggregationBenefit: ptr(0.625),
		},
		{Arm: Arm{Engine: "tcp", Paths: []string{"wifi"}, Streams: 1}, Goodput: Estimate{Median: 51, Min: 50, Max: 52, N: 2}, Failed: 1},
		{Arm: Arm{Engine: "udp", Paths: []string{"lte"}, Streams: 1}, Failed: 1},
	}
	if diff := cmp.Diff(want, Summarize(s)); diff != "" {
		t.Errorf("arms (-want +got):\n%s", diff)
	}
	if got := Summarize(nil); len(got) != 0 {
		t.Errorf("no trials: got %v", got)
	}
}
