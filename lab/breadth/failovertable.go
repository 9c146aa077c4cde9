package breadth

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/tquiclab/tquiclab/engine/workload"
)

// WriteRecoveries writes what outages did as a table, times in ms, with a mark at each
// figure that misses its goal, and below it how many outages meet theirs.
func WriteRecoveries(w io.Writer, all []Recovery) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "engine\toutage\tgap\tlargest\tgoal\tcarries again\tlargest\tgoal\trounds\tfailed")
	gaps, returns := 0, 0
	for _, r := range all {
		if r.gapHolds() {
			gaps++
		}
		if r.returnHolds() {
			returns++
		}
		failed := ""
		if r.Failed > 0 {
			failed = missed
		}
		fmt.Fprintf(t, "%s\t%v\t%s\t%s\t< %.0f\t%s\t%s\t%.0f\t%d\t%d%s\n", r.Arm, r.Outage,
			r.gapText(quantile(r.GapsMS, 0.5)), r.gapText(quantile(r.GapsMS, 1)), ms(r.GapGoal),
			returnText(quantile(r.ReturnsMS, 0.5)), returnText(quantile(r.ReturnsMS, 1)), ms(goalReturn), len(r.GapsMS), r.Failed, failed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
%s  misses its goal
in every round: %d of %d outages with the gap below its goal, %d of %d with the link in use again in time
gap: ms without a byte, of times that touch the second from the outage on; carries again: ms from the link's return to the
end of the first sample in which it brought %d kB
`, missed[1:], gaps, len(all), returns, len(all), carries/1000)
	return err
}

// missed marks a figure.
const missed = " !"

// gapHolds and returnHolds report whether every transfer met the goal. None meets it
// that failed.
func (r Recovery) gapHolds() bool {
	return r.Failed == 0 && len(r.GapsMS) > 0 && slices.Max(r.GapsMS) < ms(r.GapGoal)
}

func (r Recovery) returnHolds() bool {
	return r.Failed == 0 && len(r.ReturnsMS) > 0 && slices.Max(r.ReturnsMS) <= ms(goalReturn)
}

func (r Recovery) gapText(figure float64) string {
	switch {
	case math.IsNaN(figure):
		return "-"
	case figure < ms(workload.MinGap):
		return fmt.Sprintf("< %.0f", ms(workload.MinGap))
	case figure >= ms(r.GapGoal):
		return fmt.Sprintf("%.0f", figure) + missed
	}
	return fmt.Sprintf("%.0f", figure)
}

func returnText(figure float64) string {
	switch {
	case math.IsNaN(figure):
		return "-"
	case math.IsInf(figure, 1):
		return "never" + missed
	case figure > ms(goalReturn):
		return fmt.Sprintf("%.0f", figure) + missed
	}
	return fmt.Sprintf("%.0f", figure)
}
