package runner

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

func TestChangeWarnings(t *testing.T) {
	hand := results.Change{TMS: 1200, What: "lte down", By: "hand"}
	planned := results.Change{TMS: 1300, What: "wifi down", By: "timeline", LateMS: 19}
	late := planned
	late.LateMS = 61.25
	for _, tt := range []struct {
		name    string
		changes []results.Change
		want    []string
	}{
		{"none", nil, nil},
		{"as planned", []results.Change{planned}, nil},
		{"by hand", []results.Change{planned, hand}, []string{"x: changed by hand at 1.2 s: lte down"}},
		{"late", []results.Change{late, planned}, []string{"x: the timeline ran late, by up to 61.2 ms"}},
		{"failed", []results.Change{{What: "lte up failed: gone", By: "timeline", Error: "gone"}}, []string{"x: lte up failed: gone"}},
		{"much by hand", slices.Repeat([]results.Change{hand}, 7), append(
			slices.Repeat([]string{"x: changed by hand at 1.2 s: lte down"}, 5), "x: 2 more changes by hand")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, changeWarnings("x", tt.changes)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecordIsBounded(t *testing.T) {
	c := &changes{began: 2e9}
	for i := range maxRecorded + 5 {
		c.all = append(c.all, journal.Entry{At: 1e9 + int64(i)*1e6, By: journal.Timeline, Kind: journal.Down, Link: "lte"})
	}
	recorded := c.recorded()
	if len(recorded) != maxRecorded || recorded[0].TMS != -1000 || recorded[1].TMS != -999 || recorded[0].What != "lte down" {
		t.Errorf("%d changes, the first two %+v; want %d from -1000 ms on", len(recorded), recorded[:2], maxRecorded)
	}
	if w := changeWarnings("x", recorded); len(w) != 1 || !strings.Contains(w[0], "the series has all") {
		t.Errorf("warnings %q, want one about the record's bound", w)
	}
	if n := len(c.take()); n != maxRecorded+5 {
		t.Errorf("take gave %d changes, want all", n)
	}
	if n := len(c.take()); n != 0 {
		t.Errorf("take gave %d changes again", n)
	}
	var none *changes
	none.begin(1)
	none.stop()
	if none.take() != nil || none.recorded() != nil {
		t.Error("nothing followed, something found")
	}
}

// changeLines returns the lines of a run of one trial that tell changes.
func changeLines(t *testing.T, dir string) []changeLine {
	t.Helper()
	var all []changeLine
	for _, lines := range seriesLines[changeLine](t, dir, "change") {
		all = append(all, lines...)
	}
	return all
}

// A link that somebody cuts during a trial is in its record, its series, the progress
// and the warnings; the next trial has it again.
func TestChangeByHandIsInTheTrial(t *testing.T) {
	l := newLab(t)
	c := testConfig(t, l, "quic-go@wifi", "quic-go@lte")
	c.Experiment.Workload.Bytes, c.Experiment.Workload.Duration = 0, time.Second
	cut := sync.OnceFunc(func() {
		if err := l.SetLink(t.Context(), "lte", lab.CarrierOff); err != nil {
			t.Error(err)
		}
	})
	var seen []results.Change
	c.Progress = func(p Progress) {
		seen = append(seen, p.Changes...)
		if p.Done == nil && p.Bytes > 0 && p.Arm.Paths[0] == "wifi" {
			cut()
		}
	}
	c.Seed = 4 // whose order has wifi first
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if s.Trials[0].Arm.Paths[0] != "wifi" {
		t.Fatalf("the first trial is %v, want wifi's: choose another seed", s.Trials[0].Arm)
	}
	changed, next := s.Trials[0], s.Trials[1]
	if len(changed.Changes) != 1 || changed.Changes[0].What != "lte down" || changed.Changes[0].By != "hand" || !(changed.Changes[0].TMS > 0 && changed.Changes[0].TMS < 1500) {
		t.Errorf("changes of the first trial = %+v, want lte down within its second", changed.Changes)
	}
	if !next.Intact || len(next.Changes) != 0 {
		t.Errorf("the next trial: %+v, want it intact over the link that was cut, and no change", next)
	}
	if !slices.Equal(seen, changed.Changes) {
		t.Errorf("progress told %+v, want %+v", seen, changed.Changes)
	}
	if lines := changeLines(t, c.Folder.Dir()); len(lines) != 1 || lines[0].Change != changed.Changes[0] {
		t.Errorf("series has %+v, want %+v", lines, changed.Changes)
	}
	if w := strings.Join(s.Warnings, "\n"); !strings.Contains(w, "round 1, quic-go@wifi: changed by hand at") {
		t.Errorf("warnings %q do not tell the change by hand", s.Warnings)
	}
}

// What happens up to the end of a transfer is in its series, though the lab is asked
// for it now and then only: the last sample has all that the record has.
func TestLastSampleHasAllChanges(t *testing.T) {
	top := twoPaths()
	top.Start = topologies.StartManual
	still := emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: 20e6}}
	top.Events = []topologies.Event{{At: 10 * time.Millisecond, Every: 10 * time.Millisecond, Kind: topologies.EventSet, Link: "lte", Way: "down", Set: still}}
	c := testConfig(t, raise(t, top), "tcp@wifi")
	c.Topology = top
	c.Experiment.Workload.Bytes, c.Experiment.Workload.Duration = 0, 350*time.Millisecond
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	recorded := s.Trials[0].Changes
	if len(recorded) < 20 {
		t.Fatalf("%d changes in the record of 350 ms, want about 35: %+v", len(recorded), s.Trials[0])
	}
	var written []results.Change
	for _, l := range changeLines(t, c.Folder.Dir()) {
		written = append(written, l.Change)
	}
	if diff := cmp.Diff(recorded, written); diff != "" {
		t.Errorf("changes (-record +series):\n%s", diff)
	}
}
