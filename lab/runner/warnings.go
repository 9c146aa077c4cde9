package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// What a result is warned about.
const (
	latenessLimit = 5 * time.Millisecond // p99 of the relay behind its model
	stealLimit    = 0.05                 // of the machine's CPU time in a trial
	idleShare     = 0.001                // of the bytes: below, a path carried no data
)

// trialWarnings says what is odd about a trial, by its label. cpus is how much CPU
// time the machine has in a second.
func trialWarnings(t results.Trial, name string, cpus float64) []string {
	var warnings []string
	if t.DurationS > 0 {
		if part := t.StolenS / (t.DurationS * cpus); part > stealLimit {
			warnings = append(warnings, fmt.Sprintf("%s: the host took away %.0f %% of the CPU time", name, part*100))
		}
	}
	if t.OK() && len(t.Paths) > 1 && !t.Timed() { // little traffic may well use one path only
		for _, p := range t.Paths {
			if p.Share < idleShare {
				warnings = append(warnings, fmt.Sprintf("%s: %s carried nothing", name, p.Link))
			}
		}
	}
	return append(warnings, changeWarnings(name, t.Changes)...)
}

// wireWarnings says whether the emulator kept up during the run.
func (r *field) wireWarnings(ctx context.Context) []string {
	wires, err := r.Lab.Wires(ctx)
	if err != nil {
		return []string{fmt.Sprintf("the wires' counters could not be read at the end: %v", err)}
	}
	var warnings []string
	for _, w := range wiresSince(r.wiresStart, wires) {
		for _, d := range []struct {
			name string
			lab.DirectionStatus
		}{{"up", w.Up}, {"down", w.Down}} {
			if d.BackendLost > 0 {
				warnings = append(warnings, fmt.Sprintf("%s %s: the emulator was overloaded and lost %d packets of its own", w.Link, d.name, d.BackendLost))
			}
			if d.LatenessP99 > latenessLimit {
				warnings = append(warnings, fmt.Sprintf("%s %s: the emulator ran late, by %v at p99", w.Link, d.name, d.LatenessP99.Round(time.Microsecond)))
			}
		}
	}
	return warnings
}

// calibrationWarnings says which paths are not known to be what was asked for.
func calibrationWarnings(t topologies.Topology, calibration []results.Calibration) []string {
	impaired := false
	for _, l := range t.Links {
		impaired = impaired || l.Impaired()
	}
	if !impaired {
		return nil
	}
	if len(calibration) == 0 {
		return []string{"paths were not calibrated"}
	}
	var warnings []string
	for _, c := range calibration {
		if !c.OK {
			warnings = append(warnings, fmt.Sprintf("%s %s: the path is outside its tolerance%s", c.Link, c.Direction, missedText(c)))
		}
	}
	return warnings
}

// missedText says in which figures, as far as that was recorded.
func missedText(c results.Calibration) string {
	missed := c.Missed()
	if len(missed) == 0 {
		return ""
	}
	return ": " + strings.Join(missed, ", ")
}

// balanceWarnings says whether the arms have different numbers of good trials,
// which makes their intervals hard to compare.
func balanceWarnings(trials []results.Trial, plan []planned) []string {
	var counts []string
	least, most := -1, 0
	for _, a := range results.Summarize(trials) {
		n := a.Goodput.N
		if least < 0 || n < least {
			least = n
		}
		most = max(most, n)
		counts = append(counts, fmt.Sprintf("%s %d", labelOf(a.Arm, plan), n))
	}
	if least == most || len(counts) < 2 {
		return nil
	}
	return []string{"the arms have different numbers of good trials: " + strings.Join(counts, ", ")}
}

// labelOf returns the label of an arm of the plan.
func labelOf(a results.Arm, plan []planned) string {
	i := slices.IndexFunc(plan, func(p planned) bool { return p.arm.Equal(a) })
	if i < 0 {
		return a.Engine + "@" + strings.Join(a.Paths, "+")
	}
	return plan[i].arm.label()
}
