package breadth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/sim/wsp"
)

// TestSampleOfTheExperiment runs ten runs of each class, the same each time: `make
// wsp` runs all of them, whose figures docs/MULTIPATH.md has.
func TestSampleOfTheExperiment(t *testing.T) {
	runs, err := WSP{Sample: 10, Repeats: 1}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	firsts := map[string][2]int{}
	for _, r := range runs {
		n := firsts[r.Class]
		n[r.First]++
		firsts[r.Class] = n
		if len(r.Errors) > 0 {
			t.Errorf("%s %d: %v", r.Class, r.Point, r.Errors)
		}
		for i, p := range r.Paths {
			if r.AloneBPS[i] <= 0 || r.AloneBPS[i] > float64(p.Capacity) {
				t.Errorf("%s %d: %v bit/s over path %d alone, which has %v", r.Class, r.Point, r.AloneBPS[i], i, p.Capacity)
			}
		}
		if sum := float64(r.Paths[0].Capacity + r.Paths[1].Capacity); r.BondedBPS <= 0 || r.BondedBPS > sum || r.Benefit == nil {
			t.Errorf("%s %d: %v bit/s over both paths, which have %v; benefit %v", r.Class, r.Point, r.BondedBPS, sum, r.Benefit)
		}
	}
	want := map[string][2]int{}
	for _, c := range wsp.Classes() {
		want[c.Name] = [2]int{5, 5}
	}
	if diff := cmp.Diff(want, firsts); diff != "" {
		t.Errorf("runs of each class by first path (-want +got):\n%s", diff)
	}
	summaries := Summarize(runs)
	if s := summaries[0]; s.Class != "low-bdp-no-loss" || s.Gains < 0.9 {
		t.Errorf("%s: %.0f %% of the runs gain by the second path, want 90 %%", s.Class, 100*s.Gains)
	}
	var table strings.Builder
	if err := WriteSummaries(&table, summaries); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
}

func TestExperimentRepeats(t *testing.T) {
	run := func(workers int) []Run {
		runs, err := WSP{Sample: 2, Repeats: 2, Bytes: 200_000, Workers: workers}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return runs
	}
	if diff := cmp.Diff(run(1), run(3)); diff != "" {
		t.Errorf("other workers, other figures:\n%s", diff)
	}
}

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		sample, runs int
	}{{0, 4 * 506}, {10, 40}, {300, 4 * 300}} {
		t.Run(fmt.Sprint(tt.sample), func(t *testing.T) {
			jobs, err := WSP{Sample: tt.sample}.plan()
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for _, j := range jobs {
				for _, first := range j.firsts {
					seen[fmt.Sprint(j.Class, j.Point, first)] = true
				}
			}
			if len(seen) != tt.runs {
				t.Errorf("%d different runs, want %d", len(seen), tt.runs)
			}
		})
	}
}

func TestExperimentRefusesNonsense(t *testing.T) {
	for _, x := range []WSP{{Sample: -1}, {Repeats: -1}, {Bytes: -1}} {
		if _, err := x.Run(t.Context()); err == nil {
			t.Errorf("%+v: no error", x)
		}
	}
}

// A name that the engine does not know is told with each run, and makes it a failure.
func TestFailedTransfersCountAsMinusOne(t *testing.T) {
	runs, err := WSP{Sample: 1, Repeats: 1, Congestion: "warp"}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if r.Failed != 1 || len(r.Errors) != 3 || r.BondedBPS != 0 || r.Benefit == nil || *r.Benefit != -1 {
			t.Errorf("%+v: want a failure, three errors and a benefit of -1", r)
		}
	}
}

func TestInterruptedExperiment(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	x := WSP{Sample: 10, Bytes: 1000, Repeats: 1, Workers: 1, Progress: func(int, int) { cancel(enough) }}
	if runs, err := x.Run(ctx); !errors.Is(err, enough) || runs != nil {
		t.Errorf("%d runs, %v; want none, and the cause", len(runs), err)
	}
}

func TestSpread(t *testing.T) {
	for _, workers := range []int{-1, 0, 1, 3, 100} {
		var sum atomic.Int64
		if err := spread(t.Context(), workers, 10, func(i int) { sum.Add(int64(i)) }); err != nil || sum.Load() != 45 {
			t.Errorf("%d workers: sum %d, %v; want 45: each once", workers, sum.Load(), err)
		}
	}
}

func TestSummarize(t *testing.T) {
	run := func(class string, bonded float64, benefit ...float64) Run {
		r := Run{Scenario: wsp.Scenario{Class: class}, AloneBPS: [2]float64{100, 50}, BondedBPS: bonded}
		if len(benefit) > 0 {
			r.Benefit = &benefit[0]
		}
		return r
	}
	failed := run("low-bdp-losses", 0, -1)
	failed.Failed, failed.First = 1, 1
	overOther := run("low-bdp-losses", 125, 0.5)
	overOther.First = 1
	got := Summarize([]Run{
		run("low-bdp-losses", 150, 1), overOther, failed, run("low-bdp-losses", 98.1, -0.019), run("low-bdp-losses", 100),
		run("low-bdp-no-loss", 100, 0),
	})
	want := []ClassSummary{
		{Class: "low-bdp-no-loss", Runs: 1, LosesByFirst: [2]float64{0, math.NaN()}},
		{Class: "low-bdp-losses", Runs: 5, Failed: 1, Nothing: 1, Gains: 0.5, Loses: 0.2, LosesByFirst: [2]float64{0, 0.5}, Quantiles: [5]float64{-0.85285, -0.26425, 0.2405, 0.625, 0.925}},
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b) })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Errorf("summaries (-want +got):\n%s", diff)
	}
	var table strings.Builder
	if err := WriteSummaries(&table, got); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"low-bdp-losses", "50.0 %", "20.0 %", " -  ", "0.24"} {
		if !strings.Contains(table.String(), s) {
			t.Errorf("the table does not say %q:\n%s", s, &table)
		}
	}
}

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		share  float64
		want   float64
	}{
		{[]float64{3}, 0.95, 3},
		{[]float64{2, 1}, 0.5, 1.5},
		{[]float64{5, 1, 3}, 0.5, 3},
		{[]float64{4, 3, 2, 1, 0}, 0.25, 1},
		{[]float64{0, 10}, 0.05, 0.5},
		{[]float64{0, 10}, 1, 10},
	} {
		if got := quantile(tt.values, tt.share); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("quantile %v of %v is %v, want %v", tt.share, tt.values, got, tt.want)
		}
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}
