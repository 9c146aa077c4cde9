package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/tquiclab/tquiclab/results"
)

// Options is how a report is written. The zero value writes lines of any length.
type Options struct {
	Width    int    // of the terminal, in columns; 0 when there is none
	Workload string // what was run, in words: "bulk 10s, 1 stream"
}

// Table writes the run's header, one row an arm, and below it whatever a reader
// must know before believing the rows: failures, warnings, what the signs mean.
func Table(w io.Writer, s results.Summary, o Options) error {
	lines := hanging("", header(s, o), o.Width)
	lines = append(lines, "")
	if len(s.Arms) == 0 {
		lines = append(lines, "no trial was recorded")
	} else {
		var n notes
		best := bestSingle(s.Arms)
		if columns := timedColumns(s.Trials); columns != nil {
			best = -1
			lines = append(lines, timedGrid(s, columns, &n).layout(o.Width)...)
		} else {
			lines = append(lines, armsGrid(s, best, &n).layout(o.Width)...)
		}
		lines = append(lines, "")
		lines = append(lines, n.lines(best, o.Width)...)
	}
	lines = append(lines, warnings(s, o.Width)...)
	_, err := io.WriteString(w, strings.TrimRight(strings.Join(lines, "\n"), "\n")+"\n")
	return err
}

func header(s results.Summary, o Options) string {
	rounds := 0
	for _, t := range s.Trials {
		rounds = max(rounds, t.Round)
	}
	parts := []string{
		s.Lab, "backend " + s.Backend, fmt.Sprintf("seed %d", s.Seed), counted(rounds, "round", "rounds"),
		o.Workload, calibration(s),
	}
	kept := parts[:0]
	for _, p := range parts {
		if p = plain(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " · ")
}

// calibration says whether the paths were what was asked for. In a simulation they
// cannot be anything else.
func calibration(s results.Summary) string {
	switch {
	case s.Backend == "sim":
		return "virtual time"
	case len(s.Calibration) == 0:
		return "not calibrated"
	}
	var missed []string
	for _, v := range s.Calibration {
		if !v.OK {
			missed = append(missed, v.Link+" "+v.Direction)
		}
	}
	if len(missed) > 0 {
		return "outside its calibration: " + strings.Join(missed, ", ")
	}
	return "calibrated"
}

// bestSingle returns the index of the single-path arm with the highest median, or
// -1 when no single-path arm has a value.
func bestSingle(arms []results.ArmSummary) int {
	best := -1
	for i, a := range arms {
		if len(a.Arm.Paths) == 1 && a.Goodput.N > 0 && (best < 0 || a.Goodput.Median > arms[best].Goodput.Median) {
			best = i
		}
	}
	return best
}
