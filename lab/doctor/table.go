package doctor

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Write prints a report for people: a table of all answers, then what each one that
// is not yes costs and how to get it, what is required first.
func Write(w io.Writer, r Report) error {
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	group := ""
	for _, f := range r.Findings {
		if f.Group != group && group != "" {
			fmt.Fprintln(tw, "\t\t\t")
		}
		shown := f.Group
		if f.Group == group {
			shown = ""
		}
		group = f.Group
		detail := f.Detail
		if f.Answer != Yes {
			detail = strings.ToUpper(string(f.Need))
			if f.Need != Required {
				detail = string(f.Need) + ", see below"
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", shown, f.Name, f.Answer, detail)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	for _, need := range []Need{Required, Useful, Tests} {
		for _, f := range r.Missing(need) {
			_, err := fmt.Fprintf(w, "\n%s (%s): %s: %s\n  for:      %s\n  without:  %s\n  get it:   %s\n",
				f.Name, need, f.Answer, strings.ReplaceAll(f.Detail, "\n", "; "), f.For, f.Cost, f.Get)
			if err != nil {
				return err
			}
		}
	}
	return writeVerdict(w, r)
}

func writeVerdict(w io.Writer, r Report) error {
	verdict := "everything that is required is there"
	if missing := r.Missing(Required); len(missing) > 0 {
		names := make([]string, len(missing))
		for i, f := range missing {
			names[i] = f.Name
		}
		verdict = "required and not there: " + strings.Join(names, ", ")
	}
	_, err := fmt.Fprintf(w, "\n%s\n", verdict)
	return err
}
