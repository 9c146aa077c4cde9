package runner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// handover is twoPaths where lte fades, and wifi is out of reach for a while.
func handover() topologies.Topology {
	top := twoPaths()
	top.Start = topologies.StartManual
	fade := emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: 5e6}}
	top.Events = []topologies.Event{
		{At: 200 * time.Millisecond, Kind: topologies.EventSet, Link: "lte", Way: "down", Set: fade},
		{At: 400 * time.Millisecond, Kind: topologies.EventDown, Link: "wifi", For: 500 * time.Millisecond},
	}
	return top
}

// Transfers over links that come and go arrive whole, and every trial meets the same
// events at the same time.
func TestHandover(t *testing.T) {
	top := handover()
	l := raise(t, top)
	c := testConfig(t, l, "tcp", "quic-go", "quic-go-bond")
	c.Topology = top
	c.Experiment.Workload.Bytes, c.Experiment.Workload.Duration = 0, 1500*time.Millisecond
	var seen []string
	c.Progress = func(p Progress) {
		for _, change := range p.Changes {
			seen = append(seen, change.What)
		}
	}
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Trials) != 5 {
		t.Fatalf("%d trials, want 5", len(s.Trials))
	}
	want := []string{"clock started", "lte down: rate=5mbit", "wifi down", "wifi up"}
	for _, trial := range s.Trials {
		name := trial.Arm.Engine + "@" + strings.Join(trial.Arm.Paths, "+")
		if !trial.Intact {
			t.Errorf("%s: %s", name, trial.Error)
		}
		if diff := cmp.Diff(want, whats(trial.Changes)); diff != "" {
			t.Errorf("%s: changes (-want +got):\n%s", name, diff)
			continue
		}
		checkHandover(t, name, trial)
	}
	if seen := slices.Compact(slices.Sorted(slices.Values(seen))); !slices.Equal(seen, slices.Sorted(slices.Values(want))) {
		t.Errorf("progress told %q, want %q", seen, want)
	}
	for _, w := range s.Warnings {
		if strings.Contains(w, "lost") || strings.Contains(w, "by hand") {
			t.Errorf("a handover as planned is warned about: %s", w)
		}
	}
}

// checkHandover holds a trial's changes against the plan, and what the cut did to the
// transfer.
func checkHandover(t *testing.T, name string, trial results.Trial) {
	t.Helper()
	start := trial.Changes[0].TMS
	for i, plan := range []float64{0, 200, 400, 900} {
		c := trial.Changes[i]
		if late := c.TMS - start - plan; late < -0.01 || late-c.LateMS > 0.01 || late-c.LateMS < -0.01 {
			t.Errorf("%s: %s at %v ms after the start, said to be %v ms late; the plan is %v ms", name, c.What, c.TMS-start, c.LateMS, plan)
		}
	}
	if trial.ClockTMS == nil || *trial.ClockTMS != start {
		t.Errorf("%s: the clock started at %v, the changes say %v", name, trial.ClockTMS, start)
	}
	if !slices.Equal(trial.Arm.Paths, []string{"wifi"}) {
		return
	}
	if trial.StallMaxMS < 400 {
		t.Errorf("%s: longest stall %v ms, though its only link was gone for 500 ms", name, trial.StallMaxMS)
	}
	down, up := trial.Changes[2].TMS, trial.Changes[3].TMS
	if !slices.ContainsFunc(trial.Stalls, func(s results.Stall) bool {
		return s.MS == trial.StallMaxMS && s.AtMS < up && s.AtMS+s.MS > down+400
	}) {
		t.Errorf("%s: stalls %+v, of which the longest is not while the link was gone, from %v to %v ms", name, trial.Stalls, down, up)
	}
}

func whats(changes []results.Change) []string {
	var all []string
	for _, c := range changes {
		all = append(all, c.What)
	}
	return all
}
