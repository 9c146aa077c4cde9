package breadth

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/tquiclab/tquiclab/engine/sim/wsp"
)

// ClassSummary is what a class of runs comes to.
type ClassSummary struct {
	Class string
	Runs  int
	// Failed are transfers over the bond that did not come to their end.
	Failed int
	// Nothing are runs without a benefit: one path carries nothing alone.
	Nothing int
	// Gains is the share of runs whose benefit is above 0, of those that have one.
	Gains float64
	// Loses is the share of runs with less than 98 % of the best path's goodput.
	Loses float64
	// LosesByFirst is Loses of the runs whose connection was made over the best path, and
	// of those made over the other one, whose round trips its set-up takes. NaN without any.
	LosesByFirst [2]float64
	// Quantiles of the benefit: 5, 25, 50, 75 and 95 %. NaN without any.
	Quantiles [5]float64
}

// shares of Quantiles.
var shares = [5]float64{0.05, 0.25, 0.5, 0.75, 0.95}

// loss is the part of the best path's goodput that a bond may miss without counting
// as slower.
const loss = 0.02

// Summarize returns one summary of each class that has runs, in the order of
// wsp.Classes.
func Summarize(runs []Run) []ClassSummary {
	var all []ClassSummary
	for _, class := range wsp.Classes() {
		s := ClassSummary{Class: class.Name}
		var benefits []float64
		gains, loses := 0, 0
		var ofFirst, losesByFirst [2]int
		for _, r := range runs {
			if r.Class != class.Name {
				continue
			}
			s.Runs++
			s.Failed += r.Failed
			first := 0
			if r.AloneBPS[r.First] < r.Best() {
				first = 1
			}
			ofFirst[first]++
			if r.BondedBPS < (1-loss)*r.Best() {
				loses++
				losesByFirst[first]++
			}
			if r.Benefit == nil {
				s.Nothing++
				continue
			}
			benefits = append(benefits, *r.Benefit)
			if *r.Benefit > 0 {
				gains++
			}
		}
		if s.Runs == 0 {
			continue
		}
		s.Gains = float64(gains) / float64(max(1, len(benefits)))
		s.Loses = float64(loses) / float64(s.Runs)
		for i, n := range ofFirst {
			s.LosesByFirst[i] = float64(losesByFirst[i]) / float64(n)
		}
		for i, share := range shares {
			s.Quantiles[i] = quantile(benefits, share)
		}
		all = append(all, s)
	}
	return all
}

// WriteSummaries writes the summaries as a table.
func WriteSummaries(w io.Writer, all []ClassSummary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "class\truns\tfailed\tbenefit > 0\tslower than best\tmade over best\tover other\tp5\tp25\tmedian\tp75\tp95\t")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%d\t%d", s.Class, s.Runs, s.Failed)
		for _, share := range [...]float64{s.Gains, s.Loses, s.LosesByFirst[0], s.LosesByFirst[1]} {
			fmt.Fprint(t, "\t", percent(share))
		}
		for _, q := range s.Quantiles {
			fmt.Fprintf(t, "\t%.2f", q)
		}
		fmt.Fprintln(t, "\t")
	}
	return t.Flush()
}

// percent writes a share; none is a dash.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// quantile returns the value below which a share of the values lie, between two of
// them by linear interpolation; NaN when there are none.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := share * float64(len(sorted)-1)
	below := int(at)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	part := at - float64(below)
	return sorted[below]*(1-part) + sorted[below+1]*part
}
