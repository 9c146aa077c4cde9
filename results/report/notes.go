package report

import (
	"fmt"
	"strings"

	"github.com/tquiclab/tquiclab/results"
)

// notes collects, while the rows are made, what the table needs below it.
type notes struct {
	interval bool // some row has a confidence interval
	extremes bool // some row has the range instead
	benefit  bool // some row has an aggregation benefit
	byItself bool // some row's transfers nobody checked
	bestName string
	failures []failure
}

// failure is one reason why trials of one arm failed.
type failure struct {
	arm, reason string
	rounds      []string
}

// failure notes a failed trial and returns its mark.
func (n *notes) failure(arm, reason string, round int) string {
	for i := range n.failures {
		f := &n.failures[i]
		if f.arm == arm && f.reason == reason {
			f.rounds = append(f.rounds, fmt.Sprint(round))
			return mark(i)
		}
	}
	n.failures = append(n.failures, failure{arm, reason, []string{fmt.Sprint(round)}})
	return mark(len(n.failures) - 1)
}

// uncheckedMark notes that transfers were not checked and returns their mark.
func (n *notes) uncheckedMark() string {
	n.byItself = true
	return "‡"
}

func mark(i int) string { return fmt.Sprintf("[%d]", i+1) }

func (n *notes) lines(best, limit int) []string {
	var out []string
	if n.interval {
		out = append(out, hanging("[lo–hi]  ", "95 % confidence interval of the median", limit)...)
	}
	if n.extremes {
		out = append(out, hanging("[lo–hi]† ", "smallest and largest: fewer than 6 trials have no interval", limit)...)
	}
	if n.byItself {
		out = append(out, hanging("‡        ", "over, by its own account: the engine makes its own traffic, which nobody checks", limit)...)
	}
	if n.benefit {
		out = append(out, hanging("benefit: ", "aggregation benefit: 0 is the best of the paths alone, 1 the sum of all, -1 nothing", limit)...)
	}
	if best >= 0 {
		out = append(out, hanging("vs best single: ", "ratio of medians to "+n.bestName, limit)...)
	}
	for i, f := range n.failures {
		rounds := "round "
		if len(f.rounds) > 1 {
			rounds = "rounds "
		}
		text := f.arm + ", " + rounds + strings.Join(f.rounds, ", ") + ": " + f.reason
		out = append(out, hanging(mark(i)+" ", text, limit)...)
	}
	return out
}

// warnings are the run's own, and that it is not whole.
func warnings(s results.Summary, limit int) []string {
	var out []string
	if !s.Complete {
		out = append(out, hanging("warning: ", "the run is incomplete: not every trial that was planned is in this table", limit)...)
	}
	for _, w := range s.Warnings {
		out = append(out, hanging("warning: ", plain(w), limit)...)
	}
	return out
}
