package breadth

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteBonds writes what the topologies came to as a table, rates in Mbit/s, and below
// it how many hold what tquic is measured by.
func WriteBonds(w io.Writer, bonds []Bond) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "topology\tpaths alone\tbond\tratio to best\tbenefit\tshares\treinjected\tlongest stall\tpublished\tfailed")
	for _, b := range bonds {
		if b.Refused != "" {
			continue
		}
		var alone, shares []string
		for _, g := range b.AloneBPS {
			alone = append(alone, fmt.Sprintf("%.1f", g/1e6))
		}
		for _, s := range b.Shares {
			shares = append(shares, fmt.Sprintf("%.0f", 100*s))
		}
		benefit, publishedAs := "-", "-"
		if b.Benefit != nil {
			benefit = fmt.Sprintf("%.2f", *b.Benefit)
		}
		if b.PublishedBPS > 0 {
			publishedAs = fmt.Sprintf("%.1f", b.PublishedBPS/1e6)
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.2f\t%s\t%s %%\t%.1f %%\t%.0f ms\t%s\t%d\n", b.Topology, strings.Join(alone, " "), b.BondedBPS/1e6, b.Ratio, benefit,
			strings.Join(shares, "/"), 100*b.Reinjected, b.StallMS, publishedAs, b.Failed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return writeVerdict(w, bonds)
}

func writeVerdict(w io.Writer, bonds []Bond) error {
	run, slower, comparable, above := 0, 0, 0, 0
	var refused []string
	for _, b := range bonds {
		if b.Refused != "" {
			refused = append(refused, fmt.Sprintf("not simulated: %s: %s\n", b.Topology, b.Refused))
			continue
		}
		run++
		if b.Ratio < 1-loss {
			slower++
		}
		if b.PublishedBPS > 0 {
			comparable++
			if b.BondedBPS > b.PublishedBPS {
				above++
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n%d of %d more than 2 %% below the best single path; %d of %d above the published figure\n%s",
		slower, run, above, comparable, strings.Join(refused, ""))
	return err
}
